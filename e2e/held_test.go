package e2e_test

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"remit/internal/fakemcp"
)

// An agent's refund waits for a person: the official SDK holds its call open, an approver sees the badge and the arguments in the
// browser and approves it, and the client gets the result; the SDK of the stateless era is told which page decides. The last one is
// denied, and the agent is told why.
func TestHeldCall(t *testing.T) {
	fake, err := fakemcp.New(fakemcp.Config{Name: "billing", Tools: []json.RawMessage{
		json.RawMessage(`{"name":"refund","description":"Refunds a payment to the customer.","inputSchema":{"type":"object","properties":{"invoice":{"type":"string","description":"Number of the invoice"},"cents":{"type":"integer","description":"Amount"}},"required":["invoice","cents"]}}`)}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(fake)
	defer server.Close()
	defer server.CloseClientConnections()
	in := install(t, "  billing: {url: "+server.URL+"}\n")
	in.crawled("refund")

	type told struct {
		Endpoint, Key, Rules          string
		Badge, Arguments, Who, Recent string
	}
	browse := func(plan map[string]any) (out told) {
		t.Helper()
		browse(t, &out, "held.mjs", plan)
		return out
	}
	made := browse(map[string]any{"author": in.person("ada", "author"), "reviewer": in.person("ravi", "reviewer"), "title": "Refunds",
		"job": "Refund a payment to the customer in billing.", "tool": "billing/refund", "policy": `{"approval":{"minutes":10,"when":"args.cents > 100"}}`})
	if want := "a person approves each call, within 10 min, where args.cents > 100"; !strings.Contains(made.Rules, want) {
		t.Errorf("the reviewer read %q, want %q in it", made.Rules, want)
	}
	agent := func(client, arguments string) <-chan string {
		answer := make(chan string, 1)
		go func() {
			defer close(answer) // also when the script fails
			var sdk struct {
				Error  string
				Pages  []string
				Result json.RawMessage
			}
			script(t, &sdk, client, made.Endpoint, made.Key, "refund", arguments)
			answer <- sdk.Error + string(sdk.Result) + strings.Join(sdk.Pages, " ")
		}()
		return answer
	}
	if got := <-agent("sdk.mjs", `{"invoice":"4711","cents":100}`); !strings.Contains(got, `refund {`) {
		t.Errorf("a small refund: got %s", got)
	}
	link := in.person("dan", "approver")
	for _, tc := range []struct{ client, decision, want string }{
		{"sdk.mjs", "approve-call", `refund {\"cents\":101,\"invoice\":\"4711\"}`},
		{"modern.mjs", "approve-call", in.url + "/approvals/"}, // which it was told
		{"sdk.mjs", "deny-call", "Denied: dan decided that this call is not to be made: not without the customer"},
	} {
		answer := agent(tc.client, `{"invoice":"4711","cents":101}`)
		saw := browse(map[string]any{"url": in.url, "approver": link, "decision": tc.decision})
		if !strings.HasPrefix(saw.Badge, "1") || !strings.Contains(saw.Arguments, `"cents": 101`) || !strings.Contains(saw.Arguments, `"invoice": "4711"`) ||
			!strings.Contains(saw.Who, "e2e-agent") || !strings.Contains(saw.Who, "zoe@example.com") {
			t.Errorf("the approver saw %+v", saw)
		}
		if got := <-answer; !strings.Contains(got, tc.want) {
			t.Errorf("%s: got %s, want %q in it", tc.decision, got, tc.want)
		} else if tc.decision == "approve-call" && !strings.Contains(got, `refund {\"cents\":101,\"invoice\":\"4711\"}`) {
			t.Errorf("%s: got %s", tc.client, got)
		}
		link = in.cli("person", "link", "dan")
		link = strings.Fields(link[strings.Index(link, "http"):])[0]
	}
	if got := fake.Stats().Calls; got != 3 {
		t.Errorf("got %d calls of the server, want 3", got)
	}
	entries := in.cli("audit", "--json", "--kind", "tool.call")
	if strings.Count(entries, `"approval":"`) != 4 || !strings.Contains(entries, `"held":"`) {
		t.Errorf("the record holds %s", entries)
	}
}
