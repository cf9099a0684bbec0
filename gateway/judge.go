package gateway

import (
	"context"
	"encoding/json"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"time"

	"remit/audit"
	"remit/catalog"
	"remit/identity"
	"remit/internal/strictjson"
	"remit/persona"
	"remit/policy"
	"remit/upstream"
)

// Judge decides recorded calls by one revision, with the steps that decide live ones. It takes for granted what the record does
// not say: that each tool was what the revision pins, and its server there. Where arguments were not recorded it concludes from
// what the revision of the time decided on them, or cannot tell. It is for one goroutine.
type Judge struct {
	g      *Gateway // in a world that is as the revision pins it, at the time of the call
	v      *view
	blind  map[string]*policy.Compiled // by name: the rules without those that look at arguments
	past   persona.Persona             // with the revisions that decided
	now    time.Time
	flight []flight // of calls that the limits count and that had not ended
}

type flight struct {
	ends    time.Time
	release func()
}

// NewJudge returns the judge of a revision of p, a draft too.
func NewJudge(p persona.Persona, r persona.Revision) *Judge {
	j := &Judge{past: p, blind: map[string]*policy.Compiled{}}
	pinned := r.Digests()
	j.g = &Gateway{c: Config{Personas: asPinned{}, Upstreams: asPinned{}, Limiter: policy.NewLimiter(nil), Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return j.now },
		Current: func(id catalog.ID) (catalog.Tool, bool) {
			digest, ok := pinned[id]
			return catalog.Tool{ID: id, Digest: digest}, ok
		}}}
	j.v = j.g.build(p.ID, r)
	for name, g := range j.v.grants {
		rules := g.Policy
		rules.Arguments, rules.Conditions = nil, nil
		if c, err := rules.Compile(nil); err == nil { // if not, the grant is corrupt and its rules are not asked
			j.blind[name] = c
		}
	}
	return j
}

// asPinned is a world in which nothing is frozen or stopped and every server is there. Nothing is called in it.
type asPinned struct{}

func (asPinned) Persona(context.Context, persona.ID) (persona.Persona, error) {
	return persona.Persona{}, persona.ErrNotFound
}
func (asPinned) Frozen(context.Context, persona.ID, int, persona.Pin) (time.Time, bool, error) {
	return time.Time{}, false, nil
}
func (asPinned) Suspensions(context.Context) ([]persona.Suspension, error) { return nil, nil }
func (asPinned) Server(string) (Caller, bool)                              { return asPinned{}, true }
func (asPinned) Watch(context.Context, string, func(), func()) error       { return upstream.ErrClosed }
func (asPinned) Call(context.Context, upstream.Call) (strictjson.Value, error) {
	return strictjson.Value{}, upstream.ErrClosed
}

// Decide says what the revision would have decided about a tool.call of its persona. Calls are to be given in the order in
// which they began, since limits look back.
func (j *Judge) Decide(ctx context.Context, e audit.Entry) audit.Shadow {
	t := trial{Judge: j, e: e}
	j.now = e.Began()
	j.land()
	if e.Revision == 0 || slices.Contains(beforeAnyRevision, t.stoppedAt()) {
		return t.asLive()
	}
	t.arguments, t.known = argumentsOf(e)
	x := &exchange{who: identity.Principal{Agent: e.Agent, User: e.User, Persona: e.Persona, Key: e.Key}, persona: persona.ID(e.Persona)}
	t.c = &call{exchange: x, began: j.now, kind: catalog.ID(e.Tool).Of(), key: t.name(), arguments: strictjson.Unread(t.arguments), revision: j.v}
	t.c.name = t.c.key
	for _, s := range decision {
		if out, over := t.step(ctx, s); over {
			return out
		}
	}
	if at := t.stoppedAt(); t.doubt == "" && at != "" && !decides(at) {
		t.doubt = "the step " + at + " refused the call, which a revision does not decide alone"
	}
	if t.doubt != "" {
		return audit.Shadow{Decision: audit.Undecided, Reason: t.doubt}
	}
	return audit.Shadow{Decision: audit.Allowed}
}

