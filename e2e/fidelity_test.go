package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"remit/internal/fakemcp"
	"remit/policy"
)

// scenario is one tool, and what a call of it brings.
type scenario struct {
	name   string   // of the tool
	more   string   // further members of its definition
	before []string // messages before the answer; $TOKEN stands for the progress token
	result string   // as the server sends it, or
	err    string   // the error
}

// corpus is what a gateway that decodes and encodes loses or changes.
var corpus = []scenario{
	{name: "unknown_members", more: `"x-vendor":{"b":1.0,"a":[null]},"title":"T"`, result: `{"content":[{"type":"text","text":"hi","x-more":{"z":1.50,"a":2}}],"x-top":[1,{"b":null}],"isError":false}`},
	{name: "unknown_content", result: `{"content":[{"type":"hologram","frames":[1,2],"of":{"deep":[[[[]]]]}},{"type":"text","text":"x"}]}`},
	{name: "all_content", result: `{"content":[{"type":"image","data":"AAAA","mimeType":"image/png"},{"type":"audio","data":"AAAA","mimeType":"audio/wav"},{"type":"resource_link","uri":"file:///a","name":"a"},{"type":"resource","resource":{"uri":"file:///b","text":"b"}}]}`},
	{name: "numbers", more: `"x-n":[12345678901234567890,1e400,-0,1.50,1E+2]`, result: `{"content":[],"structuredContent":{"big":12345678901234567890,"huge":1e400,"zero":-0,"trail":1.50,"exp":1E+2,"tiny":1e-400}}`},
	{name: "meta", result: `{"content":[{"type":"text","text":"","_meta":{"a.example/b":[1]}}],"_meta":{"com.example/trace":"é","n":1.0}}`},
	{name: "annotations", more: `"annotations":{"readOnlyHint":true,"title":"A","x-risk":9,"destructiveHint":null},"icons":[{"src":"data:,","sizes":["any"]}],"execution":{"taskSupport":"optional"}`,
		result: `{"content":[{"type":"text","text":"x","annotations":{"audience":["user"],"priority":0.90,"lastModified":"2026-01-01T00:00:00Z","x":1}}]}`},
	{name: "schema_2020_12", more: `"outputSchema":{"$schema":"https://json-schema.org/draft/2020-12/schema","$defs":{"a":{"$anchor":"a","type":"integer","maximum":12345678901234567890}},"type":"object","properties":{"n":{"$ref":"#a"},"t":{"prefixItems":[{"type":"string"}],"items":false,"unevaluatedItems":false}},"dependentSchemas":{"n":{"required":["t"]}},"if":{"required":["n"]},"then":{"minProperties":1},"unevaluatedProperties":false}`,
		result: `{"content":[],"structuredContent":{"n":7,"t":["x"]}}`},
	{name: "structured_array", result: `{"content":[],"structuredContent":[1,"two",{"three":3.0}]}`},
	{name: "structured_string", result: `{"content":[],"structuredContent":"text"}`},
	{name: "structured_null", result: `{"content":[],"structuredContent":null}`},
	{name: "structured_number", result: `{"content":[],"structuredContent":1.00}`},
	{name: "unicode", more: `"x-u":"\u0041\uD83D\uDE00 é א"`, result: `{"content":[{"type":"text","text":"\u0041\uD83D\uDE00 😀 \u2028 e\u0301 é ` + "\u202e" + ` \u0000 \/ א\u200b"}]}`},
	{name: "white_space", result: "{\n  \"content\" : [ { \"type\":\"text\",\n\t\"text\":\"x\" } ] ,\n \"structuredContent\" : { \"a\" : 1 }\n}"},
	{name: "order", result: `{"structuredContent":{"z":1,"a":2},"isError":false,"content":[],"_meta":{}}`},
	{name: "large", result: `{"content":[{"type":"text","text":"` + strings.Repeat("0123456789abcdef", 1<<18) + `"}]}`},
	{name: "deep", result: `{"content":[],"structuredContent":` + strings.Repeat(`{"a":[`, 200) + strings.Repeat(`]}`, 200) + `}`},
	{name: "is_error", result: `{"content":[{"type":"text","text":"it failed","x":1.0}],"isError":true,"structuredContent":{"code":7}}`},
	{name: "empty_content", result: `{"content":[]}`},
	{name: "empty_result", result: `{}`},
	{name: "no_content", result: `{"x":1}`},
	{name: "result_type", result: `{"content":[],"resultType":"complete"}`},
	{name: "error_data", err: `{"code":-32001,"message":"no","data":{"big":12345678901234567890,"f":1.50,"z":[null],"a":"é\u0041"}}`},
	{name: "error_plain", err: `{"code":-32602,"message":"bad"}`},
	{name: "error_null_data", err: `{"code":42,"message":"","data":null}`},
	{name: "error_words", err: `{"code":-32000,"message":"two\nlines and  spaces, \u2028 é 😀 ` + strings.Repeat("long ", 300) + `"}`},
	{name: "error_capability", err: `{"code":-32021,"message":"needs sampling","data":{"requiredCapabilities":{"sampling":{}}}}`},
	{name: "progress", before: []string{
		`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":$TOKEN,"progress":1,"total":12345678901234567890,"message":"é\u0041"}}`,
		`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1.50,"x-eta":{"s":2.0},"_meta":{"a":1},"progressToken":$TOKEN}}`,
	}, result: `{"content":[{"type":"text","text":"done"}]}`},
}

