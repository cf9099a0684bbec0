package gateway

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"remit/catalog"
	"remit/identity"
	"remit/persona"
	"remit/policy"
)

// What narrow keys see is made once for all that name the same tools, and holds nothing that the revision does not.
func TestNarrowViewIsMadeOnce(t *testing.T) {
	whole := &view{revision: 3, grants: map[string]*grant{}}
	for _, name := range []string{"a", "b", "c"} {
		whole.add(&grant{Grant: persona.Grant{Name: name, Pin: persona.Pin{Tool: catalog.ID("s/" + name)}}, served: []byte(`"` + name + `"`)})
	}
	whole.list("}")
	of := func(tools []string) *view { return whole.of(identity.Bounds{Tools: tools}, "}") }
	if of(nil) != whole {
		t.Error("a key without bounds does not see the whole")
	}
	if first := of([]string{"s/a", "s/c"}); of([]string{"s/a", "s/c"}) != first || of([]string{"s/a"}) == first {
		t.Error("views are made anew, or shared by keys for other tools")
	}
	for _, tc := range []struct {
		tools []string
		want  string
	}{
		{[]string{"s/c", "s/a"}, `{"tools":["a","c"]}`}, {[]string{"s/z"}, `{"tools":[]}`}, {[]string{}, `{"tools":[]}`},
		{[]string{"s/a", "s/z"}, `{"tools":["a"]}`},
	} {
		v := of(tc.tools)
		if got := string(v.lists[catalog.ATool].legacy); got != tc.want {
			t.Errorf("%v: got %s, want %s", tc.tools, got, tc.want)
		}
		for name, g := range v.grants {
			if !slices.Contains(tc.tools, string(g.Tool)) || whole.grants[name] != g {
				t.Errorf("%v: the view grants %s", tc.tools, name)
			}
		}
	}
}

// Progress goes on as it came, under the client's token, after masks; what masks cannot read does not.
func TestProgressEvent(t *testing.T) {
	rules, err := policy.Policy{Mask: []policy.Mask{{Detector: "email", Mode: policy.Redact}}}.Compile(nil)
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		`{"progress":1.50,"x":{"mail":"a@example.com"},"progressToken":7,"message":"to a@example.com"}`: `{"progress":1.50,"x":{"mail":"[redacted:email]"},"progressToken":"t","message":"to [redacted:email]"}`,
		`{"progress":"1","progressToken":7}`:               ``,
		`{"progress":1,"progress":2,"progressToken":7}`:    ``,
		`{"progress":1,"progressToken":7,"message":"x"} x`: ``,
	} {
		got := progressEvent(json.RawMessage(in), jsontext.Value(`"t"`), rules)
		if want != "" {
			want = `{"jsonrpc":"2.0","method":"notifications/progress","params":` + want + `}`
		}
		if string(got) != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}
