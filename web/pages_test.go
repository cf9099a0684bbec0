package web

import (
	"bytes"
	"path"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"remit/audit"
	"remit/persona"
)

const hostile = "\"'></a><script>alert(1)</script>{{.}}\u202e\u200b\U000E0041\x00"

// fill sets every string of a value to hostile text and every slice to one element, so that a page is executed whole.
func fill(v reflect.Value, depth int) {
	if depth > 8 || !v.CanSet() {
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(hostile)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Float64:
		v.SetFloat(0.5)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth+1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), depth+1)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(1e9, 0)))
			return
		}
		for i := range v.NumField() {
			f := v.Field(i)
			if v.Type().Field(i).Anonymous && !f.CanSet() { // an embedded part of a page: its name is ours, its fields are set alike
				f = reflect.NewAt(f.Type(), f.Addr().UnsafePointer()).Elem()
			}
			fill(f, depth+1)
		}
	}
}

// pageOf has every template's struct, so that a page without one is found.
var pageOf = map[string]any{
	"signin": &signInPage{}, "link": &linkPage{}, "error": &errorPage{}, "personas": &personasPage{}, "describe": &describePage{},
	"draft": &draftPage{}, "review": &reviewPage{}, "live": &livePage{}, "catalog": &cataloguePage{}, "tool": &toolPage{}, "duplicates": &duplicatesPage{},
	"reach": &reachPage{}, "servers": &serversPage{}, "audit": &auditPage{}, "people": &peoplePage{}, "account": &accountPage{}, "tokens": &tokensPage{},
	"evals": &evalsPage{}, "evalrun": &evalRunPage{}, "evalcompare": &evalComparePage{}, "diff": &diffPage{}, "shadow": &shadowPage{}, "unused": &unusedPage{},
	"connections": &connectionsPage{}, "approvals": &approvalsPage{}, "approval": &approvalPage{}, "drafts": &draftsPage{}, "explain": &explainPage{},
}

func TestPagesWithHostileText(t *testing.T) {
	p, err := newPages()
	if err != nil {
		t.Fatal(err)
	}
	for name := range p.byName {
		page, ok := pageOf[name]
		if !ok {
			t.Errorf("template %s has no page in this test", name)
			continue
		}
		execute := func(state string) {
			var b bytes.Buffer
			if err := p.execute(&b, name, page); err != nil {
				t.Errorf("%s (%s): %v", name, state, err)
				return
			}
			if strings.Contains(b.String(), "<script>alert") {
				t.Errorf("%s (%s): markup in text reached the page", name, state)
			}
			if strings.Contains(b.String(), " style=") || strings.Contains(b.String(), " onclick") {
				t.Errorf("%s (%s): holds what its content security policy refuses", name, state)
			}
			if state != "empty" && !strings.Contains(b.String(), "⟨U+202E⟩") {
				t.Errorf("%s (%s): hidden characters are not spelt out", name, state)
			}
		}
		execute("empty")
		fill(reflect.ValueOf(page).Elem(), 0)
		execute("full")
		switch page := page.(type) {
		case *draftPage:
			page.Editable, page.Revision.State = true, persona.Draft
		case *reviewPage:
			page.Revision.State, page.MayApprove, page.OwnWork = persona.Submitted, true, false
		case *livePage:
			page.Retired, page.Keys.Secret, page.Error = false, "", ""
		case *auditPage:
			page.Decisions, page.Query.Decision = []audit.Decision{audit.Allowed}, audit.Allowed
		}
		execute("other state")
	}
	for name := range pageOf {
		if _, ok := p.byName[name]; !ok {
			t.Errorf("page %s has no template", name)
		}
	}
}

func TestCountHiddenSeesEscapes(t *testing.T) {
	got := countHidden([]byte(`{"a\u200b":"x\u202ey","b":["\u0041",1,{"c":"` + "\u200d" + `"}]}`))
	if got != 3 {
		t.Errorf("got %d, want 3", got)
	}
}

