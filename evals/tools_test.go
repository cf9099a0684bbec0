package evals_test

import (
	"strings"
	"testing"

	"remit/catalog"
	"remit/evals"
)

func TestLoadTools(t *testing.T) {
	text := `{"id":"s/list","server":"s","name":"list","title":"List","description":"List things.","input_schema":{"type":"object","properties":{"q":{"type":"string"}}},"annotations":{"readOnlyHint":true}}` +
		"\n\n" + `{"id":"x:bare","server":"s","name":"GET /b/{id}","description":""}` + "\n"
	file, err := evals.LoadTools(written(t, "tools.jsonl", text), func(definition []byte) int { return len(definition) })
	if err != nil {
		t.Fatal(err)
	}
	if len(file.Tools) != 2 {
		t.Fatalf("got %d tools, want 2", len(file.Tools))
	}
	got := file.Tools[0]
	want := `{"name":"list","title":"List","description":"List things.","inputSchema":{"type":"object","properties":{"q":{"type":"string"}}},"annotations":{"readOnlyHint":true}}`
	if string(got.Definition) != want {
		t.Errorf("definition: got %s, want %s", got.Definition, want)
	}
	crawled, err := catalog.Parse("s", got.Definition)
	if err != nil || crawled.Digest != got.Digest || crawled.ID != got.ID || crawled.Effect != got.Effect || got.Tokens != len(want) || len(got.Params) != 1 {
		t.Errorf("got %+v, want what a crawl makes of the definition: %+v, %v", got, crawled, err)
	}
	odd := file.Tools[1]
	if odd.ID != "s/x:bare" || odd.Name != "GET /b/{id}" || file.Name(odd.ID) != "x:bare" {
		t.Errorf("got %+v called %s, want s/x:bare with its own name", odd, file.Name(odd.ID))
	}
}

func TestLoadToolsRefuses(t *testing.T) {
	const ok = `{"id":"a","server":"s","name":"a"}` + "\n"
	for _, tc := range []struct{ name, text, want string }{
		{"no JSON", ok + "{", "tools.jsonl:2:"},
		{"no name", `{"id":"a","server":"s"}`, "tools.jsonl:1: a tool needs a name"},
		{"twice", ok + ok, `tools.jsonl:2: tool "a" is there twice`},
		{"one id, two spellings", `{"id":"s/x","server":"s","name":"x"}` + "\n" + `{"id":"x","server":"s","name":"y"}`, "one tool of one server"},
		{"schema", `{"id":"a","name":"a","input_schema":3}`, "tools.jsonl:1:"},
		{"empty", "\n", "holds no tool"},
	} {
		if _, err := evals.LoadTools(written(t, "tools.jsonl", tc.text), nil); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q in it", tc.name, err, tc.want)
		}
	}
}
