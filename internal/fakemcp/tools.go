package fakemcp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// behaviours are the built-in tools, by name.
var behaviours = map[string]struct {
	description string
	act         func(ctx context.Context, s *Server, x *exchange, a arguments)
}{
	"echo":     {"Repeats its arguments and _meta.", echo},
	"slow":     {"Answers after \"ms\" milliseconds, by default an hour.", slow},
	"progress": {"Reports progress three times, then answers.", progress},
	"error":    {"Answers with a JSON-RPC error.", rpcError},
	"fails":    {"Answers with a result that is an error.", fails},
	"big":      {"Answers with \"bytes\" bytes of text.", big},
	"die":      {"Ends the process, or the HTTP connection, without an answer.", die},
	"garbage":  {"Answers with something that is not JSON.", garbage},
	"change":   {"Changes the list of tools and announces that.", change},
	"ask":      {"Sends the client a ping and a sampling request and answers with its replies.", ask},
	"stats":    {"Answers with what the server has seen.", seen},
	"env":      {"Answers with the names of the process's environment variables.", environment},
	"spawn":    {"Starts a grandchild that sleeps, and answers with its process number.", spawn},
	"whoami":   {"Answers with whose token came, as the header X-Fake-User says.", whoami},
	"moan":     {"Writes \"text\" to standard error.", moan},
}

type arguments struct {
	MS    int    `json:"ms"`
	Bytes int    `json:"bytes"`
	Text  string `json:"text"`
}

func builtins() []json.RawMessage {
	var tools []json.RawMessage
	for _, name := range []string{"echo", "slow", "progress", "error", "fails", "big", "die", "garbage", "change", "ask", "stats", "env", "spawn", "moan"} {
		tools = append(tools, definition(name, behaviours[name].description))
	}
	return tools
}

// definition is a tool as it is listed, with a little of what a careless
// round trip through Go structs would lose.
func definition(name, description string) json.RawMessage {
	return fmt.Appendf(nil, `{"name":%s,"description":%s,"inputSchema":{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{},"if":{"maxProperties":9007199254740993},"then":true},"x-fake":1.0}`, quote(name), quote(description))
}

// call answers tools/call.
func (s *Server) call(ctx context.Context, x *exchange) {
	s.mu.Lock()
	s.stats.Calls++
	s.stats.ByTool[x.Name]++
	known := false
	for _, raw := range s.tools {
		var tool struct {
			Name string `json:"name"`
		}
		known = known || json.Unmarshal(raw, &tool) == nil && tool.Name == x.Name
	}
	s.mu.Unlock()
	if s.config.Faults.WrongID {
		x.ID = json.RawMessage("424242")
	}
	for _, text := range s.config.Before[x.Name] {
		if x.Meta.Progress != nil || !strings.Contains(text, "$TOKEN") {
			x.send([]byte(strings.ReplaceAll(text, "$TOKEN", string(x.Meta.Progress))))
		}
	}
	if !s.asks(ctx, x.Name, x) {
		return
	}
	if s.begins(x) {
		return
	}
	if raw, ok := s.config.Errors[x.Name]; ok {
		x.answered = true
		x.send([]byte(`{"jsonrpc":"2.0","id":` + string(x.ID) + `,"error":` + string(raw) + `}`))
		return
	}
	if raw, ok := s.config.Results[x.Name]; ok {
		x.result(string(raw))
		return
	}
	if !known {
		x.fail(-32602, "unknown tool "+x.Name, "")
		return
	}
	var a arguments
	_ = json.Unmarshal(x.Arguments, &a) // what a tool does not understand it does not need
	if b, ok := behaviours[x.Name]; ok {
		b.act(ctx, s, x, a)
		return
	}
	echo(ctx, s, x, a)
}

func (x *exchange) text(text string) {
	x.complete(`"content":[{"type":"text","text":` + quote(text) + `}]`)
}

