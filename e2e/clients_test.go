package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"remit/audit"
	"remit/catalog"
	"remit/internal/fakemcp"
	"remit/persona"
	"remit/policy"
)

// clients are those that agents use, none of them ours: the command line that has each list the tools, call one and try one
// outside the persona, and the version of the protocol that it is to agree on, where it says. One that looks into the list
// before a call does not even ask for what is not there.
var clients = []struct {
	name    string
	command []string
	version string
	more    []string
	looks   bool
}{
	{"TypeScript SDK v1", []string{node, "sdk.mjs"}, "", nil, false},
	{"TypeScript SDK v2, sessions", []string{node, "sdk2.mjs"}, "2025-11-25", []string{"2025-11-25"}, false},
	{"TypeScript SDK v2, stateless", []string{node, "sdk2.mjs"}, "2026-07-28", []string{"2026-07-28"}, false},
	{"Python SDK, sessions", []string{python("python"), "sdk.py"}, "2025-11-25", []string{"legacy"}, false},
	{"Python SDK, stateless", []string{python("python"), "sdk.py"}, "2026-07-28", []string{"auto"}, false},
	{"Go SDK", []string{"gosdk"}, "2026-07-28", nil, false},
	{"MCP Inspector", []string{node, "inspect.mjs"}, "", nil, true},
	{"mcp-remote", []string{node, "remote.mjs"}, "", nil, false},
	{"OpenAI Agents SDK", []string{python("python"), "framework.py"}, "", nil, false},
}

// TestClients: each client connects with a key, lists exactly the granted tools, calls one, and is refused another, which is
// in the record; with a key that was revoked it gets nothing.
func TestClients(t *testing.T) {
	in := install(t, demoUpstreams())
	in.crawled("crm/search_customers", "crm/add_note", "billing/refund_payment")
	granted := []catalog.ID{"crm/search_customers", "crm/add_note"}
	in.approvedAgo(time.Minute, "support", func(id catalog.ID) bool { return slices.Contains(granted, id) })
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			at := in.door("support")
			got := act(t, in, c.command, c.more, at)
			slices.Sort(got.Tools)
			if got.Error != "" || !slices.Equal(got.Tools, []string{"add_note", "search_customers"}) || !strings.Contains(string(got.Result), "Lindqvist") {
				t.Errorf("got %+v with %s, want the two granted tools and a customer", got, got.Result)
			}
			refused, want := "Unknown tool", []audit.Decision{audit.Allowed, audit.Refused}
			if c.looks {
				refused, want = "not found on server", want[:1]
			}
			if !strings.Contains(string(got.Outside), refused) {
				t.Errorf("a tool outside the persona: got %s", got.Outside)
			}
			if c.version != "" && got.Version != c.version {
				t.Errorf("got version %q, want %q", got.Version, c.version)
			}
			var decided []audit.Decision
			id := strings.Split(at.key, "_")[1]
			for line := range strings.Lines(in.cli("audit", "--kind", audit.ToolCall, "--json")) {
				var e audit.Entry
				if err := json.Unmarshal([]byte(line), &e); err != nil {
					t.Fatal(err)
				}
				if e.Key == id {
					decided = append(decided, e.Decision)
				}
			}
			slices.Sort(decided)
			if !slices.Equal(decided, want) {
				t.Errorf("the record has %v of its key, want %v", decided, want)
			}
			in.cli("key", "revoke", id)
			if got := act(t, in, c.command, c.more, at); got.Error == "" || len(got.Tools) > 0 || got.Result != nil {
				t.Errorf("with a revoked key: got %+v", got)
			}
		})
	}
}

// TestClientsAreAsked: a real server asks real clients for a form, a page and an answer of their model in the middle of a call, where the
// persona lets it: clients with sessions on the stream of the call, and one of the stateless era in an answer that it repeats the call
// after. Where the persona does not, the client hears nothing, and the agent what is missing.
func TestClientsAreAsked(t *testing.T) {
	in := install(t, fmt.Sprintf("  everything: {url: %q, asks: [%s]}\n", everything(t), allAsks))
	in.crawled("everything/trigger-elicitation-request", "everything/trigger-sampling-request", "everything/trigger-url-elicitation")
	open, shut := in.all("everything", policy.Policy{Asks: policy.Asks}), in.closedTo("everything", "shut")
	for _, kind := range []string{"v1", "2025-11-25", "2026-07-28"} {
		for _, tc := range []struct{ tool, arguments, asked, result string }{
			{"trigger-elicitation-request", "{}", `"The server everything asks: Please provide inputs for the following fields:"`, "Favorite Integer: 7"},
			{"trigger-sampling-request", `{"prompt":"A name for a cat?"}`, `"Resource trigger-sampling-request context: A name for a cat?"`, "Tom"},
			{"trigger-url-elicitation", `{"url":"https://tools.example/open"}`, `"https://tools.example/open"`, "accept"},
		} {
			got := askedClient(t, in, kind, open, tc.tool, tc.arguments)
			if got.Error != "" || len(got.Asked) != 1 || !strings.Contains(string(got.Asked[0]), tc.asked) || !strings.Contains(string(got.Result), tc.result) {
				t.Errorf("%s %s: got %s %s %s, want to be asked %s and told %s", kind, tc.tool, got.Error, got.Asked, got.Result, tc.asked, tc.result)
			}
			got = askedClient(t, in, kind, shut, tc.tool, tc.arguments)
			if len(got.Asked) > 0 || strings.Contains(string(got.Result), tc.result) {
				t.Errorf("%s %s, which may not ask: got %s %s %s", kind, tc.tool, got.Error, got.Asked, got.Result)
			}
		}
	}
}

