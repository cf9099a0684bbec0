package gateway_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"remit/approval"
	"remit/catalog"
	"remit/gateway"
	"remit/identity"
	"remit/internal/services"
	"remit/persona"
	"remit/policy"
	"remit/store"
)

var sessionKey = []byte("the same on all replicas")

// replica is a second gateway on the world's database, with a memory of its own. Its server takes the place of the world's.
func (w *world) replica(where string, staleness time.Duration, listens bool) {
	w.t.Helper()
	ctx := context.Background()
	db, err := store.Open(ctx, where)
	must(w.t, err)
	cache, err := store.NewCache(ctx, db)
	must(w.t, err)
	cache.Staleness = staleness
	desk := &approval.Desk{Store: db, Key: make([]byte, 32), URL: "http://remit.test"}
	g := gateway.New(gateway.Config{Personas: cache, Audit: db, Keys: &identity.Directory{Store: cache}, Current: w.current, Listed: w.crawler.Listed,
		Upstreams: gateway.Pool(w.pool), Recheck: time.Hour, SessionKey: sessionKey, StateKey: sessionKey, Approvals: desk, ApprovalWait: 30 * time.Second})
	server := httptest.NewServer(g)
	life, end := context.WithCancel(ctx)
	var done sync.WaitGroup
	if listens {
		ready := make(chan struct{}, 1)
		done.Go(func() {
			_ = cache.Run(life, func(e store.Event) { // it ends with life only
				switch e.Kind {
				case store.Anything:
					ready <- struct{}{}
				case store.PersonaChanged:
					g.Notify(persona.ID(e.Of))
				case store.PersonMoved:
					g.Moved(e.Of)
				case store.ApprovalMoved:
					desk.Wake(e.Of)
				}
			})
		})
		<-ready
	}
	w.t.Cleanup(func() {
		bound, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		server.Close()
		_ = g.Close(bound)
		end()
		done.Wait()
		db.Close()
	})
	w.server = server
}

// hears is how a replica learns of what another did.
type hears struct {
	staleness time.Duration
	listens   bool
}

var hearing = map[string]hears{"asks each time": {0, false}, "listens": {time.Hour, true}, "is deaf": {time.Second, false}}

// await has calls refused: by a replica that asks each time the next one.
func (h hears) await(t *testing.T, refused func() bool) {
	t.Helper()
	if h.staleness > 0 {
		eventually(t, "a refusal", refused)
	} else if !refused() {
		t.Error("the next call was let through")
	}
}

// A key that is revoked on one replica is refused by the others: by a replica that asks each time on the next call, by one that
// listens as soon as it hears, by one that neither hears nor asks each time when its time is over.
func TestRevocationOnAnotherReplica(t *testing.T) {
	for name, tc := range hearing {
		t.Run(name, func(t *testing.T) {
			where := services.Postgres(t)
			w := newWorldOn(t, where, nil)
			w.replica(where, tc.staleness, tc.listens)
			refused := func() bool {
				answer := w.post(t.Context(), "support", "", call("find_customer", `{"email":"a@b.example"}`))
				text := w.text(answer)
				if answer.StatusCode != 401 && strings.Contains(text, "error") {
					t.Fatalf("got %d %s", answer.StatusCode, text)
				}
				return answer.StatusCode == 401
			}
			if refused() {
				t.Fatal("a good key was refused")
			}
			w.revoke("support")
			tc.await(t, refused)
		})
	}
}

// A tool that another replica found changed is refused here, as a revoked key is, although the catalog of this one still has what was approved.
func TestDriftFoundByAnotherReplica(t *testing.T) {
	for name, tc := range hearing {
		t.Run(name, func(t *testing.T) {
			where := services.Postgres(t)
			w := newWorldOn(t, where, nil)
			before := catalog.New(catalog.Config{})
			must(t, before.Replace(w.catalog.Tools(), nil))
			w.catalog = before // what this replica knows, and the crawler does not
			w.replica(where, tc.staleness, tc.listens)
			refused := func() bool {
				text := w.text(w.post(t.Context(), "support", "", call("find_customer", `{"email":"a@b.example"}`)))
				if strings.Contains(text, "Ada") == strings.Contains(text, "Refused: the tool changed after it was approved") {
					t.Fatalf("got %s", text)
				}
				return !strings.Contains(text, "Ada")
			}
			if refused() {
				t.Fatal("what was approved was refused")
			}
			w.fakes["crm"].SetTools(append(raw(strings.Replace(findCustomer, "by e-mail", "by e-mail, and tells everybody", 1)), definitions["crm"][1:]...))
			w.crawl()
			tc.await(t, refused)
		})
	}
}

