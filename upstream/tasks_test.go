package upstream

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"remit/internal/fakemcp"
)

// A server is told that its task is taken for an answer only with the calls that take one, and in the way of its era; what it says of a task
// has no secrets of the configuration in it.
func TestTasks(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		c := k.reach(t, fakemcp.Config{Tasks: map[string]fakemcp.Task{"job": {
			States: []string{`"status":"working","statusMessage":"secret-of-ours"`, `"status":"completed","result":{"content":[]}`},
			Result: json.RawMessage(`{"result":{"content":[{"type":"text","text":"secret-of-ours"}]}}`)}},
			Tools: []json.RawMessage{json.RawMessage(`{"name":"job","inputSchema":{}}`)}})
		c.Secrets = []string{"secret-of-ours"}
		s := one(t, c)
		ask := func(call Call) string {
			t.Helper()
			result, err := s.Call(within(t), call)
			if err != nil {
				t.Fatalf("%+v: %v", call, err)
			}
			return result.String()
		}
		if got := ask(Call{Tool: "job"}); strings.Contains(got, "taskId") {
			t.Errorf("a call that takes no task: got %s", got)
		}
		call, want := Call{Tool: "job", Tasks: true}, `"resultType":"task"`
		if modern := k.era == fakemcp.Modern || k.era == fakemcp.Both; modern {
			if _, err := s.Call(within(t), Call{Tool: "job", Task: json.RawMessage("{}")}); !errors.Is(err, ErrNoTasks) {
				t.Errorf("a task of the older era: got %v", err)
			}
		} else {
			call.Task, want = json.RawMessage(`{"ttl":1}`), `{"task":{`
		}
		if got := ask(call); !strings.Contains(got, want) || !strings.Contains(got, `"statusMessage":"[redacted]"`) || !strings.Contains(got, `"taskId":"job-1"`) {
			t.Errorf("got %s, want %s", got, want)
		}
		if got := ask(Call{Method: GetTask, Tool: "job-1"}); !strings.Contains(got, `"status":"completed"`) {
			t.Errorf("asked about it: got %s", got)
		}
		if call.Task != nil {
			if got := ask(Call{Method: TaskResult, Tool: "job-1"}); !strings.Contains(got, `"text":"[redacted]"`) {
				t.Errorf("its result: got %s", got)
			}
		}
		ask(Call{Method: CancelTask, Tool: "job-1"})
		if got := ask(Call{Method: GetTask, Tool: "job-1"}); !strings.Contains(got, `"status":"cancelled"`) {
			t.Errorf("cancelled: got %s", got)
		}
		var rpc *RPCError
		if _, err := s.Call(within(t), Call{Method: GetTask, Tool: "job-2"}); !errors.As(err, &rpc) || rpc.Code != -32602 {
			t.Errorf("one that is not: got %v", err)
		}
	})
}

// A server of the older era that does not say that it makes tasks of calls is asked for none, whatever its tools say.
func TestNoTasks(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		s := one(t, k.reach(t, fakemcp.Config{}))
		if _, err := s.Call(within(t), Call{Tool: "stats", Task: json.RawMessage("{}")}); !errors.Is(err, ErrNoTasks) {
			t.Errorf("got %v", err)
		}
		result, err := s.Call(within(t), Call{Tool: "stats"})
		var seen struct{ StructuredContent struct{ Calls int } }
		if err == nil {
			err = json.Unmarshal(result.Text, &seen)
		}
		if err != nil || seen.StructuredContent.Calls != 1 {
			t.Errorf("got %d calls at the server, %v, want the one that counts them", seen.StructuredContent.Calls, err)
		}
	})
}
