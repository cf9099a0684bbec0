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

// asksFor has the persona support grant one tool, whose server may have the client fill in forms.
func (w *world) asksFor(tool string, masks ...policy.Mask) {
	w.t.Helper()
	w.revise("support", persona.Grant{Pin: persona.Pin{Tool: catalog.ID(tool)}, Policy: policy.Policy{Asks: []policy.Ask{policy.AskForm}, Mask: masks}})
}

// askable opens a session of the older era whose client can be asked.
func (w *world) askable(id, capabilities string) (session string) {
	w.t.Helper()
	r := w.post(w.t.Context(), id, "", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":`+capabilities+`,"clientInfo":{"name":"test","version":"1"}}}`)
	w.text(r)
	return r.Header.Get("Mcp-Session-Id")
}

// round is a call in the stateless era of a client that can be asked; more are further parameters.
func (w *world) round(tool, more string) string {
	w.t.Helper()
	return w.text(w.post(w.t.Context(), "support", "", fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":{}%s,"_meta":{`+
		`"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{}}}}}`, tool, more)))
}

// answer is what a client repeats a call with.
func answer(t *testing.T, asked, key, content string) string {
	t.Helper()
	state := regexp.MustCompile(`"requestState":("r1[.][^"]+")`).FindStringSubmatch(asked)
	if state == nil {
		t.Fatalf("got %s, want a question", asked)
	}
	return fmt.Sprintf(`,"requestState":%s,"inputResponses":{%q:{"action":"accept","content":%s}}`, state[1], key, content)
}

// A client hears that a page was done with which it was asked to open, once and while its call lasts, wherever the server says so, and of no other.
func TestPageIsDone(t *testing.T) {
	w := newWorld(t, nil)
	w.revise("support", persona.Grant{Pin: persona.Pin{Tool: "old/page"}, Policy: policy.Policy{Asks: []policy.Ask{policy.AskPage}}})
	session := w.askable("support", `{"elicitation":{"url":{}}}`)
	eventually(t, "the server can tell all", func() bool { return w.fakes["old"].Stats().Listeners > 0 })
	w.fakes["old"].Opened("e1") // before anybody was asked
	stream := events(w.post(t.Context(), "support", session, `{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"page","arguments":{}}}`))
	question := regexp.MustCompile(`"ask-[^"]+"`).FindString(<-stream)
	w.fakes["old"].Opened("another's")
	w.fakes["old"].Opened("e1")
	if got, want := <-stream, `{"jsonrpc":"2.0","method":"notifications/elicitation/complete","params":{"elicitationId":"e1"}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	w.text(w.post(t.Context(), "support", session, `{"jsonrpc":"2.0","id":`+question+`,"result":{"action":"accept"}}`))
	if got := <-stream; !strings.Contains(got, "heard") { // and not once more, though the server says so again on the call's stream
		t.Errorf("got %s", got)
	}
}

// Whichever replica a repeated call reaches goes on with it, unless the server's own call waits at another: then the agent is told.
func TestRoundOnAnotherReplica(t *testing.T) {
	where := t.TempDir() + "/remit.db"
	w := newWorldOn(t, where, func(c *gateway.Config) { c.StateKey = sessionKey })
	first := w.server
	w.replica(where, 0, false)
	second := w.server
	for _, tc := range []struct{ tool, key, want string }{{"crm/form", "q1", "heard"}, {"old/form", "ask", "waits at another instance of Remit"}} {
		w.asksFor(tc.tool)
		w.server = first
		asked := w.round("form", "")
		w.server = second
		if got := w.round("form", answer(t, asked, tc.key, `{"account":"7"}`)); !strings.Contains(got, tc.want) {
			t.Errorf("%s: got %s, want %q", tc.tool, got, tc.want)
		}
	}
}

// A server's call that waits for its client ends with the gateway. The server hears of it, and the record says that nobody came back.
func TestHeldCallEndsWithTheGateway(t *testing.T) {
	w := newWorld(t, nil)
	w.asksFor("old/form")
	answer(t, w.round("form", ""), "ask", "{}")
	bound, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	must(t, w.gateway.Close(bound))
	all := w.entries()
	last, first := all[len(all)-1], all[len(all)-2]
	if last.Decision != audit.Failed || !strings.Contains(last.Reason, "did not come back") || last.Detail["continues"] != first.Detail["call"] || first.Detail["call"] == "" {
		t.Errorf("got %+v after %+v", last, first)
	}
	eventually(t, "the server hears of it", func() bool { return w.fakes["old"].Stats().Cancelled > 0 })
	if why := w.gateway.Park(); why != "Remit is shutting down" {
		t.Errorf("a call whose server asks then waits: %q", why)
	}
}

// A client that can no longer answer is waited for no longer: the server is told so, and its call ends in good order.
func TestQuestionEndsWithTheGateway(t *testing.T) {
	w := newWorld(t, nil)
	w.asksFor("old/form")
	session := w.askable("support", `{"elicitation":{}}`)
	stream := events(w.post(t.Context(), "support", session, `{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"form","arguments":{}}}`))
	if got := <-stream; !strings.Contains(got, "elicitation/create") {
		t.Fatalf("got %s", got)
	}
	bound, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	must(t, w.gateway.Close(bound))
	if got := <-stream; !strings.Contains(got, "Remit is shutting down") || !strings.Contains(got, "heard") {
		t.Errorf("got %s", got)
	}
}

// A key may have a number of calls wait, and no more: the server is told, and goes on.
func TestHeldCallsAreBounded(t *testing.T) {
	w := newWorld(t, nil)
	w.asksFor("old/form")
	var asked []string
	for range 8 {
		asked = append(asked, w.round("form", ""))
	}
	if got := w.round("form", ""); !strings.Contains(got, "8 calls of this client wait for an answer already") {
		t.Errorf("the ninth: got %s", got)
	}
	for i, question := range asked {
		if got := w.round("form", answer(t, question, "ask", fmt.Sprintf(`{"n":%d}`, i))); !strings.Contains(got, fmt.Sprintf(`{\"n\":%d}`, i)) {
			t.Errorf("call %d: got %s", i, got)
		}
	}
}

