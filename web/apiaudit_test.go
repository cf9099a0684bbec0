package web_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"remit/audit"
)

// The record as JSON: the filters of the page, in pages, to people with a role; what is not understood is refused.
func TestAPIOfTheRecord(t *testing.T) {
	w := newWorld(t, shop())
	for _, tool := range []string{"crm/first", "crm/second", "crm/third", "<script>"} {
		if err := w.store.Append(t.Context(), audit.Entry{Kind: audit.ToolCall, Actor: audit.Actor{Agent: "bot", Key: "k1"}, Tool: tool, Decision: audit.Refused}); err != nil {
			t.Fatal(err)
		}
	}
	b := w.as(t, "ann")
	read := func(path string) (entries []audit.Entry, older string) {
		t.Helper()
		b.get(path)
		b.wants(200)
		if got := b.header.Get("Content-Type"); got != "application/json" {
			t.Errorf("%s: got %s", path, got)
		}
		var page struct {
			Entries []audit.Entry
			Older   string
		}
		if err := json.Unmarshal([]byte(b.body), &page); err != nil {
			t.Fatal(err)
		}
		return page.Entries, page.Older
	}
	var tools []string
	for next := "/api/audit?key=k1&kind=tool.call&limit=3"; next != ""; {
		var entries []audit.Entry
		entries, next = read(next)
		for _, e := range entries {
			tools = append(tools, e.Tool)
			var v audit.Verifier
			if err := v.Add(e); err != nil {
				t.Error(err)
			}
		}
	}
	if len(tools) != 4 || tools[0] != "<script>" || tools[3] != "crm/first" {
		t.Errorf("got %q, want all four, the newest first", tools)
	}
	if entries, older := read("/api/audit?tool=none"); len(entries) != 0 || older != "" {
		t.Errorf("got %v, %q", entries, older)
	}
	for _, query := range []string{"since=yesterday", "tol=x", "limit=0", "limit=1001", "before=x", "decision=maybe", "revision=0", "tool=a&tool=b"} {
		b.get("/api/audit?" + query)
		b.wants(http.StatusUnprocessableEntity, `"error":`)
	}
	stranger := w.browser(t)
	stranger.get("/api/audit")
	stranger.wants(http.StatusUnauthorized, `"error":`)
	vic := w.as(t, "vic")
	vic.get("/api/audit")
	vic.wants(http.StatusForbidden, `"error":`, "this needs a role")
}
