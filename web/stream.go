package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"remit/composer"
	"remit/identity"
	"remit/internal/visible"
	"remit/persona"
)

// drafting is one request of a page for a draft. A page that takes a stream hears of each step; one without scripts gets the
// page that shows the draft when all is done.
type drafting struct {
	job string
	// save keeps a draft and says where it is shown. It is called with the embedded composer's draft when an answer of a model is
	// waited for in a stream, and again when the model made another one. embedded is the draft before a model's; nil for none.
	save func(ctx context.Context, d composer.Draft, embedded *composer.Draft) (path string, err error)
}

// Bounds of a stream.
const (
	stillHere    = 15 * time.Second // between two signs of life, for proxies that end what is silent
	writeTimeout = 30 * time.Second // for a page to take one event
)

// answer makes the draft and answers with where it is, in steps if the page asked for them. Without, errors are the caller's to show.
func (s *site) answer(c echo.Context, by identity.Principal, d drafting) error {
	ctx, cancel := context.WithTimeout(c.Request().Context(), s.ComposeTimeout)
	defer cancel()
	save := d.save
	d.save = func(ctx context.Context, draft composer.Draft, embedded *composer.Draft) (string, error) {
		if err := s.stillIs(ctx, c, by); err != nil { // a model may have taken minutes
			return "", err
		}
		return save(ctx, draft, embedded)
	}
	if c.Request().Header.Get("Accept") == eventStream {
		s.stream(ctx, c, d)
		return nil
	}
	var embedded *composer.Draft
	draft, err := s.Composer.Follow(ctx, d.job, func(step composer.Step) error {
		if step.Draft != nil && step.Draft.Model != nil {
			embedded = step.Draft
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("drafting the tools: %w", err)
	}
	path, err := d.save(ctx, draft, embedded)
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, path)
}

// stillIs refuses whoever signed out, was disabled, or has other roles or teams than at the beginning of the request.
func (s *site) stillIs(ctx context.Context, c echo.Context, by identity.Principal) error {
	now, err := s.Directory.Session(ctx, s.token(c))
	switch {
	case errors.Is(err, identity.ErrCredential):
		return errSignIn
	case err != nil:
		return err
	case now.Person != by.Person || !slices.Equal(now.Roles, by.Roles) || !slices.Equal(now.Teams, by.Teams):
		return fmt.Errorf("%w: your roles or teams changed while the draft was made; open the page again", identity.ErrForbidden)
	}
	return nil
}

const eventStream = "text/event-stream"

// stream tells each step as an event: needs, draft, asking, model, and in the end done or failed. A draft is kept before a
// model is asked, so that a connection that is cut, or a page that is closed, leaves it.
func (s *site) stream(ctx context.Context, c echo.Context, d drafting) {
	events := newEvents(c.Response())
	defer events.close()
	kept := ""
	var embedded *composer.Draft
	fail := func(err error) {
		status, heading, text := explain(err)
		if status == http.StatusInternalServerError {
			s.Log.Error("a draft failed", "route", c.Path(), "error", err)
		}
		events.send("failed", map[string]string{"heading": heading, "text": visible.Text(text), "to": kept})
	}
	draft, err := s.Composer.Follow(ctx, d.job, func(step composer.Step) (err error) {
		switch {
		case step.Asking != "":
			events.send("asking", map[string]string{"question": step.Asking})
		case step.Draft != nil:
			if step.Draft.Model == nil {
				return nil // it is the whole answer
			}
			embedded = step.Draft
			if kept, err = d.save(ctx, *embedded, nil); err == nil {
				events.send("draft", eventOf(*step.Draft, kept))
			}
		default:
			events.send("needs", needsEvent(step, d.job, len(s.Catalog.Tools())))
		}
		return err
	})
	switch {
	case errors.Is(err, context.Canceled):
		return // nobody listens
	case err == nil && kept == "":
		kept, err = d.save(ctx, draft, nil)
	case err == nil:
		_, err = d.save(ctx, draft, embedded)
	}
	if err != nil {
		fail(err)
		return
	}
	events.send("done", eventOf(draft, kept))
}

type shownNeed struct {
	Text   string `json:"text"`
	Effect string `json:"effect"`
}

func needsEvent(step composer.Step, job string, catalogTools int) any {
	needs := []shownNeed{}
	for _, n := range step.Needs {
		for _, words := range quoted(job, []persona.Span{n.Words}) {
			needs = append(needs, shownNeed{visible.Text(words), string(n.Effect)})
		}
	}
	return map[string]any{"needs": needs, "candidates": step.Candidates, "tools": catalogTools}
}

type shownChoice struct {
	Tool   string `json:"tool"`
	Effect string `json:"effect"`
	Why    string `json:"why"`
}

// eventOf is a draft as a script shows it: text only, with hidden characters spelt out.
func eventOf(d composer.Draft, path string) any {
	tools := []shownChoice{}
	for _, c := range d.Choices {
		tools = append(tools, shownChoice{visible.Text(string(c.Tool)), string(c.Effect), visible.Text(c.Reason)})
	}
	out := map[string]any{"to": path, "tools": tools, "gaps": len(d.Gaps), "model": "", "failed": ""}
	if d.Model != nil {
		out["model"], out["failed"] = visible.Text(d.Model.Name), visible.Text(d.Model.Failed)
	}
	return out
}

// events are server-sent events. What cannot be sent is not: the request's context ends with the connection.
type events struct {
	mu   sync.Mutex
	w    http.ResponseWriter
	stop func()
}

func newEvents(w http.ResponseWriter) *events {
	w.Header().Set("Content-Type", eventStream)
	w.Header().Set("X-Accel-Buffering", "no") // nginx would collect it
	w.WriteHeader(http.StatusOK)
	over := make(chan struct{})
	e := &events{w: w, stop: sync.OnceFunc(func() { close(over) })}
	go func() {
		tick := time.NewTicker(stillHere)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-tick.C:
				e.write(": still here\n\n")
			}
		}
	}()
	return e
}

func (e *events) close() {
	e.mu.Lock() // a write that is under way ends before the request does
	defer e.mu.Unlock()
	e.stop()
	e.w = nil
}

func (e *events) send(name string, data any) {
	text, err := json.Marshal(data)
	if err != nil {
		panic(err) // of texts and numbers
	}
	e.write("event: " + name + "\ndata: " + string(text) + "\n\n")
}

func (e *events) write(text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.w == nil {
		return
	}
	to := http.NewResponseController(e.w)
	_ = to.SetWriteDeadline(time.Now().Add(writeTimeout)) // where there is one
	_, _ = e.w.Write([]byte(text))
	_ = to.Flush()
}
