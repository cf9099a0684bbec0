package web_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"remit/catalog"
	"remit/composer"
	"remit/identity"
	"remit/internal/fakeopenai"
	"remit/internal/llm"
	"remit/persona"
)

// event of a stream, as a page's script reads it.
type event struct {
	name string
	data struct {
		To, Text, Model, Failed, Question string
		Needs                             []struct{ Text, Effect string }
		Tools                             any
		Candidates                        int
	}
}

// streamed is an answer that comes in steps.
type streamed struct {
	t    *testing.T
	body io.ReadCloser
	scan *bufio.Scanner
}

// stream sends a form as a page's script does.
func (b *browser) stream(ctx context.Context, path string, form url.Values) *streamed {
	b.t.Helper()
	req, err := http.NewRequestWithContext(ctx, "POST", b.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	req.Header.Set("Accept", "text/event-stream")
	res, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { res.Body.Close() })
	if got := res.Header.Get("Content-Type"); res.StatusCode != 200 || got != "text/event-stream" {
		b.t.Fatalf("%s: got %s and %s, want a stream", path, res.Status, got)
	}
	return &streamed{b.t, res.Body, bufio.NewScanner(res.Body)}
}

// next is the next event; its name is empty at the end.
func (s *streamed) next() (e event) {
	s.t.Helper()
	for s.scan.Scan() {
		switch line := s.scan.Text(); {
		case strings.HasPrefix(line, "event: "):
			e.name = strings.TrimPrefix(line, "event: ")
		case strings.HasPrefix(line, "data: "):
			if err := json.Unmarshal([]byte(line[6:]), &e.data); err != nil {
				s.t.Fatalf("%s: %v", line, err)
			}
		case line == "" && e.name != "":
			return e
		}
	}
	return event{}
}

func (s *streamed) rest() (names []string, last event) {
	s.t.Helper()
	for {
		e := s.next()
		if e.name == "" {
			return names, last
		}
		names, last = append(names, e.name), e
	}
}

// modelled is a world whose composer asks a model. Each question waits until it is let go.
func modelled(t *testing.T, answers map[string]string) (w *world, let chan struct{}, end *fakeopenai.Server) {
	t.Helper()
	end, let = fakeopenai.New(8), make(chan struct{}, 100)
	over := t.Context()
	end.Answer = func(r fakeopenai.Request) string {
		select {
		case <-let:
		case <-over.Done():
		}
		answer := answers[r.ResponseFormat.JSONSchema.Name]
		_, tools, _ := strings.Cut(r.Messages[1].Content, "<tools>\n")
		for line := range strings.Lines(tools) {
			var tool struct{ ID, Server, Name string }
			if json.Unmarshal([]byte(line), &tool) == nil {
				answer = strings.ReplaceAll(answer, "{"+tool.Server+"/"+tool.Name+"}", tool.ID)
			}
		}
		return answer
	}
	chat, err := llm.NewChat(llm.ChatConfig{URL: end.URL, Model: "scripted", Key: "sk-canary", PerMinute: 1000})
	if err != nil {
		t.Fatal(err)
	}
	w = newWorldWith(t, catalog.New(catalog.Config{}), shop(), composer.Config{Model: chat, ModelTime: time.Minute})
	t.Cleanup(end.Close) // before the site: requests that hang end
	return w, let, end
}

// answered is a model that takes the customer and leaves the invoices out.
var answered = map[string]string{
	"needs": `{"needs":[{"words":"Look up the customer","search":"get customer","effect":"read","object":"customer","product":""},
		{"words":"list their invoices","search":"list invoices","effect":"read","object":"invoice","product":""}],"prohibitions":[]}`,
	"choose":   `{"choices":[{"tool":"{crm/get_customer}","needs":["n1"],"why":"It finds them.","limits":[],"arguments":[]}],"near_misses":[],"gaps":[{"need":"n2","why":"<b>none</b>"}]}`,
	"critique": `{"remove":[]}`,
}

