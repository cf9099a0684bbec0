package gateway

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"remit/audit"
	"remit/upstream"
)

// Observer counts and traces requests. It decides nothing: no method returns an error, and each returns at once.
type Observer interface {
	// Begin: a request of a valid key was read. The context that it returns is the request's from here on and carries its
	// trace.
	Begin(ctx context.Context, o *Observation) context.Context
	// Trace is the id of the trace that ctx carries, in lower-case hex; empty when it carries none.
	Trace(ctx context.Context) string
	// Step: a step of a call took from began until now.
	Step(ctx context.Context, name string, began time.Time, refused bool)
	// End: the request was answered, or its stream ended. Requests without a valid key end without having begun.
	End(ctx context.Context, o *Observation)
}

// Observation is what an observer is told of a request. Nothing in it is text that a caller made up, but for the trace
// context and the session, which are of a fixed form: no argument, no result, no key, and no name of a tool that is not
// granted.
type Observation struct {
	Began         time.Time
	Parent, State string // the caller's traceparent and tracestate; empty unless they are valid
	HTTP          string // traceparent of the HTTP request, where Parent is the message's own

	Method   string // of MCP, or GET or DELETE; "unknown" for any that the endpoint does not have
	ID       string // of the request, if it is an integer of at most ten digits: more could mean something
	Session  string // in the older era
	Protocol string // version of MCP; empty when it is not known
	Persona  string // of the key, also of one that may not be used; empty when there is none
	Revision int    // for calls
	Name     string // of a granted tool, as the agent calls it
	Tool     string // its id in the catalog

	Decision audit.Decision
	Rule     string        // that refused, as the record names it
	Masks    []string      // that found something
	Error    string        // "tool_error", "cancelled", or a code of JSON-RPC; empty for a success
	Upstream time.Duration // of a call

	begun bool
}

// What an observation says instead of a name, and of results that are errors.
const (
	unknown   = "unknown"
	toolError = "tool_error"
)

// maxCounter is how long an id is that only counts.
const maxCounter = 10

// observedMethods are those that an observation names.
var observedMethods = []string{"initialize", "ping", "server/discover", "tools/list", "tools/call", "subscriptions/listen",
	"prompts/list", "prompts/get", "resources/list", "resources/templates/list", "resources/read", "completion/complete", "logging/setLevel", subscribe, "resources/unsubscribe",
	upstream.GetTask, upstream.UpdateTask, upstream.CancelTask, upstream.TaskResult,
	"notifications/initialized", "notifications/cancelled"}

func (g *Gateway) watch() *Observation {
	if g.c.Observer == nil {
		return nil
	}
	return &Observation{Began: time.Now(), Method: unknown}
}

// observe reads the trace context of a request, and begins its observation.
func (g *Gateway) observe(x *exchange) {
	x.trace = x.traceContext()
	o := x.seen
	if o == nil {
		return
	}
	o.begun, o.Persona, o.Decision = true, string(x.persona), audit.Allowed
	o.Parent, o.State, o.HTTP = x.trace.parent, x.trace.state, x.trace.http
	switch {
	case slices.Contains(observedMethods, x.method):
		o.Method = x.method
	case x.r.Method == http.MethodGet || x.r.Method == http.MethodDelete:
		o.Method = x.r.Method
	}
	if len(x.id) <= maxCounter && x.id != nil && x.id[0] != '"' {
		o.ID = string(x.id)
	}
	ctx := g.c.Observer.Begin(x.r.Context(), o)
	x.r = x.r.WithContext(ctx)
	if id := g.c.Observer.Trace(ctx); id != "" {
		x.trace.id = id
	}
}

// step runs a step of a call. The call of the server is observed where it is made.
func (g *Gateway) step(ctx context.Context, c *call, s step) *fault {
	if c.seen == nil || s.name == "forward" {
		return s.run(g, ctx, c)
	}
	began := time.Now()
	f := s.run(g, ctx, c)
	g.c.Observer.Step(ctx, s.name, began, f != nil && f != anew)
	return f
}

// refused notes that a request was refused before a tool was called.
func (x *exchange) refused(f *fault, rule string) {
	if o := x.seen; o != nil {
		o.Persona, o.Decision, o.Rule, o.Error = x.who.Persona, audit.Refused, rule, f.class()
	}
}

// observed notes what came of a call. One whose answer is withheld because it could not be recorded has failed.
func (c *call) observed(f *fault, withheld bool) {
	o := c.seen
	if o == nil {
		return
	}
	o.Revision, o.Decision, o.Rule = c.entry.Revision, c.entry.Decision, c.entry.Policy
	o.Upstream = time.Duration(c.entry.UpstreamMicros) * time.Microsecond
	if c.grant != nil {
		o.Name, o.Tool = c.grant.Name, string(c.grant.Tool)
	}
	for key := range c.entry.Detail {
		if name, ok := strings.CutPrefix(key, "mask "); ok {
			o.Masks = append(o.Masks, name)
		}
	}
	slices.Sort(o.Masks)
	if withheld {
		o.Decision, o.Rule = audit.Failed, "record"
	}
	if f != nil {
		o.Error = f.class()
	}
}

// class is the fault in few words that are the same for all of its kind.
func (f *fault) class() string {
	switch {
	case f.silent:
		return "cancelled"
	case f.tool:
		return toolError
	default:
		return strconv.Itoa(f.code)
	}
}

// ended ends an observation. What was neither served nor refused, such as a path of no persona, is not observed.
func (g *Gateway) ended(x *exchange) {
	o := x.seen
	if o == nil {
		return
	}
	if x.persona != "" && !o.begun { // there was no body to read, or it could not be read
		before := *o
		if g.observe(x); before.Decision != "" {
			o.Decision, o.Rule, o.Error = before.Decision, before.Rule, before.Error
		}
	}
	switch {
	case o.Decision == "":
		return
	case x.session != nil:
		o.Session, o.Protocol = x.session.id, x.session.version
	case x.modern:
		o.Protocol = modernVersion
	}
	g.c.Observer.End(x.r.Context(), o)
}

// Stats is what the gateway holds open now.
type Stats struct {
	Requests int // that are being served, streams included
	Streams  int
	Sessions int // of the older era, those included that are idle
}

// Stats counts.
func (g *Gateway) Stats() Stats {
	s := Stats{Requests: int(g.serving.Load())}
	g.streams.mu.Lock()
	for _, open := range g.streams.open {
		s.Streams += len(open)
	}
	g.streams.mu.Unlock()
	g.sessions.mu.Lock()
	defer g.sessions.mu.Unlock()
	s.Sessions = len(g.sessions.byID)
	return s
}
