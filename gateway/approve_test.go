package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"remit/approval"
	"remit/audit"
	"remit/gateway"
	"remit/persona"
	"remit/policy"
)

var asksApproval = policy.Policy{Approval: &policy.Approval{Minutes: 15}}

// pending waits until so many requests are pending, and returns the oldest.
func (w *world) pending(n int) approval.Request {
	w.t.Helper()
	var found []approval.Request
	eventually(w.t, fmt.Sprintf("%d pending", n), func() bool {
		var err error
		found, err = w.store.Approvals(context.Background(), []approval.State{approval.Pending}, 100, nil)
		must(w.t, err)
		return len(found) == n
	})
	return found[n-1]
}

func (w *world) approveCall(desk *approval.Desk) {
	w.t.Helper()
	r := w.pending(1)
	must(w.t, desk.Decide(context.Background(), dan, r.ID, r.Arguments, true, ""))
}

const refundInSession = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"refund","arguments":{"cents":5},"_meta":{"progressToken":"mine"}}}`

// A call is held while a person decides, in both eras, and goes on at once when they approve; the record says how long it was held.
func TestHeldUntilApproved(t *testing.T) {
	for _, era := range []string{"stateless", "session"} {
		t.Run(era, func(t *testing.T) {
			w := newWorld(t, func(c *gateway.Config) { c.ApprovalWait = 30 * time.Second })
			w.rule(asksApproval)
			session, body := "", fmt.Sprintf(refundCall, 7)
			if era == "session" {
				session, body = w.session("clerk"), refundInSession
			}
			answer := make(chan string, 1)
			go func() { answer <- w.text(w.post(context.Background(), "clerk", session, body)) }()
			w.approveCall(w.desk)
			got := <-answer
			if !strings.Contains(got, "refunded") {
				t.Errorf("got %s", got)
			}
			if progress := strings.Count(got, `"message":"Waits for a person to approve it, at http://remit.test/approvals/`); era == "session" && progress == 0 || era == "stateless" && progress != 0 {
				t.Errorf("got %d reports of progress: %s", progress, got)
			}
			e := w.entries()[0]
			if e.Decision != audit.Allowed || e.Approval == "" || e.Detail["held"] == "" || e.Persona != "clerk" {
				t.Errorf("got entry %+v", e)
			}
		})
	}
}

// Another process decides, as the command line does: the call hears of it all the same.
func TestHeldUntilAnotherProcessDecides(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.ApprovalWait = 30 * time.Second })
	w.rule(asksApproval)
	answer := make(chan string, 1)
	go func() { answer <- w.refund(1) }()
	r := w.pending(1)
	elsewhere := &approval.Desk{Store: w.store} // wakes nobody here
	must(t, elsewhere.Decide(t.Context(), dan, r.ID, r.Arguments, false, "not today"))
	if got := <-answer; !strings.Contains(got, "Denied: dan decided that this call is not to be made: not today.") || w.calls() != 0 {
		t.Errorf("got %s after %d calls", got, w.calls())
	}
}

// Nobody decides in time: the call is answered, and the next same call finds the request again.
func TestHeldNoLongerThanTheWait(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.ApprovalWait = 50 * time.Millisecond })
	w.rule(asksApproval)
	if got := w.refund(1); !strings.Contains(got, "Not made yet") || !strings.Contains(got, "is held for up to 50ms until then") {
		t.Errorf("got %s", got)
	}
	w.approveCall(w.desk)
	if got := w.refund(2); !strings.Contains(got, "refunded") {
		t.Errorf("got %s", got)
	}
}

