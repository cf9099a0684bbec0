package fakemcp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Task is what becomes of a tool's calls that are made as tasks: of every call of a client of the newer era that knows tasks, and of one of
// the older that asks for it.
type Task struct {
	// States are what is said of the task, one after another, as an object's
	// members without the braces; the last is said for ever. One that is
	// input_required stays until the client has answered, or asked for the
	// result. What a state does not say of id, times and intervals is added.
	States []string
	// Result is how tasks/result is answered in the older era: an object with
	// the member result or error, in which $ID is the task's. Where Config.Asks
	// has something under "result of" and the tool's name, that is asked for
	// first, and the answer repeats what the client said. Where the last state
	// is that it works, the answer comes when the task is cancelled.
	Result json.RawMessage `json:",omitempty"`
	// Insists has calls refused that are not made as tasks.
	Insists bool `json:",omitempty"`
}

// job is a task that was made.
type job struct {
	tool      string
	at        int // which of the states is next
	cancelled bool
	over      chan struct{} // closed when it is
}

// begins makes a task of a call, and says whether the call is answered with that.
func (s *Server) begins(x *exchange) bool {
	t, ok := s.config.Tasks[x.Name]
	if !ok {
		return false
	}
	wanted := x.Task != nil
	if x.modern() {
		var can struct {
			Extensions map[string]json.RawMessage `json:"extensions"`
		}
		_ = json.Unmarshal(x.Meta.Can, &can) // what cannot be read is missing
		_, wanted = can.Extensions["io.modelcontextprotocol/tasks"]
	}
	switch {
	case !wanted && t.Insists && x.modern():
		x.fail(-32021, "Missing required client capability", `{"requiredCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}`)
		return true
	case !wanted && t.Insists:
		x.fail(-32601, "call it as a task", "")
		return true
	case !wanted:
		return false
	}
	s.mu.Lock()
	id := fmt.Sprintf("%s-%d", x.Name, len(s.jobs)+1)
	s.jobs[id] = &job{tool: x.Name, over: make(chan struct{})}
	s.mu.Unlock()
	text := s.state(id, x.modern(), false)
	if x.modern() {
		var all map[string]json.RawMessage
		if json.Unmarshal([]byte("{"+text+"}"), &all) == nil { // what it asks, or came to, is said by tasks/get only
			for _, name := range []string{"inputRequests", "result", "error"} {
				delete(all, name)
			}
			all["resultType"] = json.RawMessage(`"task"`)
		}
		said, _ := json.Marshal(all) // of values that were read
		x.result(string(said))
	} else {
		x.result(`{"task":{` + text + `}}`)
	}
	return true
}

// state is what is said of a task now.
func (s *Server) state(id string, modern, answered bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.jobs[id]
	states := s.config.Tasks[j.tool].States
	text := states[min(j.at, len(states)-1)]
	if j.cancelled {
		text = `"status":"cancelled"`
	} else if waits := bytes.Contains([]byte(text), []byte(`"input_required"`)); !waits {
		j.at++
	} else if answered {
		j.at++
		text = states[min(j.at, len(states)-1)]
	}
	more := map[string]string{"taskId": quote(id), "createdAt": `"2026-11-25T10:30:00Z"`, "lastUpdatedAt": `"2026-11-25T10:40:00Z"`, "ttl": "60000", "pollInterval": "20"}
	for _, name := range slices.Sorted(maps.Keys(more)) {
		spelt := name
		if modern && (name == "ttl" || name == "pollInterval") {
			spelt += "Ms"
		}
		if !bytes.Contains([]byte(text), []byte(quote(spelt))) {
			text += "," + quote(spelt) + ":" + more[name]
		}
	}
	return text
}

// aboutTask serves what clients ask about tasks.
func (s *Server) aboutTask(ctx context.Context, x *exchange) {
	s.mu.Lock()
	s.stats.Calls++
	s.stats.ByTool[x.Method]++
	if x.Responses != nil {
		s.stats.Answers = append(s.stats.Answers, string(x.Responses))
	}
	j := s.jobs[x.TaskID]
	s.mu.Unlock()
	if j == nil {
		x.fail(-32602, "Failed to retrieve task: no such task", "")
		return
	}
	switch x.Method {
	case "tasks/get":
		x.complete(s.state(x.TaskID, x.modern(), false))
	case "tasks/update":
		s.state(x.TaskID, true, true)
		x.result(`{"resultType":"complete"}`)
	case "tasks/cancel":
		s.mu.Lock()
		if !j.cancelled {
			j.cancelled = true
			close(j.over)
		}
		s.stats.CancelledTasks = append(s.stats.CancelledTasks, x.TaskID)
		s.mu.Unlock()
		if x.modern() {
			x.result(`{"resultType":"complete"}`)
			return
		}
		x.complete(s.state(x.TaskID, false, false))
	case "tasks/result":
		said, asks := "", s.config.Asks["result of "+j.tool]
		if len(asks) > 0 {
			var ok bool
			if said, ok = s.hears(ctx, asks, x); !ok {
				return
			}
		}
		if states := s.config.Tasks[j.tool].States; strings.Contains(states[len(states)-1], `"working"`) {
			select {
			case <-j.over:
				x.fail(-32000, "the task was cancelled", "")
			case <-ctx.Done():
			}
			return
		}
		if len(asks) > 0 {
			x.complete(`"content":[{"type":"text","text":` + quote("heard"+said) + `}],"_meta":{"io.modelcontextprotocol/related-task":{"taskId":` + quote(x.TaskID) + `}}`)
			return
		}
		s.state(x.TaskID, false, true)
		x.answered = true
		raw := bytes.ReplaceAll(s.config.Tasks[j.tool].Result, []byte("$ID"), []byte(x.TaskID))
		x.send(append([]byte(`{"jsonrpc":"2.0","id":`+string(x.ID)+`,`), raw[1:]...))
	}
}
