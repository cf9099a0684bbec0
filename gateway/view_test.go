package gateway

import (
	"slices"
	"testing"

	"remit/catalog"
	"remit/identity"
	"remit/persona"
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
