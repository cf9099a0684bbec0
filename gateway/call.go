package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"remit/approval"
	"remit/audit"
	"remit/catalog"
	"remit/internal/strictjson"
	"remit/persona"
	"remit/policy"
	"remit/upstream"
)

// call is one tools/call, or another request that kinds.go makes like one. It passes the steps in order; the first that refuses ends it. Whatever comes of it, one entry
// records it before the answer leaves.
type call struct {
	*exchange
	began     time.Time
	sent      time.Time        // to the server
	kind      catalog.Kind     // of what is called
	name      string           // as the agent calls the tool
	key       string           // under which the view has it
	arguments strictjson.Value // an object, as sent
	person    *person          // who has to approve the call; nil where nobody has
	canonical []byte           // the arguments, as they are digested
	revision  *view
	grant     *grant
	server    Caller
	ticket    audit.Ticket
	open      bool                  // the intent is recorded
	ended     atomic.Pointer[error] // why its session, or its client by a message, ended it
	release   func()                // of the limiter
	unshadow  func()                // the same, of the shadow's
	progress  *stream
	round     round                     // of which this one is the next; the zero round is none
	answers   map[string]jsontext.Value // to what was asked in it
	noted     sync.Mutex                // what is recorded of asking
	interim   interim
	task      *task     // that the request is about
	updates   *updates  // that shall hear of the resource, where it is not read
	quiet     bool      // nobody is answered
	result    [2][]byte // what is added at its start, and the rest as the server sent it
	entry     audit.Entry
}

// step decides one thing about a call. A fault refuses it; its name goes into the record as the policy that decided.
type step struct {
	name string
	run  func(*Gateway, context.Context, *call) *fault
}

var callSteps = slices.Concat([]step{
	{"read", (*Gateway).readCall},
	{"identify", (*Gateway).identifyCall},
	{"shadow", (*Gateway).shadow},
}, deciding, []step{
	{"answers", (*Gateway).continued},
	{"account", (*Gateway).account},
	{"approve", (*Gateway).approve},
	counting,
	{"record", (*Gateway).begin},
	{"forward", (*Gateway).forward},
})

// deciding are the steps by which a revision decides. They change nothing but the call, so that a shadow and a replay are
// decided by them too.
var deciding = []step{
	{"find", (*Gateway).find},
	{suspended, (*Gateway).suspended},
	{"pin", (*Gateway).pin},
	{"headers", (*Gateway).headers},
	{"arguments", (*Gateway).validate},
	{"policy", (*Gateway).decide},
}

// counting is the step that looks at other calls, too.
var counting = step{"limit", (*Gateway).limit}

func (g *Gateway) call(x *exchange) {
	c := g.newCall(x)
	if c.method == subscribe {
		c.updates = x.session.updates
	}
	g.run(c)
}

func (g *Gateway) newCall(x *exchange) *call {
	kind := audit.ToolCall
	if aboutTask(x.method) {
		kind = audit.TaskCall
	}
	return &call{exchange: x, began: g.c.Now(), entry: audit.Entry{Kind: kind, Actor: x.who.Actor(),
		Persona: x.who.Persona, Tool: x.toolForRecord(), Decision: audit.Refused, Call: x.recorded()}}
}

// run passes a call through the steps, and returns the fault that ended it. A call ends with the gateway, with its session, when its
// client cancels it, and after a time.
func (g *Gateway) run(c *call) *fault {
	x := c.exchange
	ctx, cancel := context.WithCancel(during{g.calls.after(g.life, g.c.CallTimeout), x.r.Context()})
	defer cancel()
	if x.modern { // in the older era a lost connection is no cancellation (2025-11-25, transports)
		if x.r.Context().Err() != nil {
			cancel()
		}
		defer context.AfterFunc(x.r.Context(), cancel)()
	}
	if x.session != nil {
		id := string(x.id)
		if !x.session.begin(id, func(why error) { c.ended.CompareAndSwap(nil, &why); cancel() }) {
			f := badRequest(codeInvalidRequest, "A request with this id is in flight; ids are used once.")
			g.finish(c, f)
			return f
		}
		defer x.session.done(id)
	}
	defer func() {
		for _, release := range []func(){c.release, c.unshadow} {
			if release != nil {
				release()
			}
		}
	}()
	var f *fault
	steps := callSteps
	if aboutTask(c.method) {
		steps = taskSteps
	}
	for i := 0; i < len(steps); i++ {
		if f = g.step(ctx, c, steps[i]); f == anew {
			f, i = nil, 0 // but for what the request itself says
		} else if f != nil {
			c.entry.Policy, c.entry.Reason = cmp.Or(f.policy, steps[i].name), f.why()
			break
		}
	}
	g.finish(c, f)
	return f
}