// difference is what may differ between an answer direct and through the gateway, and why. It turns the one into the other.
type difference struct {
	reason string
	apply  func(client, server string, m message) message
}

// differences are all that are allowed in an answer. Beside them:
//   - What is in a list beside its definitions is the gateway's own, since the list is (compareLists).
//   - What a definition says of tasks is what this endpoint does: without a grant there are none (compareLists).
//   - Of what an agent says in _meta no schema and no policy sees anything, so only the trace context goes on, and the token
//     of progress as one of ours (compareArguments).
//   - A child process reads lines that mcp-go writes: white space between the values of arguments goes, and <, > and & in
//     them are spelled as escapes (asLine).
//   - White space in a definition may be that of another server whose definition is otherwise the same: the catalog keeps one.
var differences = []difference{
	{"every result of the stateless era says its type (2026-07-28, basic), also where the server says none", func(client, _ string, m message) message {
		if client == modernRevision && m.Result != nil && !strings.Contains(string(m.Result), `"resultType"`) {
			rest := strings.TrimLeft(strings.TrimPrefix(string(m.Result), "{"), " \n\t")
			if rest != "}" {
				rest = "," + rest
			}
			m.Result = json.RawMessage(`{"resultType":"complete"` + rest)
		}
		return m
	}},
	{"the token of progress is the client's own, which no server sees", func(_, _ string, m message) message {
		var p struct{ ProgressToken json.RawMessage }
		if m.Method == "notifications/progress" && json.Unmarshal(m.Params, &p) == nil {
			m.Params = json.RawMessage(strings.Replace(string(m.Params), `"progressToken":`+string(p.ProgressToken), `"progressToken":"mine"`, 1))
		}
		return m
	}},
}

