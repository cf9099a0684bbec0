package gateway

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"remit/audit"
	"remit/internal/strictjson"
	"remit/upstream"
)

// held is a call at a server that may ask in the middle of its answer, made for a client that is told in an answer of its own and
// comes back. Meanwhile the server's call waits here, in this gateway, and no longer than a call may last.
type held struct {
	id, key string
	asks    chan heldAsk
	done    chan outcome // holds what came of it
	cancel  context.CancelFunc

	waits heldAsk     // while it is parked, and from then on until it is answered
	asked question    // the same, as the client sees it
	lost  audit.Entry // is recorded when the client does not come back
}

type heldAsk struct {
	upstream.Asked
	reply chan heldReply
}

func (q heldAsk) refuse(why string) {
	q.reply <- heldReply{err: &upstream.RPCError{Code: codeNoMethod, Message: why}}
}

type heldReply struct {
	result json.RawMessage
	err    error
}

type outcome struct {
	result strictjson.Value
	err    error
}

// parking is where calls wait for their clients.
type parking struct {
	mu   sync.Mutex
	byID map[string]*held
	over bool // nothing is parked any more
}

// maxHeld bounds the calls of one key that wait.
const maxHeld = 8

// heldKey names the one question of a call that waits.
const heldKey = "ask"

// park returns why the call cannot wait, and nothing when it does.
func (p *parking) park(h *held) (why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return "Remit is shutting down"
	}
	n := 0
	for _, other := range p.byID {
		if other.key == h.key {
			n++
		}
	}
	if n >= maxHeld {
		return fmt.Sprintf("%d calls of this client wait for an answer already", maxHeld)
	}
	if p.byID == nil {
		p.byID = map[string]*held{}
	}
	h.id = rand.Text() // a name for each question: the state of one before answers none that came later
	p.byID[h.id] = h
	return ""
}

// drop takes away a call that ended, and says whether it waited.
func (p *parking) drop(h *held) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byID[h.id] != h {
		return false
	}
	delete(p.byID, h.id)
	return true
}

// take returns a call that waits: to one client, once.
func (p *parking) take(id string) *held {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.byID[id]
	delete(p.byID, id)
	return h
}

// end cancels what waits, and lets nothing wait from now on.
func (p *parking) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	for _, h := range p.byID {
		h.cancel()
	}
}

// hear makes the call, or goes on with one that waits, until the server has answered or asks.
func (g *Gateway) hear(ctx context.Context, c *call, out upstream.Call) (turn, error) {
	var h *held
	if c.round.Held == "" {
		if c.round.Number > 0 {
			more := again(c.answers, c.round.State)
			maps.Copy(more, out.More)
			out.More = more
		}
		h = g.start(ctx, c, out)
	} else if h = g.held.take(c.round.Held); h == nil {
		c.interim.over = toolFault("Refused: the call that waited for this answer is over, or waits at another instance of Remit. It may have taken effect: check before you call again.", "no call waits for the answer")
		c.interim.over.policy, c.interim.unsent = "answers/over", true
		return turn{}, c.interim.over
	} else if raw, ok := c.answers[heldKey]; ok {
		h.waits.reply <- heldReply{result: json.RawMessage(raw)}
	} else if t, ok := g.park(c, h, h.waits, h.asked); ok {
		return t, nil
	}
	for {
		select {
		case o := <-h.done:
			return turn{result: o.result}, o.err
		case q := <-h.asks:
			kind, params, err := c.question(q.Method, jsontext.Value(q.Params))
			if err == nil && c.round.Number >= maxRounds {
				err = fmt.Errorf("it asked again after %d rounds", maxRounds)
			}
			c.recordAsked(kind, err)
			if err != nil {
				q.refuse(err.Error())
			} else if t, ok := g.park(c, h, q, question{q.Method, kind, params}); ok {
				return t, nil
			}
		case <-ctx.Done():
			h.cancel()
			o := <-h.done
			return turn{result: o.result}, o.err
		}
	}
}

// park has the server's call wait for the client. It tells the server where it cannot.
func (g *Gateway) park(c *call, h *held, q heldAsk, seen question) (turn, bool) {
	h.waits, h.asked = q, seen
	h.lost = c.entry
	h.lost.Detail = map[string]string{"name": c.grant.Name, "continues": c.named(), "asked": string(seen.kind)}
	h.lost.Decision, h.lost.Policy, h.lost.Reason = audit.Failed, "answers", "the client did not come back with an answer in time"
	if why := g.held.park(h); why != "" {
		q.refuse(why)
		return turn{}, false
	}
	return turn{asks: questions{keys: []string{heldKey}, byKey: map[string]question{heldKey: seen}}, held: h.id}, true
}

// start makes the server's call. It may outlive the request, but not the time that a call has.
func (g *Gateway) start(ctx context.Context, c *call, out upstream.Call) *held {
	deadline, _ := ctx.Deadline() // run sets one
	own, cancel := context.WithDeadline(context.WithoutCancel(ctx), deadline)
	stop := context.AfterFunc(g.life, cancel)
	h := &held{key: c.who.Key, asks: make(chan heldAsk), done: make(chan outcome, 1), cancel: cancel}
	out.Answer = func(ctx context.Context, a upstream.Asked) (json.RawMessage, error) {
		q := heldAsk{a, make(chan heldReply, 1)}
		select {
		case h.asks <- q:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		select {
		case r := <-q.reply:
			return r.result, r.err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	server := c.server
	g.busy.Add(1) // the request is in it, too
	go func() {
		defer g.busy.Done()
		defer stop()
		defer cancel()
		var o outcome
		o.result, o.err = server.Call(own, out)
		h.done <- o
		if g.held.drop(h) { // nobody came back
			if out.Method == upstream.TaskResult {
				h.lost.Detail["task"] = cancelledByUs
				defer cancelAt(server, out.Tool, out.For)
			}
			g.abandoned(h)
		}
	}()
	return h
}

// abandoned records a call that ended while it waited.
func (g *Gateway) abandoned(h *held) {
	ctx, cancel := context.WithTimeout(context.Background(), recordTimeout)
	defer cancel()
	h.lost.Time = g.c.Now()
	if err := g.c.Audit.Append(ctx, h.lost); err != nil {
		g.complain("the end of a call that waited for its client could not be recorded", err)
	}
}
