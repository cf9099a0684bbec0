package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"remit/internal/strictjson"
	"remit/policy"
	"remit/upstream"
)

// Between the eras: a server of the newer one ends its answer with what it asks and is called again; one of the older asks in the
// middle of its answer. A client of the newer is told in an answer and repeats the call; one of the older is asked on the stream
// of its call, and answers in a request of its own. Each of the four pairs is served here; what they have in common is in asks.go.

// turn is what came of one round at the server.
type turn struct {
	result strictjson.Value // as the server sent it, or
	asks   questions        // what it asks in the middle of its answer, which waits
	held   string           // under this name
}

// interim is what passes between the client and the server of a call before that has answered.
type interim struct {
	one    sync.Mutex    // question at a time
	waited time.Duration // for answers
	over   *fault        // that ended the call while it waited
	unsent bool          // and nothing reached the server
	pages  sync.Map      // ids of those that the client was asked to open
}

// turn makes the call, or goes on with it.
func (g *Gateway) turn(ctx context.Context, c *call, out upstream.Call) (turn, error) {
	switch {
	case len(out.Asks) == 0 && c.round.Number == 0:
		result, err := c.server.Call(ctx, out)
		return turn{result: result}, err
	case c.modern:
		return g.hear(ctx, c, out)
	}
	out.Answer = func(ctx context.Context, a upstream.Asked) (json.RawMessage, error) {
		kind, params, err := c.question(a.Method, jsontext.Value(a.Params))
		c.recordAsked(kind, err)
		if err != nil {
			return nil, &upstream.RPCError{Code: codeNoMethod, Message: err.Error()}
		}
		raw, err := g.put(ctx, c, question{a.Method, kind, params})
		return json.RawMessage(raw), err
	}
	if slices.Contains(out.Asks, upstream.Page) {
		out.Opened = c.opened
	}
	more := out.More
	for range maxRounds {
		result, err := c.server.Call(ctx, out)
		if err != nil || !isAsking(result) {
			return turn{result: result}, err
		}
		asks, err := c.inputAsked(result.Text)
		answers := map[string]jsontext.Value{}
		for _, key := range asks.keys {
			if err == nil {
				answers[key], err = g.put(ctx, c, asks.byKey[key])
			}
		}
		if err != nil {
			if ctx.Err() == nil && c.interim.over == nil {
				if said, ok := errors.AsType[*upstream.RPCError](err); ok {
					err = errors.New("the client did not answer it: " + said.Message)
				}
				c.interim.over = askFault(c, err)
			}
			return turn{}, err
		}
		out.More = maps.Clone(more)
		if out.More == nil {
			out.More = map[string]json.RawMessage{}
		}
		maps.Copy(out.More, again(answers, asks.state))
	}
	c.interim.over = askFault(c, errors.New("it asked again and again"))
	return turn{}, c.interim.over
}

// Error makes a fault what a round ends with.
func (f *fault) Error() string { return f.why() }

