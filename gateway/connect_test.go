package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"remit/approval"
	"remit/audit"
	"remit/gateway"
	"remit/internal/fakemcp"
	"remit/policy"
	"remit/upstream"
)

// accounts gives each user who is in it their token, and says for whom it was asked.
type accounts struct {
	mu     sync.Mutex
	tokens map[string]string
	asked  []upstream.Subject
	err    error
}

func (a *accounts) PerUser() bool { return true }

func (a *accounts) Token(_ context.Context, of upstream.Subject, _ string) (upstream.Token, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if of == (upstream.Subject{}) {
		return upstream.Token{}, nil
	}
	if of.Client != "" {
		a.asked = append(a.asked, of)
	}
	if a.err != nil {
		return upstream.Token{}, a.err
	}
	token, ok := a.tokens[of.User]
	if !ok {
		return upstream.Token{}, fmt.Errorf("%w: %s has not connected an account", upstream.ErrNotConnected, of.User)
	}
	return upstream.Token{Value: token, Grant: of.User}, nil
}

// swapped has one server of the world's replaced.
type swapped struct {
	gateway.Upstreams
	name string
	with gateway.Caller
}

func (s swapped) Server(name string) (gateway.Caller, bool) {
	if name == s.name {
		return s.with, true
	}
	return s.Upstreams.Server(name)
}

// billed is a world whose server billing is called with people's accounts.
func billed(t *testing.T, a *accounts) (*world, *fakemcp.Server) {
	fake, err := fakemcp.New(fakemcp.Config{Name: "billing", Tools: definitions["billing"], Results: results})
	must(t, err)
	s := httptest.NewServer(fake)
	t.Cleanup(s.Close)
	t.Cleanup(s.CloseClientConnections)
	pool, err := upstream.NewPool([]upstream.Config{{Name: "billing", URL: s.URL, Auth: a}}, slog.New(slog.NewTextHandler(io.Discard, nil)))
	must(t, err)
	pool.Start(context.Background())
	t.Cleanup(func() { _ = pool.Close(context.Background()) })
	server, _ := pool.Server("billing")
	return newWorld(t, func(c *gateway.Config) {
		c.Upstreams, c.Connections = swapped{c.Upstreams, "billing", server}, "https://remit.example/connections"
		c.Account = pool.Account
	}), fake
}

// A call carries the token of the user that its key is bound to. Whoever has no account is told where to connect one, in the
// way that the client knows, and nothing is sent.
func TestCallWithTheUsersAccount(t *testing.T) {
	a := &accounts{tokens: map[string]string{"dora": "token-of-dora"}}
	w, fake := billed(t, a)
	ask := func(capabilities, more string) string {
		return w.text(w.post(t.Context(), "clerk", "", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"refund","arguments":{"cents":5},`+more+
			`"user":"dora","_meta":{"user":"dora","io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{`+capabilities+`}}}}`,
			"X-User", "dora"))
	}
	const plain = "carol has not connected one that you may use. carol can do that at https://remit.example/connections; then call again."
	for _, capabilities := range []string{``, `"elicitation":{}`, `"elicitation":{"form":{}}`, `"elicitation":{"url":true}`} {
		if got := ask(capabilities, ""); !strings.Contains(got, plain) || !strings.Contains(got, `"isError":true`) {
			t.Errorf("capabilities {%s}: got %s", capabilities, got)
		}
	}
	var first struct {
		Result struct {
			ResultType    string
			InputRequests map[string]struct {
				Method string
				Params map[string]string
			}
		}
	}
	must(t, json.Unmarshal([]byte(ask(`"elicitation":{"url":{}}`, "")), &first))
	got := first.Result.InputRequests["connect"]
	if first.Result.ResultType != "input_required" || got.Method != "elicitation/create" || got.Params["mode"] != "url" || got.Params["url"] != "https://remit.example/connections" {
		t.Errorf("got %+v", first)
	}
	if got := ask(`"elicitation":{"url":{}}`, `"inputResponses":{"connect":{"action":"accept"}},`); !strings.Contains(got, plain) {
		t.Errorf("asked already: got %s", got)
	}
	if n := fake.Stats().Calls; n != 0 {
		t.Errorf("%d calls were sent", n)
	}
	entries := w.entries()
	if last := entries[len(entries)-1]; last.Decision != audit.Refused || last.Policy != "account" || last.User != "carol" || !strings.Contains(last.Reason, "has not connected") {
		t.Errorf("the record: got %+v", last)
	}

	a.mu.Lock()
	a.tokens["carol"] = "token-of-carol"
	a.mu.Unlock()
	if got := ask(`"elicitation":{"url":{}}`, `"inputResponses":{"connect":{"action":"accept"}},`); !strings.Contains(got, "refunded") {
		t.Errorf("connected: got %s", got)
	}
	if got := fake.Stats().CallHeader.Get("Authorization"); got != "Bearer token-of-carol" {
		t.Errorf("the call carried %q", got)
	}
	for _, of := range a.asked {
		if want := (upstream.Subject{User: "carol", Client: w.ids["clerk"]}); of != want {
			t.Errorf("a token was asked for %+v, want %+v", of, want)
		}
	}

	a.mu.Lock()
	a.err = fmt.Errorf("%w: the authorization server is down", upstream.ErrNoToken)
	a.mu.Unlock()
	if got := ask("", ""); !strings.Contains(got, "was not called: its authorization server gives no token now") || fake.Stats().Calls != 1 {
		t.Errorf("without a token: got %s", got)
	}
}

// A call that lacks an account asks nobody for approval and counts against no limit: it could not be made anyway.
func TestAccountBeforeApproval(t *testing.T) {
	a := &accounts{tokens: map[string]string{}}
	w, fake := billed(t, a)
	w.rule(policy.Policy{Approval: asksApproval.Approval, Limits: []policy.Limit{{Calls: 1, Per: policy.Day}}})
	for range 3 {
		if got := w.refund(1); !strings.Contains(got, "has not connected one") {
			t.Errorf("got %s", got)
		}
	}
	waiting, err := w.store.Approvals(t.Context(), []approval.State{approval.Pending}, 10, nil)
	if err != nil || len(waiting) != 0 || fake.Stats().Calls != 0 {
		t.Errorf("got %d requests for approval, %d calls, %v; want none", len(waiting), fake.Stats().Calls, err)
	}
}

// Only configured headers reach a server: nothing of what an agent's request carries does, whatever it is named.
func TestHeadersThatReachAServer(t *testing.T) {
	w := newWorld(t, nil)
	w.text(w.post(t.Context(), "clerk", "", fmt.Sprintf(refundCall, 1), "Cookie", "a=b", "X-Api-Key", "canary", "Proxy-Authorization", "canary", "X-Forwarded-For", "10.0.0.1", "Forwarded", "for=10.0.0.1", "X-Mcp-Session", "canary"))
	for name := range w.fakes["billing"].Stats().CallHeader {
		switch name {
		case "Accept", "Accept-Encoding", "Authorization", "Content-Length", "Content-Type", "User-Agent", "Mcp-Method", "Mcp-Name", "Mcp-Protocol-Version":
		default:
			t.Errorf("the header %s reached the server", name)
		}
	}
	if got := w.fakes["billing"].Stats().CallHeader.Get("Authorization"); got != "Bearer of-the-upstream" {
		t.Errorf("the call carried %q", got)
	}
}
