package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// wire is a client that shows each message as the bytes that came.
type wire struct {
	url, key, revision string
	session            string
	can                string // as capabilities
}

const modernRevision = "2026-07-28"

// message is one from a server.
type message struct {
	ID     json.RawMessage
	Method string
	Params json.RawMessage
	Result json.RawMessage
	Error  json.RawMessage
}

// dial opens a session where the revision has such.
func dial(t *testing.T, url, key, revision string) *wire {
	t.Helper()
	return dialAs(t, url, key, revision, "{}")
}

// dialAs is dial of a client with the capabilities.
func dialAs(t *testing.T, url, key, revision, capabilities string) *wire {
	t.Helper()
	w := &wire{url: url, key: key, revision: revision, can: capabilities}
	if revision == modernRevision {
		return w
	}
	all := w.ask(t, "initialize", "", `"protocolVersion":"`+revision+`","capabilities":`+capabilities+`,"clientInfo":{"name":"wire","version":"1"}`)
	if len(all) != 1 || all[0].Result == nil || w.session == "" {
		t.Fatalf("initialize: got %+v", all)
	}
	return w
}

// ask sends a request, of the tool's name where it has one, and returns the messages up to its answer.
func (w *wire) ask(t *testing.T, method, name, params string) []message {
	t.Helper()
	res := w.send(t.Context(), t, method, name, params, `{"progressToken":"mine"`)
	defer res.Body.Close()
	if session := res.Header.Get("Mcp-Session-Id"); session != "" {
		w.session = session
	}
	all := messages(t, res)
	if len(all) == 0 {
		t.Fatalf("%s %s: got %s and no message", method, name, res.Status)
	}
	return all
}

func (w *wire) send(ctx context.Context, t *testing.T, method, name, params, meta string) *http.Response {
	t.Helper()
	if w.revision == modernRevision {
		meta += `,"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":` + w.can + `,"io.modelcontextprotocol/clientInfo":{"name":"wire","version":"1"}`
	}
	if params != "" {
		params += ","
	}
	body := `{"jsonrpc":"2.0","id":"one","method":"` + method + `","params":{` + params + `"_meta":` + meta + `}}}`
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if w.key != "" {
		r.Header.Set("Authorization", "Bearer "+w.key)
	}
	if w.revision == modernRevision {
		r.Header.Set("MCP-Protocol-Version", w.revision)
		r.Header.Set("Mcp-Method", method)
		if name != "" {
			r.Header.Set("Mcp-Name", name)
		}
	} else if w.session != "" {
		r.Header.Set("Mcp-Session-Id", w.session)
		r.Header.Set("MCP-Protocol-Version", w.revision)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// messages reads a JSON answer, or a stream to its end.
func messages(t *testing.T, res *http.Response) []message {
	t.Helper()
	return messagesFor(t, res, func(message) {})
}

// messagesFor does the same, and hands each to heard as it comes.
func messagesFor(t *testing.T, res *http.Response, heard func(message)) (all []message) {
	t.Helper()
	add := func(text []byte) {
		var m message
		if err := json.Unmarshal(text, &m); err != nil {
			t.Fatalf("got %s %.300q: %v", res.Status, text, err)
		}
		all = append(all, m)
		heard(m)
	}
	if !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		add(text)
		return all
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 32<<20)
	var data [][]byte
	for lines.Scan() {
		if text, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: ")); ok {
			data = append(data, bytes.Clone(text))
		} else if lines.Text() == "" && data != nil {
			if text := bytes.Join(data, []byte("\n")); len(text) > 0 { // an event without data only has an id
				add(text)
			}
			data = nil
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// notify sends a notification in the session.
func (w *wire) notify(t *testing.T, method, params string) {
	t.Helper()
	w.say(t, `{"jsonrpc":"2.0","method":"`+method+`","params":{`+params+`}}`)
}

// say sends what has no answer in the session.
func (w *wire) say(t *testing.T, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"Authorization": "Bearer " + w.key, "Mcp-Session-Id": w.session, "MCP-Protocol-Version": w.revision} {
		r.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusAccepted {
		t.Errorf("%s: got %s", body, res.Status)
	}
}