// What happens while a call is held counts when it is approved: it is decided anew, and held no second time.
func TestHeldCallIsDecidedAnew(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*world)
		want   string
	}{
		"suspended": {func(w *world) {
			must(w.t, w.persona.Suspend(context.Background(), bob, persona.Target{Kind: persona.OneTool, Name: "billing/refund"}, "an incident"))
		}, "Refused: the tool billing/refund is suspended"},
		"another revision": {func(w *world) {
			w.rule(policy.Policy{Approval: asksApproval.Approval, Limits: []policy.Limit{{Calls: 1, Per: policy.Day}}})
		}, "Not made yet"},
		"the tool taken away": {func(w *world) { w.revise("clerk", grant("crm/echo")...) }, "Unknown tool"},
		"retired":             {func(w *world) { must(w.t, w.persona.Retire(context.Background(), bob, "clerk")) }, "no live revision"},
		"needs nobody now":    {func(w *world) { w.rule(policy.Policy{}) }, "refunded"},
		"key revoked":         {func(w *world) { w.revoke("clerk") }, "the access key stopped being valid"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(c *gateway.Config) { c.ApprovalWait, c.Recheck = 30*time.Second, time.Hour })
			w.rule(asksApproval)
			answer := make(chan string, 1)
			go func() { answer <- w.refund(1) }()
			r := w.pending(1)
			tc.change(w)
			must(t, w.desk.Decide(t.Context(), dan, r.ID, r.Arguments, true, ""))
			made := 0
			if tc.want == "refunded" {
				made = 1
			}
			if got := <-answer; !strings.Contains(got, tc.want) || w.calls() != made {
				t.Errorf("got %s after %d calls, want %q", got, w.calls(), tc.want)
			}
			if e := w.entries()[0]; made == 1 && e.Approval != "" {
				t.Errorf("got the approval %s in the entry of a call that needed none", e.Approval)
			}
		})
	}
}

// A key that is revoked ends the wait before anybody decides.
func TestRevokedKeyEndsTheWait(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.ApprovalWait = 30 * time.Second })
	w.rule(asksApproval)
	answer := make(chan string, 1)
	go func() { answer <- w.refund(1) }()
	w.pending(1)
	w.revoke("clerk")
	if got := <-answer; !strings.Contains(got, "the access key stopped being valid") {
		t.Errorf("got %s", got)
	}
}

// Two same calls are held by one request; it is approved once, so one is made, and the other asks again.
func TestOneApprovalForTwoHeldCalls(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.ApprovalWait = 30 * time.Second })
	w.rule(asksApproval)
	answers := make(chan string, 2)
	for i := range 2 {
		go func() { answers <- w.refund(i + 1) }()
	}
	w.approveCall(w.desk)
	first := <-answers // the one that is made may take longer than the other that asks again
	if !strings.Contains(first, "refunded") && !strings.Contains(first, "Refused: another call") && !strings.Contains(first, "Not made yet") {
		t.Errorf("got %s", first)
	}
	w.gatewayCloses(answers)
	if w.calls() != 1 {
		t.Errorf("got %d calls, want 1", w.calls())
	}
}

// gatewayCloses shuts the gateway down: a call that is still held is answered, and not made.
func (w *world) gatewayCloses(answers <-chan string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := w.gateway.Close(ctx); err != nil {
		w.t.Errorf("the shutdown waited for a held call: %v", err)
	}
	got := <-answers
	if !strings.Contains(got, "refunded") && !strings.Contains(got, "Not made yet") && !strings.Contains(got, "Refused: another call") {
		w.t.Errorf("got %s", got)
	}
}