// why is why the call ended before its answer.
func (c *call) why(ctx context.Context) error {
	if why := c.ended.Load(); why != nil {
		return *why
	}
	return context.Cause(ctx)
}

// during ends as one context does and has the values of another.
type during struct {
	context.Context
	values context.Context
}

// Value asks the context that ends first: what is asked may be which one that is.
func (d during) Value(key any) any {
	if v := d.Context.Value(key); v != nil {
		return v
	}
	return d.values.Value(key)
}

var errClosing = errors.New("the gateway was shut down during the call")

// patience has contexts that end after a time. Those who begin nearly together share one: a timer for each would cost more than most steps.
type patience struct{ newest atomic.Pointer[stretch] }

type stretch struct {
	context.Context
	until  time.Time          // it is given to those who begin
	cancel context.CancelFunc // which nobody calls: others may have it
}

// after returns a context that ends with another, which is the same at each call, and after a time or up to a 64th of that later.
func (p *patience) after(with context.Context, length time.Duration) context.Context {
	now, t := time.Now(), p.newest.Load()
	if t == nil || now.After(t.until) {
		t = &stretch{until: now.Add(length / 64)}
		t.Context, t.cancel = context.WithDeadline(with, t.until.Add(length))
		p.newest.Store(t)
	}
	return t.Context
}

// readCall takes the name and the arguments out of the parameters.
func (g *Gateway) readCall(_ context.Context, c *call) *fault {
	if c.kind, _ = kindOf(c.method); c.method != "tools/call" {
		if f := c.readOther(); f != nil {
			return f
		}
		return c.recordArguments()
	}
	name, ok := c.params.text("name")
	if !ok || name == "" || len(name) > 256 {
		return rpcFault(codeInvalidParams, `The member "name" of params must be a string of 1 to 256 bytes.`)
	}
	c.name, c.arguments = name, c.passed
	switch {
	case c.passed.Text == nil:
		c.arguments = strictjson.Unread("{}")
	case c.passed.Text[0] != '{':
		return rpcFault(codeInvalidParams, `The member "arguments" of params must be an object.`)
	}
	return c.recordArguments()
}

// identifyCall finds the revision that is live now.
func (g *Gateway) identifyCall(_ context.Context, c *call) (f *fault) {
	if c.revision, f = g.view(c.exchange); f == nil {
		c.entry.Revision, c.key = c.revision.revision, c.revision.resolve(c.kind, c.name)
		c.forTask = c.asked() && c.revision.grantsTasks(false)
	}
	return f
}

// find answers alike for a tool that is not granted, one that the key is not for, and one that does not exist.
func (g *Gateway) find(_ context.Context, c *call) *fault {
	granted, ok := c.revision.grants[c.key]
	if !ok || !granted.is(c.kind) {
		f := c.unknown()
		f.reason = "the revision does not grant a tool of this name"
		if whole := c.revision.whole().grants[c.key]; whole != nil && whole.is(c.kind) {
			f.reason, f.policy = "the access key is narrowed to other tools of the revision", "key/tools"
		}
		return f
	}
	c.grant = granted
	c.entry.Tool, c.entry.Digest = string(granted.Tool), string(granted.Digest)
	c.entry.Detail = granted.detail
	return nil
}

// note adds to what the record says of the call. What it said before, which others may share, stays as it is.
func (c *call) note(name, value string) {
	detail := make(map[string]string, len(c.entry.Detail)+1)
	maps.Copy(detail, c.entry.Detail)
	detail[name] = value
	c.entry.Detail = detail
}

// suspended refuses what a person has stopped. It comes before what else may be wrong with the tool, so that an agent hears
// what will not pass by itself. The tool is still listed, as it was approved.
func (g *Gateway) suspended(_ context.Context, c *call) *fault {
	if s, stopped := persona.Stopped(c.stopped, c.persona, c.grant.Tool); stopped {
		return toolFault("Refused: the "+s.String()+" is suspended: "+clean(s.Reason, persona.MaxSuspensionReason)+". Calls are refused until a person resumes it; do not try again before.", whySuspended(s))
	}
	return nil
}

