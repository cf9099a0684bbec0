package audit_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"remit/audit"
)

// What is read fast is what encoding/json reads, and what is not, too.
func FuzzParse(f *testing.F) {
	e := audit.Entry{Seq: 3, Time: time.Unix(1, 0).UTC(), Kind: audit.ToolCall, Actor: audit.Actor{Agent: `a "b" \\`}, Revision: 2, Decision: audit.Allowed,
		Call: audit.Call{Arguments: `{"a":"\\n"}`, ResultBytes: 7}, Detail: map[string]string{"a": "b", "name": "find"}, Prev: "x", Hash: "y"}
	f.Add(string(e.AppendJSON(nil)))
	e.Shadow.Revision, e.Detail = 3, nil
	f.Add(string(e.AppendJSON(nil)))
	f.Add(`{"seq":1,"time":"2026-11-20T08:00:00Z","kind":"x","kind":"y","decision":"d","prev":"","hash":""}`)
	f.Add(`{"seq":01,"time":"2026-11-20T08:00:00Z","kind":"x","decision":"d","detail":{},"prev":"","hash":""} `)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := audit.Parse([]byte(text))
		var want audit.Entry
		if failed := json.Unmarshal([]byte(text), &want); (failed == nil) != (err == nil) {
			t.Fatalf("%s: got %v, want %v", text, err, failed)
		}
		if err == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", text, got, want)
		}
	})
}

// Entries read as encoding/json writes them, whatever their texts hold.
func FuzzAppendJSON(f *testing.F) {
	for _, text := range []string{"", "crm/find", `say "no" \ yes`, "a<b>&c", "tab\tline\n\r\b\f\x00\x1f\x7f", "é…\u2028\u2029😀", "bad\xff\xfe", "{\"a\":[1,\"x\"]}"} {
		f.Add(text, text, int64(1), int64(1764115200000001))
		f.Add(text, "", int64(0), int64(0))
	}
	f.Fuzz(func(t *testing.T, a, b string, n, at int64) {
		e := audit.Entry{Seq: n, Time: time.UnixMicro(at), Kind: a, Actor: audit.Actor{Person: a, Agent: b, User: a, Key: b}, Persona: b, Revision: int(n), Tool: a,
			Digest: b, Decision: audit.Decision(a), Reason: b, Policy: a, Micros: n, Call: audit.Call{ArgumentBytes: n, ArgumentDigest: a, Arguments: b,
				ResultBytes: n, ResultDigest: a, UpstreamMicros: n, Protocol: a, Client: b, ClientVersion: a, Trace: b, Approval: a},
			Shadow: audit.Shadow{Revision: int(n), Decision: audit.Decision(b), Policy: a, Reason: b}, Prev: a, Hash: b}
		if a != "" {
			e.Detail = map[string]string{a: b, "name": a, "z": ""}
		}
		for _, e := range []audit.Entry{e, {Time: e.Time}, {Time: e.Time.UTC(), Detail: map[string]string{}}} {
			want, err := json.Marshal(e)
			if err != nil {
				return // a year that RFC 3339 does not have
			}
			if got := e.AppendJSON(nil); string(got) != string(want) {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		}
	})
}
