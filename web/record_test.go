package web_test

import (
	"testing"
	"time"

	"remit/audit"
)

// A filter narrows, keeps what an address alone gave, and is never left out silently.
func TestFiltersOfTheRecord(t *testing.T) {
	w := newWorld(t, shop())
	for _, e := range []audit.Entry{
		{Kind: audit.ToolCall, Actor: audit.Actor{Agent: "bot", User: "zoe", Key: "k1"}, Revision: 2, Tool: "crm/first", Decision: audit.Allowed, Micros: 2500,
			Call: audit.Call{UpstreamMicros: 1500, Client: "desk", ClientVersion: "1.2", Trace: "4bf9"}},
		{Kind: audit.ToolCall, Tool: "crm/second", Decision: audit.Refused, Policy: "policy/hours", Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
	} {
		if err := w.store.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	b := w.as(t, "ann")
	for query, other := range map[string]string{"key=k1": "crm/second", "trace=4bf9": "crm/second", "client=desk": "crm/second", "revision=2": "crm/second",
		"since=1h": "crm/second", "policy=policy": "crm/first", "until=2026-01-03": "crm/first"} {
		b.get("/audit?server=crm&" + query)
		b.wants(200, "Also only", "server", "crm/")
		b.lacks(other)
	}
	b.get("/audit?key=k1")
	b.wants(200, "2.5 ms, 1.5 of it the server", "client=desk 1.2", "trace=4bf9", `name="key" value="k1"`)
	for _, query := range []string{"since=yesterday", "until=-1h", "revision=two", "revision=-1"} {
		b.get("/audit?" + query)
		b.wants(422, `data-testid="problem"`)
		b.lacks("crm/first")
	}
}
