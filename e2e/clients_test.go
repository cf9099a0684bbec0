package e2e_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"remit/audit"
	"remit/catalog"
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