// put asks a client of the older era, on the stream of its call, and waits for the answer as long as the call may last. The answer has
// to come in the session of the call.
func (g *Gateway) put(ctx context.Context, c *call, q question) (jsontext.Value, error) {
	c.interim.one.Lock()
	defer c.interim.one.Unlock()
	if ctx.Err() != nil { // while another question was asked
		return nil, c.why(ctx)
	}
	if c.progress == nil {
		c.progress = c.stream()
	}
	put, err := g.expect(ctx, c.session)
	if err != nil {
		g.complain("a question of a server could not be kept for other replicas, and was not asked", err)
		return nil, &upstream.RPCError{Code: codeInternal, Message: "Remit could not ask the client now; try again"}
	}
	defer put.forget()
	began := g.c.Now()
	defer func() { c.interim.waited += g.c.Now().Sub(began) }()
	if q.kind == policy.AskPage {
		if in, ok := membersOf(q.params); ok {
			id, _ := in.text("elicitationId")
			c.interim.pages.Store(id, true)
		}
	}
	c.progress.message([]byte(`{"jsonrpc":"2.0","id":`+put.id+`,"method":"`+q.method+`","params":`), q.params, []byte("}"))
	var ending <-chan struct{} // no answer can come any more: this gateway takes no requests, and there is no other
	if g.c.Answers == nil {
		ending = g.closing
	}
	tick := time.NewTicker(g.c.Recheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, c.why(ctx)
		case <-c.r.Context().Done():
			return nil, errors.New("the client closed the connection on which it was asked")
		case <-ending:
			return nil, &upstream.RPCError{Code: codeInternal, Message: "Remit is shutting down"}
		case <-put.elsewhere:
			g.fetch(ctx, c.session, put.id)
		case <-tick.C:
			c.progress.comment()
			g.fetch(ctx, c.session, put.id)
			if f := g.stillMay(ctx, c, q.kind); f != nil {
				c.interim.over = f
				return nil, f
			}
		case a := <-put.heard:
			if f := g.stillMay(ctx, c, q.kind); f != nil {
				c.interim.over = f
				return nil, f
			}
			if a.failure != nil {
				return nil, clientError(a.failure)
			}
			if err := answered(q.kind, a.result); err != nil {
				return nil, &upstream.RPCError{Code: codeInvalidParams, Message: err.Error()}
			}
			g.recordAnswer(c, q.kind, a.result)
			return a.result, nil
		}
	}
}

// opened tells the client that a page was done with which it was asked to open during this call.
func (c *call) opened(id string) {
	id = c.grant.rules.MaskText(id)
	if _, asked := c.interim.pages.LoadAndDelete(id); asked && id != "" {
		c.progress.message([]byte(`{"jsonrpc":"2.0","method":"notifications/elicitation/complete","params":{"elicitationId":` + quote(id) + `}}`))
	}
}

// clientError is a client's error, for the server that asked.
func clientError(raw jsontext.Value) error {
	var e struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	if json.Unmarshal(raw, &e) != nil {
		e.Code, e.Message = codeInternal, "the client answered with an error that cannot be read"
	}
	return &upstream.RPCError{Code: e.Code, Message: clean(e.Message, maxReason)}
}

// stillMay decides again whether the call may be made, and its server ask, before an answer goes on: people had time to change
// their minds.
func (g *Gateway) stillMay(ctx context.Context, c *call, kind policy.Ask) *fault {
	if !g.stillValid(ctx, c.exchange) {
		f := toolFault("Refused: the access key stopped being valid while the server waited for an answer. The call may have taken effect.", "the access key stopped being valid")
		f.policy = "answers/key"
		return f
	}
	x := *c.exchange
	x.seen = nil
	now, f := g.decideAgain(ctx, &x, c)
	if f != nil {
		f.message += " The call that waited for an answer may have taken effect: check before you repeat it."
		return f
	}
	if now.grant.Digest != c.grant.Digest || !slices.Contains(now.grant.rules.Asks, kind) {
		return askFault(c, errors.New("it may no longer ask for "+string(kind)))
	}
	return nil
}

// decideAgain passes a call through the steps that decide, on how things are now.
func (g *Gateway) decideAgain(ctx context.Context, x *exchange, of *call) (*call, *fault) {
	v, f := g.view(x)
	if f != nil {
		return nil, f
	}
	now := &call{exchange: x, began: g.c.Now(), kind: of.kind, name: of.name, key: v.resolve(of.kind, of.name), arguments: of.arguments, revision: v, task: of.task}
	steps := deciding
	if of.task != nil {
		steps = decidingTask
	}
	for _, s := range steps {
		if f := s.run(g, ctx, now); f != nil {
			f.policy = orDefault(f.policy, s.name)
			return nil, f
		}
	}
	return now, nil
}

// expect has the session wait for the answer to a request of ours.
func (x *session) expect(id string) (<-chan reply, func()) {
	heard := make(chan reply, 1)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.asked[id] = heard
	return heard, func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		delete(x.asked, id)
	}
}

// hear takes a client's answer: the first, of the session that was asked. It says whether that was waited for here.
func (x *session) hear(id string, a reply) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	heard := x.asked[id]
	if heard != nil {
		heard <- a
		delete(x.asked, id)
	}
	return heard != nil
}