// Count has the limits count a call of another persona, or one that nobody can judge, of a tool that the revision grants.
func (j *Judge) Count(ctx context.Context, e audit.Entry) {
	if _, granted := j.g.c.Current(catalog.ID(e.Tool)); !granted || !e.Decision.Forwarded() {
		return
	}
	j.now = e.Began()
	j.land()
	release, refused := j.g.c.Limiter.Take(ctx, policy.Subject{Persona: e.Persona, Key: e.Key, Tool: e.Tool}, countAll, j.now)
	if refused == nil {
		j.flight = append(j.flight, flight{e.Time, release})
	}
}

// countAll makes a limiter count for everybody and refuses next to nothing.
var countAll = &policy.Compiled{Policy: policy.Policy{Limits: []policy.Limit{{Calls: 10_000, Per: policy.Second, By: policy.ByTool},
	{Calls: 10_000, Per: policy.Second}, {Calls: 10_000, Per: policy.Second, By: policy.ByKey}}}}

// land ends the calls that had ended by now.
func (j *Judge) land() {
	j.flight = slices.DeleteFunc(j.flight, func(f flight) bool {
		over := !f.ends.After(j.now)
		if over {
			f.release()
		}
		return over
	})
}

// beforeAnyRevision are the steps of a live call whose refusal no revision changes; what bounds a key is none of its.
var beforeAnyRevision = []string{"read", "identify", suspended, "key"}

// trial is one recorded call before the judge.
type trial struct {
	*Judge
	e         audit.Entry
	c         *call
	arguments json.RawMessage
	known     bool   // what the arguments were
	doubt     string // why nobody can tell, unless a later step refuses for certain
}

// step passes the call through one step; over says that it decided.
func (t *trial) step(ctx context.Context, s step) (out audit.Shadow, over bool) {
	run := func() (audit.Shadow, bool) {
		f := s.run(t.g, ctx, t.c)
		switch {
		case f == nil:
			return out, false
		case f.undecided:
			return audit.Shadow{Decision: audit.Undecided, Reason: f.why()}, true
		case f.policy == "":
			f.policy = s.name
		}
		return audit.Shadow{Decision: audit.Refused, Policy: f.policy, Reason: f.why()}, true
	}
	switch s.name {
	case "pin", "headers":
		if t.stoppedAt() == s.name {
			return t.again(s.name)
		}
		if s.name == "headers" && t.mirrored() {
			t.doubt = "the headers that mirror arguments are not in the record"
		}
	case "arguments":
		if _, err := t.c.grant.arguments(); err == nil && !t.known {
			return t.unseen()
		}
	case "policy":
		if !t.known {
			own := t.c.grant
			t.c.grant = &grant{Grant: own.Grant, rules: t.blind[t.c.key]}
			out, over = run()
			t.c.grant = own
			if !over {
				out, over = t.unseenRules()
			}
		} else {
			out, over = run()
		}
		if t.c.person != nil && t.e.Approval == "" {
			t.doubt = needsPerson
		}
		return out, over
	case counting.name:
		if t.doubt != "" {
			t.Count(ctx, t.e)
			return out, false
		}
		out, over = run()
		if !over {
			t.flight = append(t.flight, flight{t.ends(), t.c.release})
		}
		return out, over
	}
	return run()
}

// again says that what the world, or a header, refused once would be refused again, if the definition is the same.
func (t *trial) again(name string) (audit.Shadow, bool) {
	if t.e.Digest == string(t.c.grant.Digest) {
		return t.asLive(), true
	}
	t.doubt = "the step " + name + " refused the call under another definition of the tool"
	return audit.Shadow{}, false
}