// TestClientsAnswerAtAnyReplica: the official clients of the older era are asked in the middle of a call behind a balancer that sends their
// answer to another replica than the call.
func TestClientsAnswerAtAnyReplica(t *testing.T) {
	server, err := fakemcp.New(fakemcp.Config{Name: "work", Era: fakemcp.Legacy, Tools: []json.RawMessage{json.RawMessage(`{"name":"form","inputSchema":{"type":"object"}}`)},
		Asks: map[string][]json.RawMessage{"form": {json.RawMessage(`{"method":"elicitation/create","params":{"message":"Who?","requestedSchema":{"type":"object","properties":{"name":{"type":"string"}}}}}`)}}})
	if err != nil {
		t.Fatal(err)
	}
	f := newFleet(t, 2, false, server, "")
	f.in.crawled("work/form")
	at := f.in.all("work", policy.Policy{Asks: []policy.Ask{policy.AskForm}})
	asked := make([]atomic.Int64, len(f.replicas)) // where the calls and the answers went
	for i, r := range f.replicas {
		r.seen = func(body []byte) {
			if bytes.Contains(body, []byte(`"tools/call"`)) {
				asked[i].Add(1)
			} else if bytes.Contains(body, []byte(`"ask-`)) {
				asked[i].Add(-1)
			}
		}
	}
	crossed := false
	for _, kind := range []string{"v1", "2025-11-25", "v1", "2025-11-25"} {
		got := askedClient(t, f.in, kind, at, "form", "{}")
		if got.Error != "" || len(got.Asked) != 1 || !strings.Contains(string(got.Result), "Ada") {
			t.Errorf("%s: got %s %s %s", kind, got.Error, got.Asked, got.Result)
		}
		crossed = crossed || asked[0].Load() != 0
	}
	if !crossed {
		t.Error("each answer came to the replica that asked: nothing was shown")
	}
}

// everything starts the official server of that name, of the older era, and returns its URL.
func everything(t *testing.T) string {
	t.Helper()
	port := freePort(t)
	cmd := exec.Command(node, "node_modules/@modelcontextprotocol/server-everything/dist/index.js", "streamableHttp")
	cmd.Env = append(os.Environ(), fmt.Sprintf("PORT=%d", port))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	url := fmt.Sprintf("http://127.0.0.1:%d/mcp", port)
	waitFor(t, "the start of server-everything", func() bool {
		res, err := http.Get(url)
		if err == nil {
			res.Body.Close()
		}
		return err == nil
	})
	return url
}

// closedTo has a persona approved that grants the same as all, and lets the server ask for nothing.
func (in *installation) closedTo(server, id string) endpoint {
	in.t.Helper()
	in.approvedAgo(time.Minute, persona.ID(id), func(id catalog.ID) bool { return strings.HasPrefix(string(id), server+"/") })
	return in.door(persona.ID(id))
}

// wasAsked is what a client was asked, and what came of its call.
type wasAsked struct {
	Asked  []json.RawMessage
	Result json.RawMessage
	Error  string
}

func askedClient(t *testing.T, in *installation, kind string, at endpoint, tool, arguments string) (got wasAsked) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, "asked.mjs", kind, at.url, at.key, tool, arguments)
	cmd.Env = append(os.Environ(), "HOME="+in.dir)
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &got)
	}
	if err != nil {
		t.Fatalf("asked.mjs %s %s: %v\n%s", kind, tool, err, out)
	}
	return got
}

// acted is what a client saw.
type acted struct {
	Version string
	Tools   names
	Result  json.RawMessage
	Outside json.RawMessage
	Error   string
}

// names are of tools, which clients print as such or with all that they know of each.
type names []string

func (n *names) UnmarshalJSON(text []byte) error {
	var tools []struct{ Name string }
	if json.Unmarshal(text, (*[]string)(n)) == nil {
		return nil
	}
	*n = nil
	err := json.Unmarshal(text, &tools)
	for _, t := range tools {
		*n = append(*n, t.Name)
	}
	return err
}

// act runs a client; what it prints last is what it saw.
func act(t *testing.T, in *installation, command, more []string, at endpoint) (got acted) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	program := command[0]
	if program == "gosdk" {
		program = filepath.Join(filepath.Dir(binary), program)
	}
	args := slices.Concat(command[1:], []string{at.url, at.key, "search_customers", `{"query":"Nora"}`, "refund_payment"}, more)
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "HOME="+in.dir, "OPENAI_AGENTS_DISABLE_TRACING=1")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err == nil {
		err = json.Unmarshal([]byte(lines[len(lines)-1]), &got)
	}
	if err != nil {
		t.Fatalf("%v: %v\n%s%s", args, err, out, stderr.String())
	}
	return got
}