func echo(_ context.Context, _ *Server, x *exchange, _ arguments) {
	args := x.Arguments
	if args == nil {
		args = json.RawMessage("null")
	}
	var outer struct {
		Meta json.RawMessage `json:"_meta"`
	}
	_ = json.Unmarshal(x.message.Params, &outer) // it was parsed before
	if outer.Meta == nil {
		outer.Meta = json.RawMessage("null")
	}
	x.complete(fmt.Sprintf(`"content":[{"type":"text","text":%s}],"structuredContent":{"tool":%s,"arguments":%s,"meta":%s}`,
		quote(x.Name+" "+string(args)), quote(x.Name), args, outer.Meta))
}

func whoami(_ context.Context, _ *Server, x *exchange, _ arguments) {
	x.text("you are " + x.header.Get("X-Fake-User"))
}

func slow(ctx context.Context, _ *Server, x *exchange, a arguments) {
	if a.MS == 0 {
		a.MS = 3600_000
	}
	timer := time.NewTimer(time.Duration(a.MS) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		x.text("done")
	case <-ctx.Done():
	}
}

func progress(_ context.Context, _ *Server, x *exchange, _ arguments) {
	for i := range 3 {
		if x.Meta.Progress != nil {
			x.send(fmt.Appendf(nil, `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":%d,"total":12345678901234567890,"message":"step %d"}}`, x.Meta.Progress, i+1, i+1))
		}
	}
	x.text("done")
}

func rpcError(_ context.Context, s *Server, x *exchange, _ arguments) {
	text := "it \x1b[31mbroke\x1b[0m\x00 badly " + strings.Repeat("y", 2000)
	if s.config.Faults.EchoHeaders {
		text = fmt.Sprint("it broke: ", s.Stats().Header)
	}
	x.fail(-32050, text, `{"big":12345678901234567890}`)
}

func fails(_ context.Context, _ *Server, x *exchange, _ arguments) {
	x.complete(`"content":[{"type":"text","text":"it failed"}],"isError":true`)
}

func big(_ context.Context, _ *Server, x *exchange, a arguments) {
	x.text(strings.Repeat("x", a.Bytes))
}

func die(_ context.Context, _ *Server, x *exchange, _ arguments) { x.die() }

func garbage(_ context.Context, _ *Server, x *exchange, _ arguments) {
	x.send([]byte("<html>\x1b[2J this is not JSON"))
}

func change(_ context.Context, s *Server, x *exchange, _ arguments) {
	s.mu.Lock()
	s.changes++
	s.tools = append(append([]json.RawMessage(nil), s.tools...), definition(fmt.Sprintf("added_%d", s.changes), "Was not there before."))
	s.mu.Unlock()
	s.announce()
	x.text("changed")
}

// ask sends requests that a server may or may not make, and waits for both replies.
func ask(ctx context.Context, s *Server, x *exchange, _ arguments) {
	x.send([]byte(`{"jsonrpc":"2.0","id":"ask-1","method":"ping"}`))
	x.send([]byte(`{"jsonrpc":"2.0","id":7000,"method":"sampling/createMessage","params":{"messages":[],"maxTokens":1}}`))
	if x.modern() {
		x.text("asked") // in the newer era nobody replies
		return
	}
	for {
		s.mu.Lock()
		replies, replied := s.stats.Replies, s.replied
		s.mu.Unlock()
		if len(replies) >= 2 {
			x.text(string(bytes.Join(rawSlices(replies), []byte("\n"))))
			return
		}
		select {
		case <-replied:
		case <-ctx.Done():
			return
		}
	}
}

func seen(_ context.Context, s *Server, x *exchange, _ arguments) {
	raw, err := json.Marshal(s.Stats())
	if err != nil {
		x.fail(-32603, err.Error(), "")
		return
	}
	x.complete(`"content":[],"structuredContent":` + string(raw))
}

func environment(_ context.Context, _ *Server, x *exchange, _ arguments) {
	var names []string
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		names = append(names, name)
	}
	x.text(strings.Join(names, " "))
}

func spawn(_ context.Context, _ *Server, x *exchange, _ arguments) {
	cmd := exec.Command("sleep", "300")
	if err := cmd.Start(); err != nil {
		x.fail(-32603, err.Error(), "")
		return
	}
	x.text(fmt.Sprint(cmd.Process.Pid))
}

func moan(_ context.Context, _ *Server, x *exchange, a arguments) {
	fmt.Fprintln(os.Stderr, a.Text)
	x.text("moaned")
}
