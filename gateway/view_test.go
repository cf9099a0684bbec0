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

// What a narrowed key may not have is not found by another grant of it, nor is another spelling of a resource.
func TestNarrowedResources(t *testing.T) {
	whole := &view{grants: map[string]*grant{}}
	add := func(id catalog.ID) {
		g := persona.Grant{Name: id.Own(), Pin: persona.Pin{Tool: id}}
		template, err := templateOf(g)
		if err != nil {
			t.Fatal(err)
		}
		whole.add(&grant{Grant: g, template: template})
	}
	add("s/@resource/crm://customers/vip")
	add("s/@resourceTemplate/crm://customers/{id}")
	add("s/@resourceTemplate/crm://{kind}/{id}")
	add("s/@resourceTemplate/files:{+path}")
	add("s/@resourceTemplate/docs://search{?path}")
	for _, tc := range []struct {
		uri  string
		key  []string
		want bool
	}{
		{"crm://customers/vip", nil, true}, {"crm://customers/vip", []string{"s/@resource/crm://customers/vip"}, true},
		{"crm://customers/vip", []string{"s/@resourceTemplate/crm://customers/{id}"}, false}, // it has rules of its own
		{"crm://customers/7", nil, false}, {"crm://customers/7", []string{"s/@resourceTemplate/crm://customers/{id}"}, false}, // two stand for it
		{"crm://orders/7", []string{"s/@resourceTemplate/crm://{kind}/{id}"}, true}, {"crm://orders/7", []string{"s/@resourceTemplate/crm://customers/{id}"}, false},
		{"crm://orders/%76ip", nil, false}, {"crm://orders/v%69p", nil, false}, {"crm://orders/a%2Fb", nil, true}, {"crm://orders/100%25", nil, true},
		{"files:a/b", nil, true}, {"files:../secret", nil, false}, {"files:a/%252e%252e/b%25zz", nil, false},
		{"docs://search?path=a", nil, true}, {"docs://search?path=..%2Fsecret", nil, false},
	} {
		v := whole.of(identity.Bounds{Tools: tc.key}, "}")
		if _, got := v.grants[v.resolve(catalog.AResource, tc.uri)]; got != tc.want {
			t.Errorf("%s with a key for %v: granted is %v, want %v", tc.uri, tc.key, got, tc.want)
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