func form(title string) url.Values { return url.Values{"title": {title}, "id": {"p"}, "job": {job}} }

// draftOf is the newest revision of persona p, and what its composer noted.
func (w *world) draftOf(t *testing.T) (persona.Revision, composer.Draft) {
	t.Helper()
	p, err := w.store.Persona(t.Context(), "p")
	if err != nil {
		t.Fatal(err)
	}
	var d composer.Draft
	if err := json.Unmarshal(p.Latest().Notes, &d); err != nil {
		t.Fatal(err)
	}
	return p.Latest(), d
}

func toolsOf(r persona.Revision) (ids []string) {
	for _, g := range r.Grants {
		ids = append(ids, string(g.Tool))
	}
	slices.Sort(ids)
	return ids
}

// TestStreamWithoutModel: needs, then the draft, and the page to go to.
func TestStreamWithoutModel(t *testing.T) {
	w := newWorld(t, shop())
	ann := w.as(t, "ann")
	s := ann.stream(t.Context(), "/new", form("P"))
	first := s.next()
	if first.name != "needs" || len(first.data.Needs) != 2 || first.data.Needs[0].Text != "Look up the customer who wrote" || first.data.Candidates == 0 {
		t.Errorf("got %+v, want the needs", first)
	}
	names, last := s.rest()
	if !slices.Equal(names, []string{"done"}) || last.data.To != "/personas/p" {
		t.Fatalf("got %v and %+v, want done", names, last)
	}
	ann.get(last.data.To)
	ann.wants(200, `data-tool="crm/get_customer"`)
}

// TestStreamWithModel: the embedded draft is kept and told before the model is asked; then its choice replaces it.
func TestStreamWithModel(t *testing.T) {
	w, let, _ := modelled(t, answered)
	ann := w.as(t, "ann")
	s := ann.stream(t.Context(), "/new", form("P"))
	s.next()
	if e := s.next(); e.name != "draft" || e.data.To != "/personas/p" || e.data.Model != "scripted" {
		t.Fatalf("got %+v, want the draft", e)
	}
	r, d := w.draftOf(t)
	if diff := cmp.Diff([]string{"billing/list_invoices", "crm/get_customer"}, toolsOf(r)); diff != "" || d.Model == nil || !strings.Contains(d.Model.Failed, "not waited for") {
		t.Errorf("while the model is asked: %s%+v", diff, d.Model)
	}
	for range 3 {
		let <- struct{}{}
	}
	names, last := s.rest()
	if want := []string{"asking", "asking", "asking", "done"}; !slices.Equal(names, want) || last.data.Failed != "" {
		t.Fatalf("got %v and %+v, want %v", names, last.data, want)
	}
	r, d = w.draftOf(t)
	if got := toolsOf(r); !slices.Equal(got, []string{"crm/get_customer"}) || d.Model.Failed != "" || r.Number != 1 {
		t.Errorf("got %v and %+v, want the model's choice", got, d.Model)
	}
}

// TestStreamThatIsCut: whatever ends the stream while the model is asked, the embedded draft stays and says what happened.
func TestStreamThatIsCut(t *testing.T) {
	w, _, end := modelled(t, answered)
	ann := w.as(t, "ann")
	ctx, cut := context.WithCancel(t.Context())
	s := ann.stream(ctx, "/new", form("P"))
	for e := s.next(); e.name != "asking"; e = s.next() {
	}
	cut()
	ann.get("/personas/p")
	ann.wants(200, `data-tool="billing/list_invoices"`, "Drafted without the language model", "not waited for")

	end.Misbehave(fakeopenai.Unauthorized)
	rob := w.as(t, "rob")
	names, last := rob.stream(t.Context(), "/new", url.Values{"title": {"Q"}, "job": {job}}).rest()
	if names[len(names)-1] != "done" || last.data.To != "/personas/q" || last.data.Failed == "" {
		t.Fatalf("with a model that refuses: got %v, %+v", names, last.data)
	}
	rob.get(last.data.To)
	rob.wants(200, `data-tool="billing/list_invoices"`, "Drafted without the language model")
	rob.lacks("sk-canary")
}