// pin refuses a tool that is not, byte for byte in canonical form, what was approved. The refusal is a tool's result with
// isError and not a protocol error: the tool is still listed, and clients show results, unlike errors, to the model
// (2026-07-28, tools, error handling), which can then say what a person has to do.
func (g *Gateway) pin(ctx context.Context, c *call) *fault {
	if c.grant.corrupt != nil {
		return toolFault("Refused: the stored definition of this tool is damaged, or its policy, so nobody can say what was approved. Its persona needs a new revision.",
			"the pin is corrupt: "+c.grant.corrupt.Error()).unsure()
	}
	name, _ := c.grant.Tool.Split()
	var ok bool
	if c.server, ok = g.c.Upstreams.Server(name); !ok {
		return toolFault("Refused: the server "+name+" is no longer configured; tell the operator of Remit.", "")
	}
	if g.c.Listed != nil {
		if err := g.c.Listed(name); err != nil {
			return toolFault("Refused: nobody knows now whether the server "+name+" still offers this tool as it was approved; try again later, and tell the operator of Remit if it stays so.",
				err.Error())
		}
	}
	now, ok := g.c.Current(c.grant.Tool)
	if !ok || now.Gone {
		return toolFault("Refused: its server no longer offers this tool as it was approved; its persona needs a new review.",
			"the catalog no longer has the tool")
	}
	if now.Digest != c.grant.Digest {
		return toolFault("Refused: the tool changed since it was approved; its persona needs a new review.",
			"the tool changed since it was approved: it is "+now.Digest.Short()+" now")
	}
	return g.thawed(ctx, c)
}

// thawed refuses a tool that is what was approved, but was not all the time since: a server that shows one definition to
// the crawler and another to the agent looks like that, so a person has to see to it first.
func (g *Gateway) thawed(ctx context.Context, c *call) *fault {
	since, frozen, err := g.c.Personas.Frozen(ctx, c.persona, c.revision.revision, c.grant.Pin)
	if err != nil {
		g.complain("whether a tool is frozen could not be read", err)
		return rpcFault(codeInternal, "Whether this tool is as it was approved cannot be read now, so it is not called; try again later.").unsure()
	}
	if frozen {
		return toolFault("Refused: the tool changed after it was approved and then changed back, and nobody has confirmed it since. A reviewer can do that on the page of the tool or with remit tool thaw, or its persona needs a new revision.",
			"the tool is frozen: it was something else at "+since.UTC().Format(time.RFC3339)+", and nobody has confirmed it since")
	}
	return nil
}

// headers holds parameters that travel in headers too against the arguments; only the stateless era knows such.
func (g *Gateway) headers(_ context.Context, c *call) *fault {
	if !c.modern || c.kind != catalog.ATool {
		return nil
	}
	s, err := c.grant.arguments()
	if err != nil {
		return nil // the next step refuses
	}
	return c.matchParams(s.headers, c.arguments)
}

// validate checks the arguments against the approved input schema.
func (g *Gateway) validate(_ context.Context, c *call) *fault {
	s, err := c.grant.arguments()
	if err != nil {
		return toolFault("Refused: a schema of this tool cannot be used to check its calls. Its persona needs a revision without the tool, or its server a schema that works.",
			err.Error())
	}
	if c.method == upstream.Complete || c.task != nil {
		return nil // it has a part of one argument, or none
	}
	if err := s.check(c.arguments); err != nil {
		f := rpcFault(codeInvalidParams, "Invalid arguments for %s: %s", c.name, clean(err.Error(), 1000))
		f.reason = "the arguments do not match the approved schema at " + schemaPath(err)
		return f
	}
	return c.augmented()
}

// decide asks the grant's policy. The refusal is a tool's result, so that the model reads what would be allowed.
func (g *Gateway) decide(_ context.Context, c *call) *fault {
	if f := c.completes(); f != nil {
		return f
	}
	d := c.grant.rules.Decide(policy.Call{Agent: c.who.Agent, User: c.who.User, Persona: c.who.Persona, Arguments: c.arguments, Now: g.c.Now()})
	switch {
	case !d.Approval:
		c.person = nil
	case c.person == nil:
		c.person = &person{}
	}
	if d.Allowed {
		return nil
	}
	f := toolFault("Refused by the policy of this persona: "+clean(d.Reason, 500)+".", clean(d.Reason, maxReason))
	f.policy = "policy/" + d.Rule
	return f
}

