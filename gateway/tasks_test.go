package gateway_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"remit/audit"
	"remit/catalog"
	"remit/gateway"
	"remit/persona"
	"remit/policy"
)

// makesTasks has the persona support grant one tool, whose server may answer with tasks.
func (w *world) makesTasks(tool string) {
	w.t.Helper()
	w.revise("support", persona.Grant{Pin: persona.Pin{Tool: catalog.ID(tool)}, Policy: policy.Policy{Tasks: true}})
}

// about is a request of a client of the stateless era that knows tasks, about one or, with the name of a tool, for one.
func (w *world) about(method, name, more string) string {
	w.t.Helper()
	member := "taskId"
	if method == "tools/call" {
		member = "name"
	}
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":{%q:%q%s,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",`+
		`"io.modelcontextprotocol/clientCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}}}`, method, member, name, more)
	return w.text(w.post(w.t.Context(), "support", "", body, "Mcp-Name", name))
}

var taskIn = regexp.MustCompile(`"taskId":"(t1[.][^"]+)"`)

// begun is the id of the task in an answer.
func begun(t *testing.T, text string) string {
	t.Helper()
	found := taskIn.FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("got %s, want a task", text)
	}
	return found[1]
}

// Whichever replica a client reaches knows its tasks, and one with another key knows none.
func TestTaskOnAnotherReplica(t *testing.T) {
	where := t.TempDir() + "/remit.db"
	for name, tc := range map[string]struct{ key, want string }{"the same key": {string(sessionKey), `"status":"working"`}, "another key": {"another", "Task not found"}} {
		t.Run(name, func(t *testing.T) {
			w := newWorldOn(t, where+name[:3], func(c *gateway.Config) { c.StateKey = []byte(tc.key) })
			w.makesTasks("crm/job")
			id := begun(t, w.about("tools/call", "job", `,"arguments":{}`))
			w.replica(where+name[:3], 0, false)
			if got := w.about("tasks/get", id, ""); !strings.Contains(got, tc.want) {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// A client that takes no tasks and leaves while the gateway waits for one has it cancelled at the server, of either era, and the record says so.
func TestTaskIsCancelledWithItsCall(t *testing.T) {
	for server, waits := range map[string]string{"crm": "tasks/get", "old": "tasks/result"} {
		t.Run(server, func(t *testing.T) {
			w := newWorld(t, nil)
			w.makesTasks(server + "/endless_job")
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			go func() {
				eventually(t, "the gateway waits", func() bool { return w.fakes[server].Stats().ByTool[waits] > 0 })
				leave()
			}()
			body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"endless_job","arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`
			if got := w.post(ctx, "support", "", body); got != nil {
				t.Errorf("got %d to a call that was left", got.StatusCode)
			}
			eventually(t, "the server hears of it", func() bool { return len(w.fakes[server].Stats().CancelledTasks) == 1 })
			eventually(t, "the record", func() bool {
				all := w.entries()
				return len(all) == 1 && all[0].Decision == audit.Failed && all[0].Detail["task"] == "cancelled by Remit"
			})
		})
	}
}

// busy is a limiter that refuses what is asked of tasks, and keeps what it was asked.
type busy struct {
	subjects []policy.Subject
	bounds   []policy.Policy
}

func (b *busy) Take(_ context.Context, s policy.Subject, p *policy.Compiled, _ time.Time) (func(), *policy.Refusal) {
	b.subjects, b.bounds = append(b.subjects, s), append(b.bounds, p.Policy)
	if strings.HasSuffix(s.Tool, " tasks") {
		return nil, &policy.Refusal{Reason: "at most so many a minute"}
	}
	return func() {}, nil
}

// A key asks about tasks within a bound of its own, which the calls of the policy's limits are no part of.
func TestPollsAreBounded(t *testing.T) {
	b := &busy{}
	w := newWorld(t, func(c *gateway.Config) { c.Limiter = b })
	w.revise("support", persona.Grant{Pin: persona.Pin{Tool: "crm/job"}, Policy: policy.Policy{Tasks: true, Concurrent: 3, Limits: []policy.Limit{{Calls: 1, Per: policy.Day}}}})
	id := begun(t, w.about("tools/call", "job", `,"arguments":{}`))
	if got := w.about("tasks/get", id, ""); !strings.Contains(got, "asks about tasks of this tool too often: at most so many a minute") {
		t.Errorf("got %s", got)
	}
	if n := w.fakes["crm"].Stats().ByTool["tasks/get"]; n != 0 {
		t.Errorf("got %d requests at the server, want none", n)
	}
	if len(b.subjects) != 2 || b.subjects[0].Tool != "crm/job" || b.subjects[1].Tool != "crm/job tasks" {
		t.Fatalf("got %+v", b.subjects)
	}
	if own := b.bounds[1]; own.Concurrent != 3 || len(own.Limits) != 1 || own.Limits[0].By != policy.ByKey || own.Limits[0].Calls < 100 {
		t.Errorf("got the bounds %+v", own)
	}
}

// The record has the result of a task as it has that of a call, under the entry of the request that fetched it, which names the call.
func TestTaskInTheRecord(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.KeepArguments = true })
	w.makesTasks("crm/job")
	id := begun(t, w.about("tools/call", "job", `,"arguments":{"text":"x"}`))
	w.about("tasks/get", id, "")
	if got := w.about("tasks/get", id, ""); !strings.Contains(got, `"status":"completed"`) {
		t.Fatalf("got %s", got)
	}
	all := w.entries()
	made, fetched := all[len(all)-3], all[len(all)-1]
	if fetched.Kind != audit.TaskCall || fetched.Detail["call"] == "" || fetched.Detail["call"] != made.Detail["call"] || fetched.ResultBytes == 0 || fetched.ResultDigest == "" || fetched.ArgumentBytes != 0 {
		t.Errorf("got %+v after %+v", fetched, made)
	}
	if made.Kind != audit.ToolCall || made.Arguments != `{"text":"x"}` {
		t.Errorf("got %+v", made)
	}
	if strings.Contains(fmt.Sprint(all), id) {
		t.Error("the record has the id, with which its client can ask")
	}
}

// The rules about hours hold for what is asked of a task, and a tool's other rules for the call that made it.
func TestTaskKeepsHours(t *testing.T) {
	w := newWorld(t, nil)
	w.ahead.Store(int64(time.Until(time.Now().UTC().Truncate(24 * time.Hour).Add(36 * time.Hour)))) // noon
	w.revise("support", persona.Grant{Pin: persona.Pin{Tool: "crm/job"}, Policy: policy.Policy{Tasks: true, Hours: []policy.Hours{{From: "08:00", To: "18:00"}},
		Arguments: []policy.Constraint{{Path: "/text", Const: []byte(`"x"`)}}}})
	id := begun(t, w.about("tools/call", "job", `,"arguments":{"text":"x"}`))
	if got := w.about("tasks/get", id, ""); !strings.Contains(got, `"status":"working"`) {
		t.Errorf("at noon: got %s", got)
	}
	w.ahead.Add(int64(8 * time.Hour))
	if got := w.about("tasks/get", id, ""); !strings.Contains(got, "this tool may be used from 08:00 to 18:00") {
		t.Errorf("in the evening: got %s", got)
	}
}

// A task whose question nobody came back to answer is cancelled, with the call that waited for it.
func TestTaskIsCancelledWithItsQuestion(t *testing.T) {
	w := newWorld(t, nil)
	w.revise("support", persona.Grant{Pin: persona.Pin{Tool: "old/asking_must"}, Policy: policy.Policy{Tasks: true, Asks: []policy.Ask{policy.AskForm}}})
	answer(t, w.round("asking_must", ""), "ask", "{}")
	bound, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	must(t, w.gateway.Close(bound))
	if got := w.fakes["old"].Stats().CancelledTasks; len(got) != 1 {
		t.Errorf("got %q cancelled at the server, want the task", got)
	}
}
