package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"remit/catalog"
	"remit/identity"
	"remit/persona"
	"remit/policy"
)

// view is a live revision, ready to be served. It is built once per revision: a revision's content never changes.
type view struct {
	revision  int
	reviewed  time.Time
	grants    map[string]*grant // by the name that the agent calls; see key
	inOrder   []*grant          // as they are listed
	templates []*grant
	lists     map[catalog.Kind]lists

	mu      sync.Mutex
	narrow  map[string]*view // for keys that are narrowed, by the tools that these name
	granted *view            // in such a view, the whole one
}

// grant is one pinned tool.
type grant struct {
	persona.Grant
	served   []byte            // the definition as agents read it
	detail   map[string]string // what the record says of a call at first; shared, and not to be changed
	may      bool              // its calls may be made as tasks, in the older era
	must     bool              // and have to be, at its server
	corrupt  error             // the stored definition is not what the digest says, or the policy cannot be used
	rules    *policy.Compiled
	template *regexp.Regexp // of the URIs that a resource template stands for; nil for anything else

	once    sync.Once
	schema  *schema // of the arguments, compiled at the first call
	output  *schema // of structured results; nil where the definition has none
	problem error   // why a schema cannot be used
}

// suspended names the policy of what a person has stopped, in the record.
const suspended = "suspended"

// going reads what people have stopped, and refuses the persona if it is among them.
func (g *Gateway) going(x *exchange) (f *fault) {
	var err error
	if x.stopped, err = g.c.Personas.Suspensions(x.r.Context()); err != nil {
		g.complain("what is suspended could not be read", err)
		f = rpcFault(codeInternal, "Whether the persona is suspended cannot be read now, so nothing is allowed; try again later.")
	} else if s, stopped := persona.Stopped(x.stopped, x.persona, ""); stopped {
		f = rpcFault(codeRefused, "The %s is suspended: %s. Everything is refused until a person resumes it; do not try again before.",
			s, clean(s.Reason, persona.MaxSuspensionReason))
		f.reason = whySuspended(s)
	} else {
		return nil
	}
	f.policy = suspended
	return f
}

func whySuspended(s persona.Suspension) string {
	return s.Person + " suspended the " + s.String() + " at " + s.At.UTC().Format(time.RFC3339) + ": " + s.Reason
}

// over refuses a persona whose dates say that nobody may use it any more.
func (g *Gateway) over(x *exchange, o persona.Over) *fault {
	f := rpcFault(codeRefused, "The persona %s may not be used now: %s. Everything is refused until a reviewer sets its dates anew; do not try again before.",
		x.persona, o.Reason)
	f.policy = o.Rule
	return f
}

// view returns the persona's live revision. What is stored decides on every request; only what follows from it is kept.
func (g *Gateway) view(x *exchange) (*view, *fault) {
	p, err := g.c.Personas.Persona(x.r.Context(), x.persona)
	if err != nil && !errors.Is(err, persona.ErrNotFound) {
		g.complain("a persona could not be read", err)
		return nil, rpcFault(codeInternal, "The persona cannot be read now, so nothing is allowed; try again later.")
	}
	live, ok := p.Live()
	if !ok {
		return nil, rpcFault(codeRefused, "The persona %q has no live revision, so it allows nothing; ask its reviewer.", x.persona)
	}
	if f := g.going(x); f != nil {
		return nil, f
	}
	if o, over := p.Term.Over(g.c.Now()); over {
		return nil, g.over(x, o)
	}
	x.mark = p.Shadow
	if x.mark.Revision != 0 {
		if r, ok := p.Beside(); ok {
			x.beside = &r
		}
	}
	g.mu.Lock()
	v := g.views[x.persona]
	g.mu.Unlock()
	if v == nil || v.revision != live.Number || !v.reviewed.Equal(live.ReviewedAt) {
		v = g.build(x.persona, live)
		g.mu.Lock()
		g.views[x.persona] = v
		g.mu.Unlock()
	}
	if x.who.Bounds.Tools == nil {
		return v, nil
	}
	return v.of(x.who.Bounds, g.tail()), nil
}