func TestPieces(t *testing.T) {
	grant := func(spans ...persona.Span) persona.Grant { return persona.Grant{Words: spans} }
	got := pieces("read mail, send ä", []persona.Grant{grant(persona.Span{Start: 0, End: 9}), grant(persona.Span{Start: 5, End: 9}, persona.Span{Start: 17, End: 18}),
		grant(persona.Span{Start: 3, End: 99})}, []persona.Span{{Start: 11, End: 18}})
	want := []piece{{Text: "read ", Tools: []int{1}, At: 1}, {Text: "mail", Tools: []int{1, 2}, At: 2}, {Text: ", ", At: 3}, {Text: "send ä", Gap: true, At: 4}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	long := strings.Repeat("read mail. ", 30)
	got = pieces(long, []persona.Grant{grant(persona.Span{End: len(long) - 2}), grant(persona.Span{End: 9})}, nil)
	if want := []piece{{Text: "read mail", Tools: []int{2}, At: 1}, {Text: long[9:], At: 2}}; !cmp.Equal(got, want) {
		t.Errorf("a span of a whole long job: got %+v", got)
	}
}

func TestDifference(t *testing.T) {
	if got := difference("", "a"); len(got) != 1 || got[0] != (line{"+", "a"}) {
		t.Errorf("got %v, want one line more", got)
	}
	got := difference("a\nb\nc\nd\ne\nf", "a\nb\nc\nd\nE\nf")
	want := []line{{" ", "…"}, {" ", "b"}, {" ", "c"}, {" ", "d"}, {"-", "e"}, {"+", "E"}, {" ", "f"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	long := strings.Repeat("x\n", maxDiff+1)
	if got, want := len(difference(long, long+"y")), 2*(maxDiff+2); got != want {
		t.Errorf("too long to compare: got %d lines, want all %d", got, want)
	}
}

func TestLocal(t *testing.T) {
	for in, want := range map[string]string{"/personas/p?x=1": "/personas/p?x=1", "": "/", "//evil.example": "/", "https://evil.example": "/",
		`/\evil.example`: "/", "/\t/evil.example": "/", "javascript:alert(1)": "/", "/%2Fevil.example": "/", "personas": "/"} {
		if got := local(in); got != want {
			t.Errorf("local(%q): got %q, want %q", in, got, want)
		}
	}
}

func TestLimiterIsBounded(t *testing.T) {
	now := time.Unix(0, 0)
	l := newLimiter(func() time.Time { return now }, nameBurst, nameEvery)
	for range nameBurst {
		if !l.allow("name victim") {
			t.Fatal("refused within the burst")
		}
	}
	if l.allow("name victim") {
		t.Error("allowed beyond the burst")
	}
	for i := range 2 * maxBuckets {
		l.allow("name " + string(rune(0x4e00+i)))
	}
	if len(l.buckets) > maxBuckets {
		t.Errorf("got %d buckets, want at most %d", len(l.buckets), maxBuckets)
	}
	if l.allow("name victim") {
		t.Error("a flood of names gave the guessed one new tries")
	}
	now = now.Add(nameEvery)
	if !l.allow("name victim") {
		t.Error("a try did not come back")
	}
	now = now.Add(time.Hour)
	if !l.allow("name new") || len(l.buckets) > 2 {
		t.Errorf("full buckets are not forgotten: %d are left", len(l.buckets))
	}
}

func TestSnippetsHoldTheKeyOnlyWhenGiven(t *testing.T) {
	for _, s := range snippets("p", "https://remit.example/k/p/mcp", "") {
		if s.ID != "vscode" && !strings.Contains(s.Text, keyPlaceholder) {
			t.Errorf("%s lacks the placeholder", s.Client)
		}
		if !strings.Contains(s.Text, "https://remit.example/k/p/mcp") || strings.Contains(s.Text, "--allow-http") {
			t.Errorf("%s: %s", s.Client, s.Text)
		}
	}
	if text := snippets("p", "http://10.0.0.1/k/p/mcp", "k")[0].Text; !strings.Contains(text, "--allow-http") {
		t.Errorf("mcp-remote refuses plain http without --allow-http: %s", text)
	}
}

// Every route that changes anything is a POST, and every template and static file is reachable by a page.
func TestRoutes(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range routes {
		if seen[r.method+" "+r.path] {
			t.Errorf("%s %s is there twice", r.method, r.path)
		}
		seen[r.method+" "+r.path] = true
		if r.method != "GET" && r.method != "POST" || path.Clean(r.path) != r.path {
			t.Errorf("unusual route %s %s", r.method, r.path)
		}
	}
}
