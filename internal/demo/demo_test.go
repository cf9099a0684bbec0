package demo_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"remit/catalog"
	"remit/internal/demo"
)

// session speaks raw MCP to a demo server over pipes.
type session struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Scanner
	id  int
}

func open(t *testing.T, name string) *session {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- demo.Serve(ctx, name, inR, outW); outW.Close() }()
	t.Cleanup(func() {
		inW.Close()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("%s ended with %v", name, err)
		}
	})
	s := &session{t: t, in: inW, out: bufio.NewScanner(outR)}
	s.out.Buffer(nil, 1<<20)
	s.ask("initialize", `{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}`)
	fmt.Fprintln(s.in, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	return s
}

func (s *session) ask(method, params string) json.RawMessage {
	s.t.Helper()
	s.id++
	fmt.Fprintf(s.in, `{"jsonrpc":"2.0","id":%d,"method":%q,"params":%s}`+"\n", s.id, method, params)
	for s.out.Scan() {
		var m struct {
			ID     int
			Result json.RawMessage
			Error  any
		}
		if err := json.Unmarshal(s.out.Bytes(), &m); err != nil {
			s.t.Fatal(err)
		}
		if m.ID == s.id {
			if m.Error != nil {
				s.t.Fatalf("%s: %v", method, m.Error)
			}
			return m.Result
		}
	}
	s.t.Fatalf("%s: no answer", method)
	return nil
}

func (s *session) call(tool, args string) string {
	s.t.Helper()
	return string(s.ask("tools/call", fmt.Sprintf(`{"name":%q,"arguments":%s}`, tool, args)))
}

func TestEveryServerListsUsableTools(t *testing.T) {
	for _, name := range demo.Names() {
		var list struct{ Tools []json.RawMessage }
		if err := json.Unmarshal(open(t, name).ask("tools/list", `{}`), &list); err != nil || len(list.Tools) < 4 {
			t.Errorf("%s: got %d tools, %v", name, len(list.Tools), err)
		}
		for _, def := range list.Tools {
			if _, err := catalog.Parse(name, def); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if err := demo.Serve(t.Context(), "none", strings.NewReader(""), io.Discard); err == nil {
		t.Error("a server that does not exist was served")
	}
}

func TestCallsChangeTheRecords(t *testing.T) {
	for _, tc := range []struct{ server, change, args, look, lookArgs, want string }{
		{"helpdesk", "create_ticket", `{"customer_id":"cus-1002","subject":"Broken bell"}`, "list_tickets", `{"customer_id":"cus-1002"}`, "Broken bell"},
		{"helpdesk", "reply_to_ticket", `{"ticket_id":"tic-1001","message":"We see it."}`, "get_ticket", `{"ticket_id":"tic-1001"}`, "We see it."},
		{"billing", "refund_payment", `{"invoice_id":"inv-1002","reason":"twice"}`, "list_invoices", `{"status":"refunded"}`, "inv-1002"},
		{"crm", "add_note", `{"customer_id":"cus-1001","note":"Called"}`, "get_customer", `{"customer_id":"cus-1001"}`, "Called"},
		{"calendar", "create_event", `{"day":"2026-12-02","title":"Call Nora","from":"10:00"}`, "list_events", `{"day":"2026-12-02"}`, "Call Nora"},
		{"chat", "post_message", `{"channel":"support","text":"Solved"}`, "read_channel", `{"channel":"support"}`, "Solved"},
	} {
		s := open(t, tc.server)
		if before := s.call(tc.look, tc.lookArgs); strings.Contains(before, tc.want) {
			t.Errorf("%s: %q is there before", tc.server, tc.want)
		}
		s.call(tc.change, tc.args)
		if after := s.call(tc.look, tc.lookArgs); !strings.Contains(after, tc.want) {
			t.Errorf("%s %s: got %s, want %q in it", tc.server, tc.look, after, tc.want)
		}
		if got := s.call(tc.change, `{"ticket_id":5,"customer_id":[],"invoice_id":null}`); got == "" {
			t.Errorf("%s: odd arguments got no answer", tc.server)
		}
	}
}
