package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"remit/policy"
)

// tasked is what a client that takes tasks saw of one.
type tasked struct {
	Support       string            // what the listed tool says of tasks
	IDs, Statuses []string          // in order
	Asked         []json.RawMessage // by the task
	Result        json.RawMessage
	Error         string
}

// TestTasks: real servers that answer with tasks before real clients that take them, of both eras on both sides: the official
// server-everything with sessions and a server of FastMCP, the official TypeScript SDK v1 and FastMCP's client. What a task asks reaches the
// client where the persona lets it. A client that takes none waits for the end of one. Without the grant there is no task to be had.
func TestTasks(t *testing.T) {
	in := install(t, fmt.Sprintf("  everything: {url: %[1]q, asks: [%[3]s]}\n  jobs: {url: %[2]q, asks: [%[3]s]}\n", everything(t), jobs(t), allAsks))
	in.crawled("everything/simulate-research-query", "jobs/slow_compute")
	older, newer := in.all("everything", policy.Policy{Asks: policy.Asks, Tasks: true}), in.all("jobs", policy.Policy{Asks: policy.Asks, Tasks: true})
	shut := in.closedTo("everything", "shut")
	sdk := func(kind string) []string { return []string{node, "tasks.mjs", kind} }
	fast := []string{python("python"), "tasks.py"}
	for _, tc := range []struct {
		name            string
		client          []string
		at              endpoint
		tool, arguments string
		support         string
		ids             bool
		asked           string
		result          string
	}{
		{"sessions on both sides", sdk("task"), older, "simulate-research-query", `{"topic":"law","ambiguous":true}`, "optional", true, "The server everything asks: ", "Research Report: law"},
		{"sessions on both sides, no task wanted", sdk("plain"), older, "simulate-research-query", `{"topic":"law","ambiguous":true}`, "optional", false, "The server everything asks: ", "Research Report: law"},
		{"sessions on both sides, no grant", sdk("plain"), shut, "simulate-research-query", `{"topic":"law"}`, "forbidden", false, "", "requires task augmentation"},
		{"stateless on both sides", fast, newer, "slow_compute", `{"seconds":1,"label":"x"}`, "", true, "", "x took 1.0 s"},
		{"stateless on both sides, asked", fast, newer, "confirm_delete", `{"filename":"a.txt"}`, "", true, "The server jobs asks: Is confirm right?", "a.txt: accept"},
		{"stateless client, sessions at the server", fast, older, "simulate-research-query", `{"topic":"law"}`, "", true, "", "Research Report: law"},
		{"sessions at the client, stateless server that insists", sdk("plain"), newer, "failing_job", `{}`, "", false, "", "it failed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := taskClient(t, in, tc.client, tc.at, tc.tool, tc.arguments)
			if got.Error != "" || got.Support != tc.support || !strings.Contains(string(got.Result), tc.result) {
				t.Fatalf("got %+v %s, want %q", got, got.Result, tc.result)
			}
			if (len(got.IDs) > 0) != tc.ids || slices.ContainsFunc(got.IDs, func(id string) bool { return !strings.HasPrefix(id, "t1.") || id != got.IDs[0] }) {
				t.Errorf("got the ids %q, want one of ours: %t", got.IDs, tc.ids)
			}
			if last := "completed"; tc.ids {
				if tc.asked != "" && tc.support != "" { // a client with sessions waits for the result once the task asks
					last = "input_required"
				}
				if got.Statuses[len(got.Statuses)-1] != last {
					t.Errorf("got the statuses %q, want %s last", got.Statuses, last)
				}
			}
			if len(got.Asked) > 0 != (tc.asked != "") || tc.asked != "" && !strings.Contains(string(got.Asked[0]), tc.asked) {
				t.Errorf("got asked %s, want %q", got.Asked, tc.asked)
			}
		})
	}
}

func taskClient(t *testing.T, in *installation, client []string, at endpoint, tool, arguments string) (got tasked) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, client[0], slices.Concat(client[1:], []string{at.url, at.key, tool, arguments})...)
	cmd.Env = append(os.Environ(), "HOME="+in.dir)
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &got)
	}
	if err != nil {
		t.Fatalf("%v: %v\n%s", client, err, out)
	}
	return got
}