// TestFidelity runs the corpus direct and through a persona that grants all of it, for every revision of the client in front
// of a server of either era, and compares the bytes of definitions, notifications, results and errors.
func TestFidelity(t *testing.T) {
	servers := map[string]string{"stateless": modernRevision, "sessions": fakemcp.Legacy, "streams": fakemcp.Legacy, "child": fakemcp.Legacy, "newchild": modernRevision}
	direct, upstreams := map[string]string{}, ""
	for name, revision := range servers {
		c := fakeOf(name, revision)
		fake, err := fakemcp.New(c)
		if err != nil {
			t.Fatal(err)
		}
		s := httptest.NewServer(fake)
		t.Cleanup(s.Close)
		t.Cleanup(s.CloseClientConnections)
		direct[name] = s.URL
		if strings.HasSuffix(name, "child") {
			upstreams += child(t, name, c)
		} else {
			upstreams += fmt.Sprintf("  %s: {url: %q, lists: [prompts, resources]}\n", name, s.URL)
		}
	}
	in := install(t, upstreams)
	in.crawled("stateless/progress", "sessions/progress", "streams/progress", "child/progress", "newchild/progress")
	for name, server := range servers {
		persona := in.all(name)
		want := dial(t, direct[name], "", server)
		for _, client := range []string{modernRevision, "2025-11-25", "2025-06-18", "2025-03-26"} {
			got := dial(t, persona.url, persona.key, client)
			t.Run(client+" before "+name, func(t *testing.T) {
				for member, method := range map[string]string{"tools": "tools/list", "prompts": "prompts/list", "resources": "resources/list", "resourceTemplates": "resources/templates/list"} {
					compareLists(t, want, got, method, member)
				}
				compareOthers(t, want, got, client, server)
				for _, s := range corpus {
					wanted := want.ask(t, "tools/call", s.name, `"name":"`+s.name+`","arguments":{}`)
					for i := range wanted {
						for _, d := range differences {
							wanted[i] = d.apply(client, server, wanted[i])
						}
					}
					through := got.ask(t, "tools/call", s.name, `"name":"`+s.name+`","arguments":{}`)
					if diff := cmp.Diff(texts(wanted), texts(through)); diff != "" {
						t.Errorf("%s (-direct +through the gateway):\n%.3000s", s.name, diff)
					}
				}
				sent := func(arguments string) string { return arguments }
				if strings.HasSuffix(name, "child") {
					sent = asLine
				}
				compareArguments(t, got, sent)
			})
		}
	}
}

// fakeOf is a server of the corpus. What a child is told has no white space between values, and it sends lines.
func fakeOf(name, revision string) fakemcp.Config {
	c := fakemcp.Config{Era: revision, SSE: name == "streams", Results: map[string]json.RawMessage{}, Errors: map[string]json.RawMessage{}, Before: map[string][]string{}}
	for _, s := range corpus {
		more := s.more
		if more != "" {
			more = "," + more
		}
		c.Tools = append(c.Tools, json.RawMessage(`{"name":"`+s.name+`", "description":"Is of `+name+`.","inputSchema":{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","$comment":"é\u0041"}`+more+`}`))
		c.Before[s.name] = s.before
		if s.err != "" {
			c.Errors[s.name] = json.RawMessage(s.err)
		} else {
			c.Results[s.name] = json.RawMessage(s.result)
		}
	}
	c.Prompts = []json.RawMessage{json.RawMessage(`{"name":"greet","description":"Is of ` + name + `.","arguments":[{"name":"who","x":1.0}],"x-vendor":[1e400],"icons":[]}`)}
	c.Resources = []json.RawMessage{json.RawMessage(`{"uri":"res://` + name + `/a","name":"a","size":12345678901234567890,"x-vendor":1.50,"annotations":{"priority":0.90}}`)}
	c.Templates = []json.RawMessage{json.RawMessage(`{"uriTemplate":"res://` + name + `/t/{id}","name":"t","mimeType":"text/plain","_meta":{"a":1.0}}`)}
	c.Results["greet"] = json.RawMessage(`{"messages":[{"role":"assistant","content":{"type":"hologram","x":1.0}},{"role":"user","content":{"type":"text","text":"\u0041é"}}],"x-top":12345678901234567890}`)
	c.Results["res://"+name+"/a"] = json.RawMessage(`{"contents":[{"uri":"res://a","blob":"AAAA","x":1.0},{"uri":"res://b","text":"é\u0041","_meta":{"n":1e400}}],"ttlMs":5,"cacheScope":"private","x-top":-0}`)
	c.Errors["res://"+name+"/t/broken"] = json.RawMessage(`{"code":-32002,"message":"not there","data":{"uri":"res://x","n":1.50}}`)
	if strings.HasSuffix(name, "child") {
		if err := json.Unmarshal([]byte(fakemcp.Env(c)[fakemcp.EnvVar]), &c); err != nil {
			panic(err) // it was encoded just before
		}
	}
	c.Tools = append(c.Tools, json.RawMessage(`{"name":"echo","description":"Repeats.","inputSchema":{"type":"object"}}`))
	return c
}

