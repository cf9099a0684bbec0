package world

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"remit/catalog"
	"remit/evals"
)

// TestShippedSuite plays every shipped case: the gateway refuses and allows what the suite says, and nothing else happens.
func TestShippedSuite(t *testing.T) {
	suite, err := evals.LoadSuite("../suites/enforce.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if got := len(suite.Raw); got < 40 {
		t.Errorf("got %d cases, want at least 40", got)
	}
	runner := evals.Runner{Setup: evals.Setup{Parallel: 4}, Enforce: evals.EnforceWith(Play)}
	run, err := runner.Run(t.Context(), []evals.Suite{suite})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range run.Reports[0].Cases {
		if r.Failed != "" {
			t.Errorf("%s: %s", r.ID, r.Failed)
		}
	}
	if m, ok := run.Reports[0].Metric("exact"); !ok || m.Value != 1 {
		t.Errorf("got exact %v, want 1", m.Value)
	}
}

// TestFindsWhatIsWrong: a case whose expectation is not met, and a text that travels though it must not.
func TestFindsWhatIsWrong(t *testing.T) {
	c := evals.EnforceCase{ID: "x", Why: "It is wrong.", Grants: []catalog.ID{"crm/echo"}, Stateless: "tools/call echo", Hidden: []string{"canary"},
		Offers: []evals.EnforceTool{{Server: "crm", Definition: json.RawMessage(`{"name":"echo","description":"d","inputSchema":{"type":"object"}}`)}},
		Body:   `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"a":"canary"},$META}}`,
		Expect: evals.EnforceOutcome{Status: 200, Answer: "error -32602", Upstream: 0, Record: []string{"tool.call refused find"}}}
	outcome, err := Play(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	got := c.Result(outcome, time.Second)
	want := []evals.Check{{Name: "http_status", Want: "200", Got: "200"}, {Name: "answer", Want: "error -32602", Got: "result"},
		{Name: "upstream_calls", Want: "0", Got: "1"}, {Name: "record", Want: "tool.call refused find", Got: "tool.call allowed"},
		{Name: "leaks", Want: "nothing", Got: "a hidden text of 6 bytes reached the upstream"}}
	if diff := cmp.Diff(want, got.Checks); diff != "" {
		t.Errorf("checks (-want +got):\n%s", diff)
	}
	if got.Failed == "" || got.Scores["exact"] != 0 {
		t.Errorf("got %q, %v, want a failed case", got.Failed, got.Scores)
	}
}

func TestRead(t *testing.T) {
	for _, tc := range []struct{ kind, body, want string }{
		{"application/json", "", "none"},
		{"application/json", `{"jsonrpc":"2.0","id":1,"result":{}}`, "result"},
		{"application/json", `{"jsonrpc":"2.0","id":1,"result":{"isError":true}}`, "tool_error"},
		{"application/json; charset=utf-8", `{"jsonrpc":"2.0","id":1,"error":{"code":-32602}}`, "error -32602"},
		{"text/event-stream", "data: {\"method\":\"notifications/progress\"}\n\nevent: message\ndata: {\"id\":1,\"result\":{}}\n\n", "result"},
		{"text/plain", "404 page not found", "text"},
	} {
		if got, _ := read(tc.kind, []byte(tc.body)); got != tc.want {
			t.Errorf("%s %q: got %q, want %q", tc.kind, tc.body, got, tc.want)
		}
	}
}