// limit counts the call, also one that nothing limits: another policy of the same tool may.
func (g *Gateway) limit(ctx context.Context, c *call) *fault {
	release, refused := g.c.Limiter.Take(ctx, policy.Subject{Persona: c.who.Persona, Key: c.who.Key, Tool: string(c.grant.Tool)}, c.grant.rules.With(c.who.Bounds.Limits), c.began)
	if refused == nil {
		c.release = release
		return nil
	}
	if refused.Err != nil {
		g.complain("a call could not be counted and was not forwarded", refused.Err)
	}
	whose, rule := "policy of this persona", "limit/"+refused.Rule
	if refused.Rule == "key" {
		whose, rule = "limits of this access key", "key/limits"
	}
	f := toolFault("Refused by the "+whose+": "+refused.Reason+".", refused.Reason)
	f.undecided = refused.Err != nil
	f.policy = rule
	return f
}

// begin records the intent, so that nothing is forwarded without a record; with it the approval is used up. What is forwarded
// then are the arguments as the person saw them, which read the same as those that were sent.
func (g *Gateway) begin(ctx context.Context, c *call) *fault {
	g.keepArguments(c)
	if took := g.c.Now().Sub(c.began); took > recordTimeout { // a catalog, a token or an account that was waited for
		return toolFault("Refused: it took so long to find out whether the call may be made that what was found may no longer hold. It was not made; call again.",
			fmt.Sprintf("it was decided %s after it began", took.Round(time.Millisecond)))
	}
	e := c.entry
	e.Time, e.Decision = c.began, audit.Unknown
	var err error
	if c.person != nil {
		var shown json.RawMessage
		c.ticket, shown, err = g.c.Approvals.Use(ctx, c.person.approved, c.binding(), e)
		c.arguments = strictjson.Unread(shown)
	} else {
		c.ticket, err = g.c.Audit.Begin(ctx, e)
	}
	if errors.Is(err, approval.ErrOver) {
		f := toolFault("Refused: another call used the approval first, or its time is over. Call again to ask for another one.", "the approval was not there to be used")
		f.policy = "approve/used"
		return f
	}
	if err != nil {
		g.complain("a call could not be recorded and was not forwarded", err)
		return rpcFault(codeInternal, "The call could not be recorded, so it was not made; try again later.")
	}
	c.open = true
	if took := g.c.Now().Sub(c.began); took > recordTimeout { // a database that hung: a key may have been revoked meanwhile
		return toolFault("Refused: it took so long to record the call that what was decided about it may no longer hold. It was not made; call again.",
			fmt.Sprintf("it was recorded %s after it began", took.Round(time.Millisecond)))
	}
	return nil
}

// finish writes the entry and only then answers. When it cannot be written the answer is withheld.
func (g *Gateway) finish(c *call, f *fault) {
	if c.entry.Reason == "" && f != nil {
		c.entry.Reason = f.why()
	}
	if f == nil {
		c.recordResult()
	}
	if !c.open {
		g.keepArguments(c)
	}
	c.entry.Time = g.c.Now()
	c.entry.Micros = c.entry.Time.Sub(c.began).Microseconds()
	var err error
	if ctx := (during{g.records.after(context.Background(), recordTimeout), c.r.Context()}); c.open { // whatever becomes of its client
		err = g.c.Audit.Finish(ctx, c.ticket, c.entry)
	} else {
		err = g.c.Audit.Append(ctx, c.entry)
	}
	if err != nil {
		g.complain("a call could not be recorded and its answer is withheld", err)
		f = rpcFault(codeInternal, "The call could not be recorded, so its answer is withheld.")
		if c.open {
			f.message += " It may have taken effect: check before you repeat it."
		}
	}
	c.observed(f, err != nil)
	if !c.quiet {
		c.answer(f)
	}
}

// answer sends the one response, on the stream if there is one. A cancelled request of the older era gets none.
func (c *call) answer(f *fault) {
	body := c.resultOf(c.result[:]...)
	if f != nil {
		body = c.faultOf(f)
	}
	switch {
	case f != nil && f.silent:
		if c.progress == nil {
			c.progress = c.stream() // which ends without a message
		}
		c.progress.close()
	case c.progress != nil:
		c.progress.message(body[:]...)
		c.progress.close()
	case f != nil:
		c.send(f.status, body)
	default:
		c.send(http.StatusOK, body)
	}
}