// TestStreamLeavesEdits: who goes on with the embedded draft keeps what they did.
func TestStreamLeavesEdits(t *testing.T) {
	w, let, _ := modelled(t, answered)
	ann := w.as(t, "ann")
	s := ann.stream(t.Context(), "/new", form("P"))
	for e := s.next(); e.name != "asking"; e = s.next() {
	}
	other := w.as(t, "ann")
	other.get("/personas/p")
	other.post("/personas/p", url.Values{"base": {other.value("base")}, "add": {"chat/post_message"}})
	other.wants(200, "Added by ann")
	for range 3 {
		let <- struct{}{}
	}
	names, last := s.rest()
	if names[len(names)-1] != "failed" || !strings.Contains(last.data.Text, "what was changed stays") || last.data.To != "/personas/p" {
		t.Errorf("got %v, %+v, want failed", names, last.data)
	}
	r, _ := w.draftOf(t)
	if got := toolsOf(r); !slices.Equal(got, []string{"billing/list_invoices", "chat/post_message", "crm/get_customer"}) {
		t.Errorf("got %v, want what ann edited", got)
	}
}

// TestStreamOfWhoLeft: what a model chooses is not saved for a person who was disabled, or may no longer draft, while it was asked.
func TestStreamOfWhoLeft(t *testing.T) {
	for name, tc := range map[string]struct {
		stop func(*world) error
		want string
	}{
		"disabled": {func(w *world) error { return w.directory.SetDisabled(t.Context(), identity.Operator(), "ann", true) }, "Your session has ended"},
		"lost a role": {func(w *world) error {
			return w.directory.SetRoles(t.Context(), identity.Operator(), "ann", []identity.Role{identity.Viewer})
		}, "your roles or teams changed"},
	} {
		t.Run(name, func(t *testing.T) {
			w, let, _ := modelled(t, answered)
			s := w.as(t, "ann").stream(t.Context(), "/new", form("P"))
			for e := s.next(); e.name != "asking"; e = s.next() {
			}
			before, _ := w.draftOf(t)
			if err := tc.stop(w); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				let <- struct{}{}
			}
			names, last := s.rest()
			if names[len(names)-1] != "failed" || !strings.Contains(last.data.Text, tc.want) {
				t.Errorf("got %v, %+v, want failed because %q", names, last.data, tc.want)
			}
			if after, _ := w.draftOf(t); !after.Created.Equal(before.Created) {
				t.Error("another draft was saved")
			}
		})
	}
}

// TestStreamRefuses: what is wrong is told, and nothing is made.
func TestStreamRefuses(t *testing.T) {
	w := newWorld(t, shop())
	ann, vic := w.as(t, "ann"), w.as(t, "vic")
	_, last := ann.stream(t.Context(), "/new", url.Values{"title": {"P"}, "id": {"Not an id"}, "job": {job}}).rest()
	if last.name != "failed" || !strings.Contains(last.data.Text, "lower-case letters") || last.data.To != "" {
		t.Errorf("a bad id: got %+v", last)
	}
	all, err := w.store.Personas(t.Context())
	if err != nil || len(all) != 0 {
		t.Errorf("got %v, %v, want no persona", all, err)
	}
	for _, b := range []*browser{vic, w.browser(t)} { // without the role, and without a session: a page, which the script shows by sending the form
		req, err := http.NewRequestWithContext(t.Context(), "POST", w.URL+"/new", strings.NewReader(form("P").Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
		req.Header.Set("Accept", "text/event-stream")
		b.send(req)
		if b.status != 401 && b.status != 403 || !strings.HasPrefix(b.header.Get("Content-Type"), "text/html") {
			t.Errorf("got %d and %s, want a page", b.status, b.header.Get("Content-Type"))
		}
	}
}
