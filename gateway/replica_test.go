package gateway_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
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
		Upstreams: gateway.Pool(w.pool), Recheck: time.Hour, SessionKey: sessionKey, StateKey: sessionKey, Answers: store.Answers{Store: db}, Approvals: desk, ApprovalWait: 30 * time.Second})
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

// A client of the older era may answer at any replica what it was asked: the one that asked hears it, whether it is told or looks. Neither
// another session, another key nor an invented question is heard there, and what was taken away meanwhile holds. A question that the database
// lost is kept anew.
func TestAnswerOnAnotherReplica(t *testing.T) {
	for name, told := range map[string]bool{"is told": true, "looks": false} {
		t.Run(name, func(t *testing.T) {
			where := services.Postgres(t)
			shared, err := store.Open(t.Context(), where)
			must(t, err)
			t.Cleanup(func() { shared.Close() })
			raw, err := sql.Open("pgx", where)
			must(t, err)
			t.Cleanup(func() { raw.Close() })
			w := newWorldOn(t, where, func(c *gateway.Config) {
				c.SessionKey, c.StateKey, c.Answers = sessionKey, sessionKey, store.Answers{Store: shared}
				if told {
					c.Recheck = time.Hour
				}
			})
			if told {
				heard := make(chan struct{}, 1)
				life, end := context.WithCancel(context.Background())
				var done sync.WaitGroup
				done.Go(func() {
					_ = shared.Listen(life, func(e store.Event) { // it ends with life only
						if e.Kind == store.Anything {
							heard <- struct{}{}
						} else if e.Kind == store.AnswerKept {
							w.gateway.Answered(e.Of)
						}
					})
				})
				t.Cleanup(func() { end(); done.Wait() })
				<-heard
			}
			w.revise("clerk", persona.Grant{Pin: persona.Pin{Tool: "old/form"}, Policy: policy.Policy{Asks: []policy.Ask{policy.AskForm}}})
			w.asksFor("old/form")
			first := w.server
			w.replica(where, 0, false)
			second := w.server
			open := func(id string) string { return w.askable(id, `{"elicitation":{}}`) }
			say := func(id, session, question, result string) {
				t.Helper()
				r := w.post(t.Context(), id, session, `{"jsonrpc":"2.0","id":`+question+`,"result":`+result+`}`)
				if text := w.text(r); r.StatusCode != 202 {
					t.Errorf("an answer got %d %s", r.StatusCode, text)
				}
			}
			mine, others, clerks := open("support"), open("support"), open("clerk")
			for i, tc := range []struct {
				name, answer string
				meanwhile    func(question string)
				want         string
			}{
				{"an answer", `{"action":"accept","content":{"account":"mine"}}`, nil, `{\"account\":\"mine\"}`},
				{"too large", `{"action":"accept","content":{"account":"` + strings.Repeat("x", 1<<20) + `"}}`, nil, "is no object of at most"},
				{"none", `{"action":"sing"}`, nil, "no action accept, decline or cancel"},
				{"after a crash of the database", `{"action":"accept","content":{"account":"mine"}}`, func(question string) {
					must(t, store.Answers{Store: shared}.Forget(t.Context(), question)) // the table is unlogged
					w.gateway.Answered("")                                              // as replicas hear that connect again
					eventually(t, "the question is kept again", func() bool {
						var n int
						must(t, raw.QueryRow("select count(*) from question where id = $1", question).Scan(&n))
						return n == 1
					})
				}, `{\"account\":\"mine\"}`},
				{"what it may no longer ask", `{"action":"accept"}`, func(string) { w.revise("support", persona.Grant{Pin: persona.Pin{Tool: "old/form"}}) }, "it may no longer ask for elicitation"},
			} {
				w.server = first
				asked := events(w.post(t.Context(), "support", mine, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"form","arguments":{}}}`, i+5)))
				said := <-asked
				question := regexp.MustCompile(`"ask-[^"]+"`).FindString(said)
				if question == "" {
					t.Fatalf("%s: got %s, want a question", tc.name, said)
				}
				w.server = second
				wrong := `{"action":"accept","content":{"account":"theirs"}}`
				say("support", others, question, wrong)
				say("clerk", clerks, question, wrong)
				say("support", mine, `"ask-ABCDEFGHIJKLMNOPQRSTUVWXYZ"`, wrong)
				if tc.meanwhile != nil {
					tc.meanwhile(question)
				}
				say("support", mine, question, tc.answer)
				say("support", mine, question, wrong) // again
				if got := <-asked; !strings.Contains(got, tc.want) || strings.Contains(got, "theirs") {
					t.Errorf("%s: got %s, want %q", tc.name, got, tc.want)
				}
				if kept, err := (store.Answers{Store: shared}).Kept(t.Context(), question); err != nil || kept != nil {
					t.Errorf("%s: what was answered is still kept: %d bytes, %v", tc.name, len(kept), err)
				}
			}
		})
	}
}

// Where an answer could not be handed over nobody is asked, and who answers is told to do so again.
func TestAnswersThatCannotBeKept(t *testing.T) {
	shared, err := store.Open(t.Context(), t.TempDir()+"/shared.db")
	must(t, err)
	must(t, shared.Close())
	w := newWorldOn(t, t.TempDir()+"/remit.db", func(c *gateway.Config) { c.Answers = store.Answers{Store: shared} })
	w.asksFor("old/form")
	session := w.askable("support", `{"elicitation":{}}`)
	if got := w.text(w.post(t.Context(), "support", session, `{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"form","arguments":{}}}`)); !strings.Contains(got, "Remit could not ask the client now") || strings.Contains(got, "elicitation/create") {
		t.Errorf("got %s", got)
	}
	answer := w.post(t.Context(), "support", session, `{"jsonrpc":"2.0","id":"ask-ABCDEFGHIJKLMNOPQRSTUVWXYZ","result":{"action":"accept"}}`)
	if got := w.text(answer); answer.StatusCode != 503 || !strings.Contains(got, "send it again in a moment") {
		t.Errorf("an answer got %d %s", answer.StatusCode, got)
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
