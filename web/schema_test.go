package web

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// lines is a form as text.
func formLines(fields []field, indent string) (out []string) {
	for _, f := range fields {
		line := indent + f.Name + ": " + f.Type
		if f.Required {
			line += " (required)"
		}
		for _, s := range append([]string{f.Description}, f.Says...) {
			if s != "" {
				line += "; " + s
			}
		}
		out = append(append(out, line), formLines(f.Fields, indent+"  ")...)
	}
	return out
}

func TestSchemaForm(t *testing.T) {
	for _, tc := range []struct{ name, schema, want string }{
		{"plain", `{"type":"object","required":["to"],"properties":{"to":{"type":"string","description":"Who gets it","format":"email"},"n":{"type":"integer","minimum":1,"maximum":9,"default":3}}}`,
			"to: string (required); Who gets it; format email\nn: integer; at least 1; at most 9; default 3"},
		{"lists and objects", `{"properties":{"rows":{"type":"array","items":{"type":"object","required":["id"],"properties":{"id":{"type":"string"},"tags":{"items":{"enum":["a","b"]},"type":"array"}}},"maxItems":5}}}`,
			"rows: list of object; entries at most 5\n  id: string (required)\n  tags: list of anything; each: one of a, b"},
		{"choices", `{"properties":{"x":{"anyOf":[{"type":"string","maxLength":4},{"type":"null"}]},"y":{"type":["string","number"]},"z":{}}}`,
			"x: string characters at most 4 or null\ny: string or number\nz: anything"},
		{"references", `{"properties":{"who":{"$ref":"#/$defs/person"},"far":{"$ref":"https://evil.example/x"}},"$defs":{"person":{"type":"object","properties":{"name":{"type":"string"}}}}}`,
			"who: object\n  name: string\nfar: https://evil.example/x"},
		{"what is not known is named", `{"properties":{"x":{"type":"string","if":{},"x-vendor":1}}}`, "x: string; also says: if, x-vendor"},
		{"of another form", `{"properties":{"x":true,"y":[1],"z":{"type":7,"enum":"no"}},"required":"x"}`, "x: anything\ny: anything\nz: 7; one of "},
		{"none", `{"type":"object"}`, ""},
	} {
		got := strings.Join(formLines(schemaForm(json.RawMessage(`{"name":"t","inputSchema":`+tc.schema+`}`), "inputSchema"), ""), "\n")
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

// TestSchemaFormIsBounded: a schema that refers to itself, is deep or is wide ends.
func TestSchemaFormIsBounded(t *testing.T) {
	var wide strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&wide, `,"p%d":{"type":"string"}`, i)
	}
	double := `{"properties":{"a":{"$ref":"#/$defs/d"},"b":{"$ref":"#/$defs/d"}}}`
	for name, schema := range map[string]string{
		"itself": `{"properties":{"me":{"$ref":"#"},"again":{"$ref":"#/properties/again"}}}`,
		"double": `{"properties":{"a":{"$ref":"#/$defs/d"}},"$defs":{"d":` + double + `}}`,
		"wide":   `{"properties":{"p":{"type":"string"}` + wide.String() + `}}`,
		"deep":   strings.Repeat(`{"properties":{"x":`, 60) + "{}" + strings.Repeat("}}", 60),
	} {
		if n := len(formLines(schemaForm(json.RawMessage(`{"inputSchema":`+schema+`}`), "inputSchema"), "")); n > 2*maxFields+10 {
			t.Errorf("%s: got %d lines", name, n)
		}
	}
}
