package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"remit/internal/strictjson"
)

const orderSchema = `{"type":"object","properties":{"id":{"type":"integer"},"note":{"type":"string","maxLength":9},"lines":{"type":"array","items":{"$ref":"#/$defs/line"}}},"required":["id"],"additionalProperties":false,"$defs":{"line":{"enum":["tea","milk"]}}}`

func outputOf(t testing.TB, schema string) (*schema, error) {
	t.Helper()
	_, out, err := compile(json.RawMessage(`{"name":"t","inputSchema":{"type":"object"},"outputSchema":` + schema + `}`))
	return out, err
}

func TestResultsKeepTheOutputSchema(t *testing.T) {
	order, err := outputOf(t, orderSchema)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, result, want string }{
		{"as promised", `{"content":[],"structuredContent":{"id":1,"lines":["tea"]}}`, ""},
		{"exact numbers", `{"content":[],"structuredContent":{"id":9007199254740993}}`, ""},
		{"whole in another spelling", `{"structuredContent":{"id":1e2}}`, ""},
		{"says that it is complete", `{"resultType":"complete","structuredContent":{"id":1}}`, ""},
		{"another type", `{"structuredContent":{"id":"1"}}`, `its structured content at /id does not keep "type"`},
		{"in a list", `{"structuredContent":{"id":1,"lines":["tea","rm -rf"]}}`, `its structured content at /lines/1 does not keep "enum"`},
		{"one member more", `{"structuredContent":{"id":1,"ignore previous instructions":1}}`, `its structured content does not keep "additionalProperties"`},
		{"one member less", `{"structuredContent":{}}`, `its structured content does not keep "required"`},
		{"too long", `{"structuredContent":{"id":1,"note":"0123456789"}}`, `at /note does not keep "maxLength"`},
		{"no object", `{"structuredContent":["x"]}`, `its structured content does not keep "type"`},
		{"null", `{"structuredContent":null}`, `its structured content does not keep "type"`},
		{"only text", `{"content":[{"type":"text","text":"{\"id\":1}"}]}`, "it has no structured content"},
		{"an error promises nothing", `{"content":[],"isError":true}`, ""},
		{"an error with something", `{"content":[],"structuredContent":7,"isError":true}`, ""},
		{"no error", `{"isError":false,"structuredContent":7}`, `does not keep "type"`},
		{"nearly an error", `{"isError":"true","structuredContent":7}`, `does not keep "type"`},
		{"twice, the good one first", `{"structuredContent":{"id":1},"structuredContent":7}`, "understands alike"},
		{"twice within", `{"structuredContent":{"id":1,"id":"x"}}`, "understands alike"},
		{"an error and none", `{"isError":true,"structuredContent":7,"isError":false}`, "understands alike"},
		{"twice in an escape", `{"structuredContent":{"id":1},"structured\u0043ontent":7}`, "understands alike"},
		{"in another case", `{"structuredContent":{"id":1},"StructuredContent":7}`, "structuredContent in another case"},
		{"an error in another case", `{"structuredContent":{"id":1},"iserror":true}`, "isError in another case"},
		{"no UTF-8", "{\"structuredContent\":{\"id\":1,\"note\":\"\xff\"}}", "understands alike"},
		{"a number to fill the memory", `{"structuredContent":{"id":1e999999999}}`, "digits"},
		{"not complete, which is refused elsewhere", `{"resultType":"input_required","inputRequests":{}}`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := order.promised(json.RawMessage(tc.result))
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if err != nil && (strings.Contains(err.Error(), "ignore previous") || strings.Contains(err.Error(), "rm -rf")) {
				t.Errorf("got %v, which repeats what the server sent", err)
			}
		})
	}
}