// child is the same as a process, which reads what to say from a file.
func child(t *testing.T, name string, c fakemcp.Config) string {
	t.Helper()
	file := t.TempDir() + "/fake.json"
	if err := os.WriteFile(file, []byte(fakemcp.Env(c)[fakemcp.EnvVar]), 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("  %s: {command: %s, env: {%s: '@%s'}, lists: [prompts, resources]}\n", name, os.Args[0], fakemcp.EnvVar, file)
}

// texts are the messages without what belongs to the one exchange.
func texts(all []message) (out []string) {
	for _, m := range all {
		out = append(out, fmt.Sprintf("%s params %s result %s error %s", m.Method, m.Params, m.Result, m.Error))
	}
	return out
}

// compareLists compares the definitions: what else is in a list is the gateway's own, since the list is.
func compareLists(t *testing.T, want, got *wire, method, member string) {
	t.Helper()
	list := func(w *wire) map[string]string {
		all := w.ask(t, method, "", "")
		var r map[string]json.RawMessage
		var definitions []json.RawMessage
		if err := json.Unmarshal(all[len(all)-1].Result, &r); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(r[member], &definitions); err != nil {
			t.Fatalf("%s: got %s: %v", method, texts(all), err)
		}
		byName := map[string]string{}
		for _, tool := range definitions {
			var named struct{ Name string }
			if err := json.Unmarshal(tool, &named); err != nil {
				t.Fatal(err)
			}
			byName[named.Name] = string(tool)
		}
		return byName
	}
	direct := list(want)
	for name, definition := range direct {
		direct[name] = strings.Replace(definition, `"taskSupport":"optional"`, `"taskSupport":"forbidden"`, 1)
	}
	if diff := cmp.Diff(direct, list(got)); diff != "" {
		t.Errorf("%s (-direct +through the gateway):\n%.3000s", method, diff)
	}
}

// compareOthers does the same for what comes of a prompt, of resources and of a completion.
func compareOthers(t *testing.T, want, got *wire, client, server string) {
	t.Helper()
	var listed struct{ Resources []struct{ URI string } }
	all := want.ask(t, "resources/list", "", "")
	if err := json.Unmarshal(all[len(all)-1].Result, &listed); err != nil {
		t.Fatal(err)
	}
	uri := listed.Resources[0].URI
	broken := strings.TrimSuffix(uri, "a") + "t/broken"
	for _, ask := range [][3]string{
		{"prompts/get", "greet", `"name":"greet","arguments":{"who":"é\u0041"}`}, {"resources/read", uri, `"uri":"` + uri + `"`},
		{"resources/read", broken, `"uri":"` + broken + `"`},
	} {
		wanted := want.ask(t, ask[0], ask[1], ask[2])
		for i := range wanted {
			for _, d := range differences {
				wanted[i] = d.apply(client, server, wanted[i])
			}
		}
		if diff := cmp.Diff(texts(wanted), texts(got.ask(t, ask[0], ask[1], ask[2]))); diff != "" {
			t.Errorf("%s %s (-direct +through the gateway):\n%.3000s", ask[0], ask[1], diff)
		}
	}
	all = got.ask(t, "completion/complete", "", `"ref":{"type":"ref/prompt","name":"greet"},"argument":{"name":"who","value":"é\u0041"}`)
	if text := string(all[len(all)-1].Result); !strings.Contains(text, `\"argument\":{\"name\":\"who\",\"value\":\"é`) {
		t.Errorf("completion: the server got %s", text)
	}
}

func asLine(arguments string) string {
	var line, escaped bytes.Buffer
	if err := json.Compact(&line, []byte(arguments)); err != nil {
		panic(err) // it is one of ours
	}
	json.HTMLEscape(&escaped, line.Bytes())
	return escaped.String()
}

// compareArguments sends arguments that are changed by being decoded, and reads what the server got.
func compareArguments(t *testing.T, w *wire, sent func(string) string) {
	t.Helper()
	for _, arguments := range []string{
		`{"z":1,"a":{"y":2,"x":3}}`, `{"big":12345678901234567890,"huge":1e400,"zero":-0,"trail":1.50,"exp":1E+2}`,
		`{"u":"\u0041\uD83D\uDE00 é \u2028 \/ \u0000","html":"<a & b>"}`, "{ \"a\" : [ 1 ,\n 2 ] }", `{"":null,"a b":{"":[]}}`,
		`{"t":"` + strings.Repeat("x", 1<<20) + `"}`,
	} {
		all := w.ask(t, "tools/call", "echo", `"name":"echo","arguments":`+arguments)
		var r struct {
			StructuredContent struct {
				Arguments json.RawMessage
				Meta      map[string]json.RawMessage
			}
		}
		if err := json.Unmarshal(all[len(all)-1].Result, &r); err != nil {
			t.Errorf("%.80s: got %.300s", arguments, texts(all))
			continue
		}
		if got, want := string(r.StructuredContent.Arguments), sent(arguments); got != want {
			t.Errorf("arguments: the server got %.300s, want %.300s", got, want)
		}
		for member := range r.StructuredContent.Meta { // what else the agent says there, no schema and no policy sees
			if member != "progressToken" && !strings.HasPrefix(member, "io.modelcontextprotocol/") {
				t.Errorf("the server got %q in _meta", member)
			}
		}
	}
}

// TestFidelityOfAsking has the official server-everything ask a client for a form, an answer of its model and a page, direct and through a
// persona that lets it, and compares the bytes of the questions and of what comes of the answers. What differs is that a message to a
// person says which server asks. A client of the stateless era is asked the same.
func TestFidelityOfAsking(t *testing.T) {
	url := everything(t)
	in := install(t, fmt.Sprintf("  everything: {url: %q, asks: [%s]}\n", url, allAsks))
	in.crawled("everything/trigger-elicitation-request", "everything/trigger-sampling-request", "everything/trigger-url-elicitation")
	at := in.all("everything", policy.Policy{Asks: policy.Asks})
	const can = `{"elicitation":{"form":{},"url":{}},"sampling":{}}`
	for _, ask := range [][3]string{
		{"trigger-elicitation-request", `{}`, `{"action":"accept","content":{"name":"\u0041é","number":1.50,"untitledMultipleSelectEnum":["Drums"]}}`},
		{"trigger-elicitation-request", `{}`, `{"action":"decline"}`},
		{"trigger-sampling-request", `{"prompt":"<é & \u0041>","maxTokens":5}`, `{"role":"assistant","content":{"type":"text","text":"T"},"model":"m","stopReason":"endTurn","x":1.0}`},
		{"trigger-url-elicitation", `{"url":"https://tools.example/a?b=c&d","message":"Go.","elicitationId":"e1"}`, `{"action":"accept"}`},
	} {
		var asked []string
		for _, client := range []string{"2025-06-18", "2025-11-25"} {
			direct := dialAs(t, url, "", client, can)
			direct.notify(t, "notifications/initialized", "") // only then it offers the tools
			waitFor(t, "the tools that ask", func() bool {
				all := direct.ask(t, "tools/list", "", "")
				return strings.Contains(string(all[len(all)-1].Result), ask[0])
			})
			want := direct.converse(t, ask[0], ask[1], ask[2])
			for i := range want {
				want[i] = strings.Replace(want[i], `"message":"`, `"message":"The server everything asks: `, 1)
			}
			got := dialAs(t, at.url, at.key, client, can).converse(t, ask[0], ask[1], ask[2])
			if diff := cmp.Diff(want, got); diff != "" || len(want) != 2 {
				t.Errorf("%s as %s (-direct +through the gateway):\n%.3000s", ask[0], client, diff)
			}
			asked = want[:1]
		}
		got := dialAs(t, at.url, at.key, modernRevision, can).converse(t, ask[0], ask[1], ask[2])
		if diff := cmp.Diff(asked, got[:len(got)-1]); diff != "" {
			t.Errorf("%s as %s (-direct +through the gateway):\n%.3000s", ask[0], modernRevision, diff)
		}
	}
}

// converse calls a tool, answers whatever it is asked, and returns the questions and what came of the call.
func (w *wire) converse(t *testing.T, tool, arguments, answer string) (out []string) {
	t.Helper()
	for params := `"name":"` + tool + `","arguments":` + arguments; ; {
		res := w.send(t.Context(), t, "tools/call", tool, params, "{\"x\":1")
		all := messagesFor(t, res, func(m message) {
			if m.Method != "" && m.ID != nil {
				out = append(out, m.Method+" "+string(m.Params))
				w.say(t, `{"jsonrpc":"2.0","id":`+string(m.ID)+`,"result":`+answer+`}`)
			}
		})
		res.Body.Close()
		last := all[len(all)-1]
		var r struct {
			InputRequests map[string]struct {
				Method string
				Params json.RawMessage
			}
			RequestState string
		}
		if err := json.Unmarshal(last.Result, &r); err != nil || r.RequestState == "" {
			return append(out, string(last.Result)+string(last.Error))
		}
		for key, q := range r.InputRequests {
			out = append(out, q.Method+" "+string(q.Params))
			params += `,"requestState":"` + r.RequestState + `","inputResponses":{"` + key + `":` + answer + `}`
		}
	}
}

// TestCancellationArrives: a client that gives up has the server hear of it, whatever the eras on both sides.
func TestCancellationArrives(t *testing.T) {
	fakes, upstreams := map[string]*fakemcp.Server{}, ""
	for name, era := range map[string]string{"stateless": modernRevision, "sessions": fakemcp.Legacy} {
		fake, err := fakemcp.New(fakemcp.Config{Era: era, Tools: []json.RawMessage{json.RawMessage(`{"name":"slow","description":"Takes long.","inputSchema":{"type":"object"}}`)}})
		if err != nil {
			t.Fatal(err)
		}
		s := httptest.NewServer(fake)
		t.Cleanup(s.Close)
		t.Cleanup(s.CloseClientConnections)
		fakes[name] = fake
		upstreams += fmt.Sprintf("  %s: {url: %q}\n", name, s.URL)
	}
	in := install(t, upstreams)
	in.crawled("stateless/slow", "sessions/slow")
	for name, fake := range fakes {
		persona := in.all(name)
		for _, client := range []string{modernRevision, fakemcp.Legacy} {
			calls, cancelled := fake.Stats().Calls, fake.Stats().Cancelled
			w := dial(t, persona.url, persona.key, client)
			ctx, leave := context.WithCancel(t.Context())
			res := w.send(ctx, t, "tools/call", "slow", `"name":"slow","arguments":{}`, `{"progressToken":1`) // whose stream begins at once
			waitFor(t, "the call at the server", func() bool { return fake.Stats().Calls > calls })
			if client == modernRevision {
				leave() // closing the stream is the cancellation
			} else {
				w.notify(t, "notifications/cancelled", `"requestId":"one"`)
			}
			waitFor(t, client+" before "+name+": the cancellation at the server", func() bool { return fake.Stats().Cancelled > cancelled })
			leave()
			res.Body.Close()
		}
	}
}