// of is what a key with the bounds sees. It is made once for all keys that name the same tools, and dropped with the revision:
// what the persona loses, they lose.
func (v *view) of(b identity.Bounds, tail string) *view {
	if b.Tools == nil {
		return v
	}
	key := strings.Join(b.Tools, "\n") // ids hold no line break
	v.mu.Lock()
	defer v.mu.Unlock()
	n := v.narrow[key]
	if n == nil {
		n = &view{revision: v.revision, reviewed: v.reviewed, grants: map[string]*grant{}, granted: v}
		for _, t := range v.inOrder {
			if b.Grants(string(t.Tool)) {
				n.add(t)
			}
		}
		n.list(tail)
		if v.narrow == nil {
			v.narrow = map[string]*view{}
		}
		v.narrow[key] = n
	}
	return n
}

// unfrozen is v without the tools that the step "pin" refuses now.
func (g *Gateway) unfrozen(x *exchange, v *view) *view {
	rest := &view{}
	for _, t := range v.inOrder {
		if g.pin(x.r.Context(), &call{exchange: x, revision: v, grant: t}) == nil {
			rest.inOrder = append(rest.inOrder, t)
		}
	}
	if len(rest.inOrder) == len(v.inOrder) {
		return v
	}
	rest.list(g.tail())
	return rest
}

// Drifted says that some tools are not what they were: where lists leave such out, open streams are told that they changed.
func (g *Gateway) Drifted() {
	if g.c.HideFrozen {
		g.streams.tell(func(*listener) bool { return true })
	}
}

// whole is the view without what bounds a key.
func (v *view) whole() *view {
	if v.granted != nil {
		return v.granted
	}
	return v
}

func (v *view) add(t *grant) {
	v.grants[t.key()] = t
	v.inOrder = append(v.inOrder, t)
	if t.template != nil {
		v.templates = append(v.templates, t)
	}
}

// lists are the whole results of one kind's list in either era.
type lists struct{ legacy, modern []byte }

// list writes the results of all lists.
func (v *view) list(tail string) {
	v.lists = map[catalog.Kind]lists{}
	for _, of := range listed {
		var list bytes.Buffer
		list.WriteString(`{"` + of.member + `":[`)
		n := 0
		for _, t := range v.inOrder {
			if t.corrupt != nil || t.Tool.Of() != of.kind {
				continue
			}
			if n++; n > 1 {
				list.WriteByte(',')
			}
			list.Write(t.served)
		}
		list.WriteByte(']')
		v.lists[of.kind] = lists{append(bytes.Clone(list.Bytes()), '}'), append(append(bytes.Clone(list.Bytes()), ','), tail...)}
	}
}

// build pins every grant again: a definition that is not what its digest says is neither listed nor called.
func (g *Gateway) build(of persona.ID, live persona.Revision) *view {
	v := &view{revision: live.Number, reviewed: live.ReviewedAt, grants: make(map[string]*grant, len(live.Grants))}
	for _, pinned := range live.Grants {
		served, rules, err := pinned.Served()
		if err == nil {
			err = verify(pinned.Pin)
		}
		if err == nil && len(g.c.MaskKey) > 0 {
			rules = rules.HashedFor(string(of), g.c.MaskKey)
		}
		t := &grant{Grant: pinned, served: served, detail: map[string]string{"name": pinned.Name}, rules: rules}
		t.may, t.must = pinned.TakesTasks()
		if err == nil {
			t.template, err = templateOf(pinned)
		}
		if other := v.grants[t.key()]; other != nil && err == nil { // two servers' resources of one URI: nobody can tell which is meant
			err = fmt.Errorf("%s and %s are known by the same name", other.Tool, t.Tool)
			other.corrupt = err
		}
		if t.corrupt = err; err != nil {
			g.complain("the stored definition of a granted tool is damaged, or cannot be used; it is not served", err)
		}
		v.add(t)
	}
	v.list(g.tail())
	return v
}

func verify(pin persona.Pin) error {
	digest, err := catalog.DigestOf(pin.Definition)
	if err == nil && digest != pin.Digest {
		err = fmt.Errorf("its digest is %s, the pin says %s", digest.Short(), pin.Digest.Short())
	}
	if err != nil {
		return fmt.Errorf("tool %s: %w", pin.Tool, err)
	}
	return nil
}

// arguments returns the compiled input schema, or why calls of this tool cannot be checked: without their result, either, a call
// is not made.
func (t *grant) arguments() (*schema, error) {
	t.once.Do(func() { t.schema, t.output, t.problem = compile(t.Definition) })
	return t.schema, t.problem
}
