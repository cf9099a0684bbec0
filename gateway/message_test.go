package gateway

import (
	"encoding/json"
	"strings"
	"testing"

	"remit/internal/strictjson"
)

// FuzzParse holds that what is accepted reads the same to a careless reader: encoding/json, which takes names in any case
// and the last of two, finds the same method and tool as we do.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":1},"_meta":{"progressToken":"t"}}}`,
		`{"jsonrpc":"2.0","id":"1","method":"tools/call","params":{"name":"a","Name":"b"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"a","METHOD":"b"}`,
		`{"jsonrpc":"2.0","id":1,"result":{}}`, `[{}]`, `{"jsonrpc":"2.0","method":"x","params":{"na\u006de":"a","name":"b"}}`,
		`{"jsonrpc":"2.0","id":1e2,"method":"m","params":null}`, "{\"jsonrpc\":\"2.0\",\"method\":\"\xff\"}", `{"jsonrpc":"2.0","ſ":1,"method":"m","params":{"\u017f":1}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m, fault := parse(body)
		if fault != nil {
			if fault.code == 0 || fault.status != 400 || fault.message == "" {
				t.Errorf("got a refusal %+v that says nothing", fault)
			}
			return
		}
		if err := strictjson.Check(body, strictjson.Limits{Bytes: len(body), Depth: maxDepth}); err != nil {
			t.Errorf("got %q accepted, want %v", body, err)
		}
		var careless struct {
			ID     json.RawMessage
			Method string
			Params struct{ Name any }
		}
		if err := json.Unmarshal(body, &careless); err != nil {
			t.Fatalf("got %q accepted, want %v", body, err)
		}
		name, _ := careless.Params.Name.(string)
		if careless.Method != m.method || name != m.tool() || string(careless.ID) != string(m.id) {
			t.Errorf("got method %q, tool %q, id %s; a careless reader finds %q, %q, %s", m.method, m.tool(), m.id, careless.Method, name, careless.ID)
		}
	})
}

func TestSchemas(t *testing.T) {
	recursive := `{"$ref":"#/$defs/n","$defs":{"n":{"anyOf":[{"properties":{"c":{"$ref":"#/$defs/n"}},"required":["x"]},{"properties":{"c":{"$ref":"#/$defs/n"}},"required":["y"]}]}}}`
	negated := `{"$ref":"#/$defs/n","$defs":{"n":{"minProperties":1,"not":{"not":{"anyOf":[{"properties":{"c":{"$ref":"#/$defs/n"}}},{"properties":{"c":{"$ref":"#/$defs/n"}}}]}}}}}`
	for name, tc := range map[string]struct{ schema, arguments, compile, check string }{
		"draft 4":               {`{"$schema":"http://json-schema.org/draft-04/schema#","properties":{"a":{"maximum":3,"exclusiveMaximum":true}}}`, `{"a":3}`, "", "at /a: exclusiveMaximum: got 3, want 3"},
		"draft 7":               {`{"$schema":"http://json-schema.org/draft-07/schema#","properties":{"a":{"const":1}}}`, `{"a":2}`, "", "at /a"},
		"2020-12 by default":    {`{"properties":{"a":{"prefixItems":[{"type":"string"}]}}}`, `{"a":[1]}`, "", "at /a/0: got number, want string"},
		"unknown dialect":       {`{"$schema":"https://example.com/dialect"}`, `{}`, "never loaded from elsewhere", ""},
		"file":                  {`{"$ref":"file:///etc/passwd"}`, `{}`, "never loaded from elsewhere", ""},
		"relative":              {`{"$ref":"other.json"}`, `{}`, "never loaded from elsewhere", ""},
		"own $id and $ref":      {`{"$id":"https://example.com/s","$ref":"#/$defs/a","$defs":{"a":{"required":["x"]}}}`, `{}`, "", "missing property 'x'"},
		"no type":               {`{}`, `{"a":1}`, "", ""},
		"not a schema":          {`{"type":"thing"}`, `{}`, "jsonschema validation failed", ""},
		"no object":             {`true`, `{}`, "not an object", ""},
		"pattern look-ahead":    {`{"properties":{"a":{"pattern":"^(?!x)"}}}`, `{}`, "regex", ""},
		"pattern backtracking":  {`{"properties":{"a":{"pattern":"^(a+)+$"}}}`, `{"a":"` + strings.Repeat("a", 50_000) + `!"}`, "", "at /a"},
		"exponential":           {recursive, strings.Repeat(`{"c":`, 50) + `{}` + strings.Repeat("}", 50), "", "took too long"},
		"exponential not":       {negated, strings.Repeat(`{"c":`, 50) + `{}` + strings.Repeat("}", 50), "", "took too long"},
		"deep look-alike":       {`{"properties":{"a":{"properties":{"path":{"type":"string"}}}}}`, `{"a":{"path":"x","PATH":"y"}}`, "", `at /a/PATH: the tool's parameter is spelled "path"`},
		"Kelvin sign":           {`{"properties":{"key":{}}}`, `{"\u212aey":1}`, "", "spelled"},
		"item look-alike":       {`{"properties":{"a":{"items":{"properties":{"path":{}}}}}}`, `{"a":[{"path":1},{"Path":1}]}`, "", `at /a/1/Path: the`},
		"tuple look-alike":      {`{"$schema":"http://json-schema.org/draft-07/schema#","properties":{"a":{"items":[{}],"additionalItems":{"properties":{"path":{}}}}}}`, `{"a":[1,{"Path":1}]}`, "", `at /a/1/Path: the`},
		"$ref look-alike":       {`{"properties":{"a":{"$ref":"#/$defs/n"}},"$defs":{"n":{"properties":{"path":{},"c":{"$ref":"#/$defs/n"}}}}}`, `{"a":{"c":{"c":{"PATH":1}}}}`, "", `at /a/c/c/PATH: the`},
		"allOf look-alike":      {`{"allOf":[{"properties":{"a":{"allOf":[{"properties":{"path":{}}}]}}}]}`, `{"a":{"PATH":1}}`, "", "spelled"},
		"anyOf look-alike":      {`{"anyOf":[{"properties":{"path":{}}},{"properties":{"b":{}}}]}`, `{"b":1,"PATH":1}`, "", "spelled"},
		"oneOf look-alike":      {`{"oneOf":[{"properties":{"path":{}},"required":["path"]},{"required":["b"]}]}`, `{"b":1,"PATH":1}`, "", "spelled"},
		"not look-alike":        {`{"not":{"required":["password"]}}`, `{"Password":1}`, "", "spelled"},
		"then look-alike":       {`{"if":{"required":["b"]},"then":{"properties":{"path":{}}}}`, `{"b":1,"PATH":1}`, "", "spelled"},
		"map look-alike":        {`{"additionalProperties":{"properties":{"path":{}}}}`, `{"any/thing":{"PATH":1}}`, "", "at /any~1thing/PATH: the"},
		"pattern look-alike":    {`{"patternProperties":{"^x":{"properties":{"path":{}}}}}`, `{"y":{"PATH":1},"x":{"PATH":1}}`, "", "at /x/PATH: the"},
		"dynamic look-alike":    {`{"$dynamicAnchor":"n","properties":{"path":{},"c":{"$dynamicRef":"#n"}}}`, `{"c":{"PATH":1}}`, "", "at /c/PATH: the"},
		"recursive look-alike":  {`{"$schema":"https://json-schema.org/draft/2019-09/schema","$recursiveAnchor":true,"properties":{"path":{},"c":{"$recursiveRef":"#"}}}`, `{"c":{"PATH":1}}`, "", "at /c/PATH: the"},
		"Cyrillic letters":      {`{"properties":{"a":{"properties":{"path":{}}}}}`, `{"a":{"р\u0430th":1}}`, "", "spelled"},
		"full width":            {`{"properties":{"path":{}}}`, `{"ｐａｔｈ":1}`, "", "spelled"},
		"invisible characters":  {`{"properties":{"path":{}}}`, `{"pa\u200bth":1,"path":1}`, "", "spelled"},
		"declared in two cases": {`{"properties":{"path":{},"PATH":{}}}`, `{"path":1,"PATH":1}`, "", ""},
		"each branch its case":  {`{"anyOf":[{"properties":{"path":{}}},{"properties":{"PATH":{}}}]}`, `{"path":1,"PATH":1}`, "", ""},
		"same name elsewhere":   {`{"properties":{"url":{},"headers":{"additionalProperties":{"type":"string"}}}}`, `{"url":1,"headers":{"URL":"x"}}`, "", ""},
		"nothing but itself":    {`{"allOf":[{"$ref":"#/$defs/a"}],"$defs":{"a":{"anyOf":[{"properties":{"b":{"$ref":"#"}}}]}}}`, `{"b":{"b":{"b":[{}]}}}`, "", ""},
		"free names are free":   {`{"properties":{"headers":{"type":"object"}}}`, `{"headers":{"a":1,"A":2}}`, "", ""},
		"huge number in schema": {`{"properties":{"a":{"maximum":1e99999999}}}`, `{}`, "digits", ""},
		"exact numbers":         {`{"properties":{"a":{"maximum":9007199254740992}}}`, `{"a":9007199254740993}`, "", "at /a: maximum"},
	} {
		s, _, err := compile(json.RawMessage(`{"name":"t","inputSchema":` + tc.schema + `}`))
		if !failsWith(err, tc.compile) {
			t.Errorf("%s: compile: got %v, want %q", name, err, tc.compile)
		}
		if err == nil {
			if err := s.check(strictjson.Unread(tc.arguments)); !failsWith(err, tc.check) {
				t.Errorf("%s: check: got %v, want %q", name, err, tc.check)
			}
		}
	}
	s, _, err := compile(json.RawMessage(`{"name":"t"}`))
	if err != nil {
		t.Fatal(err)
	}
	if s.check(strictjson.Unread(`{}`)) != nil || s.check(strictjson.Unread(`{"a":1}`)) == nil {
		t.Error("a tool without a schema: want no arguments and only those")
	}
}

func failsWith(err error, want string) bool {
	if want == "" {
		return err == nil
	}
	return err != nil && strings.Contains(err.Error(), want)
}