// A client that leaves, cancels or ends its session while its call is held ends the wait. The request stays: the same call finds
// the decision.
func TestLeavingAHeldCall(t *testing.T) {
	for name, leave := range map[string]func(w *world, session string, cancel context.CancelFunc){
		"leaves": func(_ *world, _ string, cancel context.CancelFunc) { cancel() },
		"cancels": func(w *world, session string, _ context.CancelFunc) {
			w.text(w.post(context.Background(), "clerk", session, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}`))
		},
		"ends its session": func(w *world, session string, _ context.CancelFunc) {
			r, err := http.NewRequest(http.MethodDelete, w.server.URL+"/k/clerk/mcp", nil)
			must(w.t, err)
			r.Header.Set("Authorization", "Bearer "+w.keys["clerk"])
			r.Header.Set("Mcp-Session-Id", session)
			answer, err := client.Do(r)
			must(w.t, err)
			w.text(answer)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(c *gateway.Config) { c.ApprovalWait = time.Minute })
			w.rule(asksApproval)
			session := w.session("clerk")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var done sync.WaitGroup
			done.Go(func() {
				r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.server.URL+"/k/clerk/mcp", strings.NewReader(refundInSession))
				must(t, err)
				for name, value := range map[string]string{"Authorization": "Bearer " + w.keys["clerk"], "Content-Type": "application/json", "Mcp-Session-Id": session} {
					r.Header.Set(name, value)
				}
				if answer, err := client.Do(r); err == nil {
					w.text(answer)
				}
			})
			w.pending(1)
			leave(w, session, cancel)
			done.Wait()
			eventually(t, "its entry", func() bool { return strings.Contains(lastEntry(w), "while the call waited for a person") })
			w.approveCall(w.desk)
			if got := w.refund(2); !strings.Contains(got, "refunded") || w.calls() != 1 {
				t.Errorf("got %s after %d calls", got, w.calls())
			}
		})
	}
}

// More calls of a key than may be held are answered at once.
func TestHeldCallsOfAKeyAreBounded(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.ApprovalWait = 30 * time.Second })
	w.rule(asksApproval)
	answers := make(chan string, 20)
	for i := range 20 {
		go func() { answers <- w.refund(i + 1) }()
	}
	for range 12 { // at once
		if got := <-answers; !strings.Contains(got, "Not made yet") {
			t.Errorf("got %s", got)
		}
	}
	r := w.pending(1)
	must(t, w.desk.Decide(t.Context(), dan, r.ID, r.Arguments, false, ""))
	for range 8 {
		if got := <-answers; !strings.Contains(got, "Denied: dan") {
			t.Errorf("got %s", got)
		}
	}
}

// The limit counts calls that are made: asking costs nothing of it, and a limit that is reached does not use an approval up.
func TestLimitsCountWhatIsMade(t *testing.T) {
	w := newWorld(t, nil)
	w.rule(policy.Policy{Approval: asksApproval.Approval, Limits: []policy.Limit{{Calls: 1, Per: policy.Minute}}})
	for i, want := range []string{"Not made yet", "Not made yet", "refunded", "Not made yet", "at most 1 a minute"} {
		if i == 2 || i == 4 {
			w.approveCall(w.desk)
		}
		if got := w.refund(i + 1); !strings.Contains(got, want) {
			t.Errorf("call %d: got %s, want %q", i+1, got, want)
		}
	}
	w.ahead.Add(int64(2 * time.Minute))
	if got := w.refund(9); !strings.Contains(got, "refunded") || w.calls() != 2 {
		t.Errorf("got %s after %d calls", got, w.calls())
	}
}

// noDesk is a store that cannot be read.
type noDesk struct{ approval.Store }

func (noDesk) AskApproval(context.Context, approval.Request, audit.Entry) (approval.Request, error) {
	return approval.Request{}, errDisk
}
func (noDesk) Approval(context.Context, string) (approval.Request, error) {
	return approval.Request{}, errDisk
}

// lostUse asks and reads, and cannot keep a use.
type lostUse struct{ approval.Store }

func (lostUse) UseApproval(context.Context, string, approval.Change, audit.Entry) (audit.Ticket, error) {
	return 0, errDisk
}

// Approvals that cannot be read, used or that nobody set up refuse the call; others go on.
func TestApprovalsThatCannotBeRead(t *testing.T) {
	for name, tc := range map[string]struct {
		desk func(*world) *approval.Desk
		want string
	}{
		"no desk":          {func(*world) *approval.Desk { return nil }, "has nobody to ask"},
		"cannot be read":   {func(w *world) *approval.Desk { return &approval.Desk{Store: noDesk{w.store}} }, "cannot be read now, so it is not made"},
		"use is not kept":  {func(w *world) *approval.Desk { return &approval.Desk{Store: lostUse{w.store}} }, "could not be recorded, so it was not made"},
		"no key of states": {func(w *world) *approval.Desk { return &approval.Desk{Store: w.store} }, "refunded"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.rule(asksApproval)
			w.refund(1)
			w.approveCall(w.desk)
			g := gateway.New(gateway.Config{Personas: w.store, Keys: w.people, Current: w.current, Upstreams: gateway.Pool(w.pool), Audit: w.store, Approvals: tc.desk(w)})
			defer g.Close(context.Background())
			w.server.Config.Handler = g
			if got := w.refund(2); !strings.Contains(got, tc.want) || strings.Contains(got, "disk") || strings.Contains(got, "refunded") != (w.calls() == 1) {
				t.Errorf("got %s after %d calls", got, w.calls())
			}
			if got := w.text(w.post(t.Context(), "support", "", call("find_customer", `{"email":"a"}`))); !strings.Contains(got, "Ada") {
				t.Errorf("a call that needs no approval: got %s", got)
			}
		})
	}
}

// A client that can show its user an address is told it once, waits with the state, and gets the result. What its user answers
// decides nothing.
func TestClientThatOpensPages(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.ApprovalWait = 30 * time.Second })
	w.rule(asksApproval)
	ask := func(capabilities, extra string) string {
		return w.text(w.post(context.Background(), "clerk", "", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"refund","arguments":{"cents":5},`+extra+
			`"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{`+capabilities+`}}}}`))
	}
	var first struct {
		Result struct {
			ResultType, RequestState string
			InputRequests            map[string]struct {
				Method string
				Params map[string]string
			}
		}
	}
	must(t, json.Unmarshal([]byte(ask(`"elicitation":{"url":{}}`, "")), &first))
	got := first.Result.InputRequests["approval"]
	if first.Result.ResultType != "input_required" || got.Method != "elicitation/create" || got.Params["mode"] != "url" || got.Params["url"] != w.desk.Page(w.pending(1).ID) {
		t.Fatalf("got %+v", first)
	}
	state := `"requestState":"` + first.Result.RequestState + `",`
	if got := ask(`"elicitation":{"url":{}}`, `"inputResponses":{"approval":{"action":"decline"}},`+state); !strings.Contains(got, "Not made yet") || w.calls() != 0 {
		t.Errorf("declined: got %s", got)
	}
	answer := make(chan string, 1)
	go func() {
		answer <- ask(`"elicitation":{"url":{}}`, `"inputResponses":{"approval":{"action":"accept"}},`+state)
	}()
	w.approveCall(w.desk)
	if got := <-answer; !strings.Contains(got, "refunded") {
		t.Errorf("got %s", got)
	}
	for _, capabilities := range []string{``, `"elicitation":{}`, `"elicitation":{"form":{}}`, `"elicitation":{"url":true}`} {
		go func() { answer <- ask(capabilities, "") }()
		r := w.pending(1)
		must(t, w.desk.Decide(t.Context(), dan, r.ID, r.Arguments, true, ""))
		if got := <-answer; !strings.Contains(got, "refunded") {
			t.Errorf("capabilities {%s}: got %s", capabilities, got)
		}
	}
}

// The arguments that the person saw are what is sent, and nothing of them is in the record.
func TestWhatWasSeenIsSent(t *testing.T) {
	w := newWorld(t, nil)
	w.revise("support", persona.Grant{Pin: persona.Pin{Tool: "crm/echo"}, Policy: asksApproval})
	sent := `{ "text" : "canary\u002d4711", "z":1.50, "a":[ ] }`
	w.text(w.post(t.Context(), "support", "", call("echo", sent)))
	r, err := w.store.Approval(t.Context(), w.pending(1).ID)
	must(t, err)
	const want = `{"a":[],"text":"canary-4711","z":1.50}`
	if diff := cmp.Diff(want, string(r.Text)); diff != "" {
		t.Errorf("shown (-want +got):\n%s", diff)
	}
	w.approveCall(w.desk)
	if got := w.text(w.post(t.Context(), "support", "", call("echo", sent))); !strings.Contains(got, `"arguments":`+want) {
		t.Errorf("got %s, want %s sent", got, want)
	}
	all, err := w.store.Entries(t.Context(), audit.Query{Limit: 1000})
	must(t, err)
	if text, _ := json.Marshal(all); strings.Contains(string(text), "canary") {
		t.Error("the arguments are in the record")
	}
}