// A server does not ask for ever, whatever the eras.
func TestRoundsAreBounded(t *testing.T) {
	w := newWorld(t, nil)
	for tool, key := range map[string]string{"crm/endless": "q%d", "old/endless": "ask"} {
		w.asksFor(tool)
		got, n := w.round("endless", ""), 0
		for ; strings.Contains(got, "input_required") && n < 20; n++ {
			name := key
			if strings.Contains(key, "%") {
				name = fmt.Sprintf(key, n+1)
			}
			got = w.round("endless", answer(t, got, name, "{}"))
		}
		if n != 8 || !strings.Contains(got, "it asked again after 8 rounds") {
			t.Errorf("%s: got %s after %d rounds", tool, got, n)
		}
	}
}

// The record has what a client answered as it has arguments: where these are kept, after the masks of the grant and those of secrets.
func TestAnswersInTheRecord(t *testing.T) {
	for name, keep := range map[string]bool{"kept": true, "not kept": false} {
		w := newWorld(t, func(c *gateway.Config) { c.KeepArguments = keep })
		w.asksFor("crm/form", policy.Mask{Detector: "email", Mode: policy.Redact})
		content := `{"account":"ada@example.com","token":"sk-ant-api03-` + strings.Repeat("aB3", 31) + `AA","n":7}`
		if got := w.round("form", answer(t, w.round("form", ""), "q1", content)); !strings.Contains(got, "heard") {
			t.Errorf("%s: got %s", name, got)
		}
		all := w.entries()
		said := all[len(all)-1].Detail["answers"]
		if strings.Contains(said, "ada@") || strings.Contains(said, "aB3") || !strings.HasPrefix(said, "elicitation ") || !strings.Contains(said, "sha256:") || keep != strings.Contains(said, `"n":7`) {
			t.Errorf("%s: the record has %s", name, said)
		}
	}
}