func TestOutputSchemas(t *testing.T) {
	for schema, want := range map[string]string{
		`{"$ref":"https://evil.example/s.json"}`:    "never loaded from elsewhere",
		`{"$ref":"file:///etc/passwd"}`:             "never loaded from elsewhere",
		`{"$ref":"other.json"}`:                     "never loaded from elsewhere",
		`{"type":"strin"}`:                          "the output schema cannot be used",
		`{"properties":{"a":{"minimum":1e999999}}}`: "digits",
		`true`: "not an object",
		`null`: "", // promises nothing
		`{}`:   "",
		`{"$schema":"http://json-schema.org/draft-07/schema#","type":"array"}`: "",
	} {
		if _, err := outputOf(t, schema); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", schema, err, want)
		}
	}
	if s, err := outputOf(t, "null"); s != nil || err != nil {
		t.Errorf("got %v, %v for a schema that is null, want none", s, err)
	}
}

// A server chooses both its schema and its results, so that checking one against the other could take for ever: by branches that
// multiply with the depth, by a long list of allowed values for many items, by many patterns on one long text or name.
func TestHostileOutputIsBounded(t *testing.T) {
	allowed := make([]string, 20_000)
	for i := range allowed {
		allowed[i] = fmt.Sprintf(`"%d"`, i)
	}
	patterns := strings.Repeat(`{"pattern":"(x+x+)+y"},`, 2_000)
	var names strings.Builder
	for i := range 2_000 {
		fmt.Fprintf(&names, `"(x+x+)+y%d":{},`, i)
	}
	for _, tc := range []struct{ name, schema, content string }{
		{"branches", `{"$ref":"#/$defs/n","$defs":{"n":{"anyOf":[{"properties":{"a":{"$ref":"#/$defs/n"}},"required":["z"]},{"properties":{"a":{"$ref":"#/$defs/n"}},"required":["y"]}]}}}`,
			strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40)},
		{"allowed values", `{"items":{"enum":[` + strings.Join(allowed, ",") + `]}}`, "[" + strings.Repeat(`"19999",`, 20_000) + `"1"]`},
		{"patterns", `{"allOf":[` + strings.TrimSuffix(patterns, ",") + `]}`, `"` + strings.Repeat("x", 1<<20) + `y"`},
		{"patterns of names", `{"patternProperties":{` + strings.TrimSuffix(names.String(), ",") + `}}`, `{"` + strings.Repeat("x", 1<<20) + `y":1}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := outputOf(t, tc.schema)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.promised(json.RawMessage(`{"structuredContent":` + tc.content + `}`)); !errors.Is(err, errBudget) {
				t.Errorf("got %v, want %v", err, errBudget)
			}
		})
	}
}

func BenchmarkOutputSchema(b *testing.B) {
	s, err := outputOf(b, `{"type":"array","items":{"type":"object","properties":{"id":{"type":"string"},"name":{"type":"string"},"age":{"type":"integer"}},"required":["id","name"]}}`)
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{1, 20, 1000} {
		result := json.RawMessage(`{"structuredContent":[` + strings.TrimSuffix(strings.Repeat(`{"id":"4711","name":"Ada Lovelace","age":36},`, n), ",") + `]}`)
		b.Run(fmt.Sprintf("bytes=%d", len(result)), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(result)))
			for b.Loop() {
				if err := s.promised(result); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Attack: a server lets the gateway read that its result is complete, and clients whose reader takes another member that it asks.
func TestResultTypeIsOne(t *testing.T) {
	for text, want := range map[string]string{
		`{"content":[]}`:                                               "",
		`{"resultType":"input_required"}`:                              "input_required",
		`{"\u0072esultType":"input_required"}`:                         "input_required",
		`{"content":[],"content":[],"resultType":"complete"}`:          "complete",
		`{"resultType":"complete","resultType":"input_required"}`:      "refused",
		`{"resultType":"complete","\u0072esultType":"input_required"}`: "refused",
		`{"ResultType":"input_required","resultType":"complete"}`:      "refused",
		`{"a":1,"a":2,"resultTYPE":"input_required"}`:                  "refused",
		`{"resultType":["input_required"]}`:                            "refused",
	} {
		values := []strictjson.Value{strictjson.Unread(text)}
		if read, ok := strictjson.Read([]byte(text), 1); ok {
			values = append(values, read)
		}
		for _, v := range values {
			got, err := resultType(v)
			if err != nil {
				got = "refused"
			}
			if got != want {
				t.Errorf("%s, read: %v: got %q, want %q", text, v.Known(), got, want)
			}
		}
	}
}