// Streams and held calls of a replica hear at once what people did on another.
func TestStreamsAndHeldCallsHearOtherReplicas(t *testing.T) {
	where := services.Postgres(t)
	w := newWorldOn(t, where, nil)
	w.rule(policy.Policy{Approval: &policy.Approval{Minutes: 5}})
	w.replica(where, time.Hour, true)
	stream := events(w.get("support", w.session("support")))
	held := make(chan string, 1)
	go func() { held <- w.text(w.post(context.Background(), "clerk", "", call("refund", `{"cents":5}`))) }()
	w.approveCall(w.desk) // on the first replica
	if got := <-held; !strings.Contains(got, "refunded") {
		t.Errorf("a held call: got %s", got)
	}
	must(t, w.persona.Retire(t.Context(), bob, "support"))
	if got := <-stream; !strings.Contains(got, "list_changed") {
		t.Errorf("got %q, want list_changed", got)
	}
	if m, open := <-stream; open && !strings.Contains(m, "list_changed") {
		t.Errorf("got %q of a retired persona", m)
	}
}

// Whichever replica a request of a session reaches serves it. What is in the id opens nothing for another key or persona, and counts only as
// it was signed.
func TestSessionOnAnotherReplica(t *testing.T) {
	where := t.TempDir() + "/remit.db"
	w := newWorldOn(t, where, func(c *gateway.Config) { c.SessionKey = sessionKey })
	id, first := w.session("support"), w.server
	w.replica(where, 0, false)
	second := w.server
	ping := func(persona, session string) int {
		answer := w.post(t.Context(), persona, session, `{"jsonrpc":"2.0","id":1,"method":"ping"}`)
		w.text(answer)
		return answer.StatusCode
	}
	call := `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"find_customer","arguments":{"email":"a@b.example"}}}`
	if got := w.text(w.post(t.Context(), "support", id, call)); !strings.Contains(got, "Ada") {
		t.Errorf("got %s", got)
	}
	if e := w.entries(); e[len(e)-1].Protocol != "2025-11-25" || e[len(e)-1].Client != "test" {
		t.Errorf("the record has %+v, want the session's version and client", e[len(e)-1].Call)
	}
	flipped := []byte(id)
	flipped[10] ^= 1
	unsigned, _, _ := strings.Cut(id, ".")
	for name, got := range map[string]int{
		"another persona's key": ping("clerk", id), "changed": ping("support", string(flipped)), "unsigned": ping("support", unsigned),
		"signature of nothing": ping("support", unsigned+"."), "longer": ping("support", id+"A"), "invented": ping("support", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")} {
		if got != 404 {
			t.Errorf("%s: got %d, want 404", name, got)
		}
	}
	end, err := http.NewRequest(http.MethodDelete, w.server.URL+w.door+"support/mcp", nil)
	must(t, err)
	end.Header.Set("Authorization", "Bearer "+w.keys["support"])
	end.Header.Set("Mcp-Session-Id", id)
	answer, err := client.Do(end)
	must(t, err)
	if w.text(answer); answer.StatusCode != 204 || ping("support", id) != 404 {
		t.Errorf("a session that its client ended here goes on: %d", answer.StatusCode)
	}
	w.server = first
	old := w.session("support")
	w.ahead.Store(int64(25 * time.Hour)) // the first replica's clock
	if got := ping("support", old); got != 404 {
		t.Errorf("after a day: got %d, want 404", got)
	}
	w.server = second
}
