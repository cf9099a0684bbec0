package gateway

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"sync"
	"time"

	strict "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A client of the older era answers in a request of its own, which may reach another replica than the one in which its call waits.
// That one hands it over, encrypted, through what the replicas share. A question is known by chance that was told to its session alone; it
// takes one answer, of that session, and whoever asked reads the answer and decides on it as if it had come there.

// Answers is how replicas hand over what clients answer. A store.Answers is one.
type Answers interface {
	Expect(ctx context.Context, question, session string, last time.Duration) error
	Keep(ctx context.Context, question, session string, answer []byte) error
	Kept(ctx context.Context, question string) ([]byte, error)
	Forget(ctx context.Context, question string) error
}

const (
	questionPrefix = `"ask-`
	handOver       = 5 * time.Second // for the database, to keep a question or an answer
)

// waiting are the questions that were asked here, by what they are called.
type waiting struct {
	mu   sync.Mutex
	byID map[string]chan struct{} // holds one sign that there may be an answer
}

// Answered says that a question was answered at another replica; any may have been where it is empty.
func (g *Gateway) Answered(question string) {
	g.waiting.mu.Lock()
	defer g.waiting.mu.Unlock()
	for id, sign := range g.waiting.byID {
		if question == "" || id == question {
			select {
			case sign <- struct{}{}:
			default:
			}
		}
	}
}

// awaited is a question that a client was asked.
type awaited struct {
	id        string // as sent
	heard     <-chan reply
	elsewhere <-chan struct{} // holds a sign that another replica may have heard it; nil where there is none
	forget    func()
}

// expect makes a question known: to the session, and to the other replicas.
func (g *Gateway) expect(ctx context.Context, x *session) (awaited, error) {
	id := quote("ask-" + rand.Text())
	heard, own := x.expect(id)
	if g.c.Answers == nil {
		return awaited{id, heard, nil, own}, nil
	}
	sign := make(chan struct{}, 1)
	g.waiting.mu.Lock()
	if g.waiting.byID == nil {
		g.waiting.byID = map[string]chan struct{}{}
	}
	g.waiting.byID[id] = sign
	g.waiting.mu.Unlock()
	forget := func() {
		own()
		g.waiting.mu.Lock()
		delete(g.waiting.byID, id)
		g.waiting.mu.Unlock()
		bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), handOver)
		defer cancel()
		_ = g.c.Answers.Forget(bound, id) // it expires
	}
	if err := g.keepQuestion(ctx, x, id); err != nil {
		forget()
		return awaited{}, err
	}
	return awaited{id, heard, sign, forget}, nil
}

// keepQuestion has the other replicas know of a question, for as long as it waits.
func (g *Gateway) keepQuestion(ctx context.Context, x *session, id string) error {
	last := g.c.CallTimeout
	if deadline, ok := ctx.Deadline(); ok {
		last = time.Until(deadline)
	}
	bound, cancel := context.WithTimeout(ctx, handOver)
	defer cancel()
	return g.c.Answers.Expect(bound, id, x.handle(), last)
}

// fetch has the session hear what was answered at another replica. What does not open was not kept by one.
func (g *Gateway) fetch(ctx context.Context, x *session, id string) {
	if g.c.Answers == nil {
		return
	}
	bound, cancel := context.WithTimeout(ctx, handOver)
	defer cancel()
	kept, err := g.c.Answers.Kept(bound, id)
	if err == nil && kept == nil { // a database that crashed lost the question
		err = g.keepQuestion(ctx, x, id)
	}
	if err != nil || kept == nil {
		return // it is asked again
	}
	text, err := g.states.Open(nil, nil, kept, x.answerOf(id))
	if err != nil {
		return
	}
	if in, ok := membersOf(text); ok {
		x.hear(id, reply{in.at("result"), in.at("error")})
	}
}

// answer takes what a client answers: for a question that was asked here, or else for the replica that asked. What nobody waits for is dropped.
func (g *Gateway) answer(x *exchange) {
	id := string(x.id)
	if !x.session.hear(id, x.answer) && g.c.Answers != nil && strings.HasPrefix(id, questionPrefix) && len(id) <= maxID {
		out := map[string]jsontext.Value{}
		for name, value := range map[string]jsontext.Value{"result": x.answer.result, "error": x.answer.failure} {
			if len(value) > maxAnswer {
				value = jsontext.Value(`""`) // which is refused by who asked
			}
			if value != nil {
				out[name] = value
			}
		}
		text, err := strict.Marshal(out)
		if err == nil {
			ctx, cancel := context.WithTimeout(x.r.Context(), handOver)
			defer cancel()
			err = g.c.Answers.Keep(ctx, id, x.session.handle(), g.states.Seal(nil, nil, text, x.session.answerOf(id)))
		}
		if err != nil {
			g.complain("a client's answer could not be handed to the replica that asked", err)
			g.refuse(x, httpFault(http.StatusServiceUnavailable, "The answer could not be handed to the instance of Remit that asked: send it again in a moment."))
			return
		}
	}
	x.w.WriteHeader(http.StatusAccepted)
}

// handle names the session to the other replicas.
func (x *session) handle() string {
	sum := sha256.Sum256([]byte(x.id))
	return hex.EncodeToString(sum[:])
}

// answerOf is what an answer is encrypted for: a question of the session. No call's state is bound to anything that begins so.
func (x *session) answerOf(id string) []byte { return []byte("answer to " + id + " in " + x.handle()) }
