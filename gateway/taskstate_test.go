package gateway

import (
	"strings"
	"testing"
)

// What a server says of a task is a task's and nothing else, or is not passed on.
func TestTaskStates(t *testing.T) {
	rest := `,"createdAt":"2026-07-28T10:00:00.123456+00:00","lastUpdatedAt":"2026-07-28T10:00:00Z"`
	for text, want := range map[string]string{
		`{"taskId":"a","status":"working","ttlMs":null` + rest + `}`:                                           "working",
		`{"taskId":"a","status":"working","ttlMs":1,"pollIntervalMs":0,"_meta":{"x":1},"more":[]` + rest + `}`: "working",
		`{"taskId":"a","status":"done"` + rest + `}`:                                                           "no status that a task may have",
		`{"taskId":"","status":"working"` + rest + `}`:                                                         "no text of 1 to 512 bytes",
		`{"taskId":"` + strings.Repeat("a", 513) + `","status":"working"` + rest + `}`:                         "no text of 1 to 512 bytes",
		`{"taskId":7,"status":"working"` + rest + `}`:                                                          "no text of 1 to 512 bytes",
		`{"taskId":"a","status":"working"}`:                                                                    "no times of its making",
		`{"taskId":"a","status":"working","createdAt":"today","lastUpdatedAt":"2026-07-28T10:00:00Z"}`:         "no times of its making",
		`{"taskId":"a","status":"working","ttlMs":-1` + rest + `}`:                                             "no number of milliseconds",
		`{"taskId":"a","status":"working","ttlMs":"1"` + rest + `}`:                                            "no number of milliseconds",
		`{"taskId":"a","status":"working","pollIntervalMs":1e400` + rest + `}`:                                 "no number of milliseconds",
		`{"taskId":"a","status":"working","Status":"failed"` + rest + `}`:                                      "every reader alike",
		`{"taskId":"a","status":"working","x":{"a":1,"a":2}` + rest + `}`:                                      "every reader alike",
		`{"taskId":"a","taskId":"b","status":"working"` + rest + `}`:                                           "every reader alike",
		`[]`: "every reader alike",
	} {
		s, err := stateOf([]byte(text), false)
		got := s.status
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

// Where a message names the server's id of a task it names ours, and nothing else of it is touched.
func TestRelated(t *testing.T) {
	const member = `"io.modelcontextprotocol/related-task"`
	for _, tc := range []struct{ message, id, want string }{
		{`{"content":[ 1.0 ],"_meta":{` + member + `:{"taskId":"theirs"}}}`, "ours", `{"content":[ 1.0 ],"_meta":{` + member + `:{"taskId":"ours"}}}`},
		{`{"_meta":{"n":1.50,` + member + `:7},"x":"\u0041"}`, "", `{"_meta":{"n":1.50},"x":"\u0041"}`},
		{`{"_meta":{ "n":1.50 },"x":1}`, "ours", `{"_meta":{ "n":1.50 },"x":1}`},
		{`{"_meta":7}`, "ours", `{"_meta":7}`},
		{`[1]`, "ours", `[1]`},
	} {
		if got := string(related([]byte(tc.message), tc.id)); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.message, got, tc.want)
		}
	}
}
