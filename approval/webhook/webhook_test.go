package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"remit/approval"
)

// The example of the Standard Webhooks specification.
func TestSign(t *testing.T) {
	s, err := New(Config{Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})
	if err != nil {
		t.Fatal(err)
	}
	got := sign(s.key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`))
	if want := "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSecrets(t *testing.T) {
	for secret, ok := range map[string]bool{"": false, "short": false, "whsec_not base64 at all, but long": false, "whsec_c2hvcnQ=": false,
		strings.Repeat("x", 24): true, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw": true} {
		if _, err := New(Config{Secret: secret}); (err == nil) != ok {
			t.Errorf("%q: got %v", secret, err)
		}
	}
}

// receiver answers with the statuses in turn, the last of them from then on.
type receiver struct {
	mu       sync.Mutex
	statuses []int
	got      []*http.Request
	bodies   [][]byte
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	status := r.statuses[min(len(r.got), len(r.statuses)-1)]
	r.got, r.bodies = append(r.got, req), append(r.bodies, body)
	w.Header().Set("Location", "http://elsewhere.example/")
	w.WriteHeader(status)
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.got)
}

// start runs a sender against the receiver and returns what it logs.
func start(t *testing.T, r *receiver, url string) (*Sender, func() string) {
	t.Helper()
	if url == "" {
		server := httptest.NewServer(r)
		t.Cleanup(server.Close)
		url = server.URL + "/hook/path-secret"
	}
	var mu sync.Mutex
	var log bytes.Buffer
	s, err := New(Config{URL: url, Secret: strings.Repeat("s", 24), First: time.Millisecond, Page: func(id string) string { return "https://remit.example/approvals/" + id },
		Log: slog.New(slog.NewTextHandler(writer(func(p []byte) (int, error) { mu.Lock(); defer mu.Unlock(); return log.Write(p) }), nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { _ = s.Run(ctx) }) // ends with ctx only
	t.Cleanup(func() { end(); done.Wait() })
	return s, func() string { mu.Lock(); defer mu.Unlock(); return log.String() }
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for tick := time.NewTicker(time.Millisecond); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: it did not happen", what)
		}
	}
}

func request() approval.Request {
	return approval.Request{ID: "abc", Minutes: 15, Created: time.Now().UTC(), Expires: time.Now().Add(15 * time.Minute), Text: []byte(`{"card":"4111111111111111"}`),
		Binding: approval.Binding{Key: "k", Agent: "bot", User: "carol", Persona: "support", Revision: 3, Tool: "crm/find", Arguments: "sha256:a"}}
}

// A message is sent until it is taken, under one id, with a signature that the receiver can check, and without arguments.
func TestMessage(t *testing.T) {
	r := &receiver{statuses: []int{500, 429, 204}}
	s, _ := start(t, r, "")
	s.Asked(request())
	eventually(t, "three tries", func() bool { return r.count() == 3 })
	for i, req := range r.got {
		h := req.Header
		if got, want := h.Get("Webhook-Signature"), "v1,"+sign([]byte(strings.Repeat("s", 24)), "msg_abc", h.Get("Webhook-Timestamp"), r.bodies[i]); got != want || h.Get("Webhook-Id") != "msg_abc" {
			t.Errorf("try %d: got %v, want the signature %s", i+1, h, want)
		}
	}
	var m map[string]any
	if err := json.Unmarshal(r.bodies[2], &m); err != nil {
		t.Fatal(err)
	}
	data := m["data"].(map[string]any)
	if m["type"] != "approval.requested" || data["tool"] != "crm/find" || data["agent"] != "bot" || data["user"] != "carol" || data["url"] != "https://remit.example/approvals/abc" {
		t.Errorf("got %s", r.bodies[2])
	}
	if text := string(r.bodies[2]); strings.Contains(text, "4111") || strings.Contains(text, "sha256:a") {
		t.Errorf("got %s, which tells of the arguments", text)
	}
}

// What a receiver refuses for good, redirects included, is not tried again; the log does not show the address.
func TestRefused(t *testing.T) {
	for _, status := range []int{400, 302, 410} {
		r := &receiver{statuses: []int{status}}
		s, log := start(t, r, "")
		s.Asked(request())
		eventually(t, "the log", func() bool { return strings.Contains(log(), "id=msg_abc") })
		if r.count() != 1 || strings.Contains(log(), "path-secret") {
			t.Errorf("%d: got %d tries, log %s", status, r.count(), log())
		}
	}
	s, log := start(t, nil, "http://127.0.0.1:1/path-secret")
	s.Asked(request())
	eventually(t, "it is given up", func() bool { return strings.Contains(log(), "id=msg_abc") })
	if strings.Contains(log(), "path-secret") {
		t.Errorf("got log %s", log())
	}
}

// A receiver that hangs holds nobody up.
func TestAskedNeverBlocks(t *testing.T) {
	s, err := New(Config{Secret: strings.Repeat("s", 24), Page: func(string) string { return "" }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 * maxWaiting {
		s.Asked(request())
	}
	if len(s.queue) != maxWaiting {
		t.Errorf("got %d messages kept, want %d", len(s.queue), maxWaiting)
	}
}

// TestSubmittedMessage: a revision that waits for its review is told of as a call is, under an id of its own.
func TestSubmittedMessage(t *testing.T) {
	r := &receiver{statuses: []int{503, 200}}
	s, _ := start(t, r, "")
	s.Submitted(Submission{Persona: "support", Title: "Support", Revision: 2, By: "ada", Tools: 4, URL: "https://remit.example/personas/support/review", At: time.Now()})
	eventually(t, "two tries", func() bool { return r.count() == 2 })
	if r.got[0].Header.Get("Webhook-Id") != r.got[1].Header.Get("Webhook-Id") {
		t.Error("the tries have two ids")
	}
	for _, want := range []string{`"type":"persona.submitted"`, `"persona":"support"`, `"revision":2`, `"by":"ada"`, `"tools":4`, `/personas/support/review"`} {
		if !strings.Contains(string(r.bodies[1]), want) {
			t.Errorf("got %s, want %s in it", r.bodies[1], want)
		}
	}
	s.Submitted(Submission{Persona: "old", Revision: 1, At: time.Now().Add(-25 * time.Hour)})
	s.Submitted(Submission{Persona: "new", Revision: 1, At: time.Now()})
	eventually(t, "the newer one", func() bool { return r.count() == 3 })
	if !strings.Contains(string(r.bodies[2]), `"new"`) {
		t.Errorf("got %s, want what is not a day old", r.bodies[2])
	}
}
