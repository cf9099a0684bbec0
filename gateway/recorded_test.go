package gateway_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"remit/audit"
)

const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// What a call carried is in its entry as sizes and digests, and its content nowhere.
func TestWhatACallCarriedIsRecorded(t *testing.T) {
	w := newWorld(t, nil)
	modern := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"find_customer","arguments":{"email": "ada@secret.example"},` +
		strings.TrimSuffix(meta, "}") + `,"traceparent":"` + traceparent + `","io.modelcontextprotocol/clientInfo":{"name":"shop\u0007bot","version":"` + strings.Repeat("9", 100) + `"}}}}`
	var answer struct{ Result json.RawMessage }
	must(t, json.Unmarshal([]byte(w.text(w.post(context.Background(), "support", "", modern))), &answer))
	session := w.session("support")
	w.text(w.post(context.Background(), "support", session, `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"none","_meta":{"traceparent":"00-x"}}}`))

	canonical := []byte(`{"email":"ada@secret.example"}`)
	want := []audit.Call{{ArgumentBytes: int64(len(canonical) + 1), ArgumentDigest: audit.Digest(canonical), ResultBytes: int64(len(answer.Result)),
		ResultDigest: audit.Digest(answer.Result), Protocol: "2026-07-28", Client: "shop?bot", ClientVersion: strings.Repeat("9", 61) + "…",
		Trace: "4bf92f3577b34da6a3ce929d0e0e4736"},
		{ArgumentBytes: 2, ArgumentDigest: audit.Digest([]byte("{}")), Protocol: "2025-11-25", Client: "test", ClientVersion: "1"}}
	var got []audit.Call
	for _, e := range w.entries() {
		if e.Micros < e.UpstreamMicros || (e.UpstreamMicros > 0) != (e.Decision == audit.Allowed) {
			t.Errorf("got %d µs, of them %d in the upstream, for a call that was %s", e.Micros, e.UpstreamMicros, e.Decision)
		}
		if text, _ := json.Marshal(e); strings.Contains(string(text), "secret") {
			t.Errorf("the entry has content: %s", text)
		}
		got = append(got, e.Call)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(audit.Call{}, "UpstreamMicros")); diff != "" {
		t.Errorf("got other than want: %s", diff)
	}
}