// mirrored says that the stateless era mirrors arguments into headers here, and that nothing held these against each other.
func (t *trial) mirrored() bool {
	s, err := t.c.grant.arguments()
	return err == nil && len(s.headers) > 0 && t.e.Protocol == modernVersion &&
		(t.e.Digest != string(t.c.grant.Digest) || !t.passed("headers"))
}

// unseen concludes what the schema would say about arguments that were not kept.
func (t *trial) unseen() (audit.Shadow, bool) {
	same := t.e.Digest == string(t.c.grant.Digest)
	switch {
	case same && t.stoppedAt() == "arguments":
		return t.asLive(), true
	case !same || !t.passed("arguments"):
		t.doubt = "the arguments are not in the record, or masked there, and nothing checked them against this schema"
	}
	return audit.Shadow{}, false
}

// unseenRules does the same for the rules: who passed more of them passes fewer, and who failed some fails more.
func (t *trial) unseenRules() (audit.Shadow, bool) {
	own := t.c.grant.Policy
	if len(own.Arguments)+len(own.Conditions) == 0 {
		return audit.Shadow{}, false
	}
	was := t.rules()
	switch {
	case t.passed("policy") && within(own, was):
	case (t.e.Policy == "policy/arguments" || t.e.Policy == "policy/conditions") && within(was, own):
		return t.asLive(), true
	default:
		t.doubt = "the arguments are not in the record, or masked there, and a rule looks at them"
	}
	return audit.Shadow{}, false
}

// rules are those that the revision of the time had for the tool.
func (t *trial) rules() policy.Policy {
	r, _ := t.past.Revision(t.e.Revision)
	for _, g := range r.Grants {
		if string(g.Tool) == t.e.Tool {
			return g.Policy
		}
	}
	return policy.Policy{}
}

// within says that b has every rule on arguments that a has.
func within(a, b policy.Policy) bool {
	for _, x := range a.Arguments {
		if !slices.ContainsFunc(b.Arguments, func(y policy.Constraint) bool { return reflect.DeepEqual(x, y) }) {
			return false
		}
	}
	for _, x := range a.Conditions {
		if !slices.ContainsFunc(b.Conditions, func(y policy.Condition) bool { return x.CEL == y.CEL }) {
			return false
		}
	}
	return true
}

// name is what the agent would call the tool, or the name that it made up.
func (t *trial) name() string {
	if t.e.Digest == "" {
		return t.e.Tool
	}
	for name, g := range t.v.grants {
		if string(g.Tool) == t.e.Tool {
			return name
		}
	}
	return ""
}

// stoppedAt is the step that refused the call live; empty for one that went through.
func (t *trial) stoppedAt() string {
	if t.e.Decision.Forwarded() {
		return ""
	}
	name, _, _ := strings.Cut(t.e.Policy, "/")
	return name
}

// decides says that the step is one by which a revision decides.
func decides(name string) bool {
	return slices.ContainsFunc(decision, func(s step) bool { return s.name == name })
}

// passed says that the call passed the step live.
func (t *trial) passed(name string) bool {
	at := t.stoppedAt()
	if at == "" {
		return true
	}
	place := func(name string) int { return slices.IndexFunc(decision, func(s step) bool { return s.name == name }) }
	return place(name) < place(at)
}

func (t *trial) asLive() audit.Shadow {
	return audit.Shadow{Decision: audit.Refused, Policy: t.e.Policy, Reason: t.e.Reason}
}

// ends is when the call ended, if it was made at all.
func (t *trial) ends() time.Time {
	if t.e.Decision.Forwarded() {
		return t.e.Time
	}
	return t.now
}

// argumentsOf returns a recorded call's arguments as they were sent, and whether the record has them so: what a mask has
// changed is not what was decided on.
func argumentsOf(e audit.Entry) (json.RawMessage, bool) {
	for _, text := range []string{e.Arguments, "{}"} {
		if text != "" && audit.Digest([]byte(text)) == e.ArgumentDigest {
			return json.RawMessage(text), true
		}
	}
	return json.RawMessage("{}"), false
}
