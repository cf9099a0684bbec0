package evals_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"remit/evals"
)

const yamlSuite = `# Jobs of the shop.
suite: shop
kind: compose
catalog: tools.jsonl
description: Two jobs
cases:
  - id: a
    job: >
      List the invoices,
      and mail them.
    needs:
      - {need: list, any_of: &invoices [s/list, s/search]}
    may: [s/who]
    tags: [billing]
    paraphrases: [Send the list of invoices.]
  - id: b
    job: Only look.
    forbidden: *invoices
`

// TestYAMLAndJSONL: both forms hold the same, and both fit the published schema.
func TestYAMLAndJSONL(t *testing.T) {
	fromYAML, err := evals.LoadSuite(written(t, "suite.yaml", yamlSuite))
	if err != nil {
		t.Fatal(err)
	}
	lines := `{"suite":"shop","kind":"compose","catalog":"tools.jsonl","description":"Two jobs"}
{"id":"a","job":"List the invoices, and mail them.\n","needs":[{"need":"list","any_of":["s/list","s/search"]}],"may":["s/who"],"tags":["billing"],"paraphrases":["Send the list of invoices."]}

{"id":"b","job":"Only look.","forbidden":["s/list","s/search"]}
`
	fromLines, err := evals.LoadSuite(written(t, "suite.jsonl", lines))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fromYAML.Compose, fromLines.Compose); diff != "" {
		t.Errorf("(-YAML +JSONL):\n%s", diff)
	}
	if got, want := fromYAML.Catalog, filepath.Join(filepath.Dir(fromYAML.Path), "tools.jsonl"); got != want {
		t.Errorf("catalog: got %s, want %s", got, want)
	}
	if fromYAML.Raw[1].Line != 16 || fromLines.Raw[1].Line != 4 {
		t.Errorf("got lines %d and %d, want 16 and 4", fromYAML.Raw[1].Line, fromLines.Raw[1].Line)
	}
	raw, err := yaml.YAMLToJSON([]byte(yamlSuite))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema(t, "").Validate(value(t, raw)); err != nil {
		t.Errorf("the schema refuses what is read: %v", err)
	}
	for line := range strings.Lines(strings.TrimSpace(strings.ReplaceAll(lines, "\n\n", "\n"))) {
		def := "compose"
		if strings.Contains(line, `"suite"`) {
			def = "header"
		}
		if err := schema(t, "#/$defs/"+def).Validate(value(t, []byte(line))); err != nil {
			t.Errorf("the schema refuses what is read: %v", err)
		}
	}
}

// TestShippedSuites: they are read, and every line fits the published schema, which is what remit eval schema prints.
func TestShippedSuites(t *testing.T) {
	want, err := evals.Schema()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("suites/schema.json")
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("suites/schema.json is not what remit eval schema prints: write it anew (%v)", err)
	}
	s, err := evals.LoadSuite("suites/persona-dev.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	if s.Suite != "persona-dev" || s.Kind != evals.Compose || len(s.Compose) != 36 {
		t.Errorf("got %s of kind %s with %d cases, want persona-dev, compose, 36", s.Suite, s.Kind, len(s.Compose))
	}
	for _, c := range s.Raw {
		if err := schema(t, "#/$defs/compose").Validate(value(t, c.JSON)); err != nil {
			t.Errorf("case %s: %v", c.ID, err)
		}
	}
}

func schema(t *testing.T, at string) *jsonschema.Schema {
	t.Helper()
	text, err := evals.Schema()
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("suite.json", value(t, text)); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("suite.json" + at)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func value(t *testing.T, raw []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestLoadSuiteRefuses(t *testing.T) {
	const header = `{"suite":"s","kind":"compose"}` + "\n"
	for _, tc := range []struct{ name, file, text, want string }{
		{"no JSON", "s.jsonl", "{\"id\":\"a\",\"job\":\"x\"}\n{nope", "s.jsonl:2:"},
		{"no job", "s.jsonl", `{"id":"a","job":" "}`, "s.jsonl:1: a case needs an id and a job"},
		{"no id", "s.jsonl", `{"job":"x"}`, "s.jsonl:1: a case needs an id"},
		{"twice", "s.jsonl", "{\"id\":\"a\",\"job\":\"x\"}\n\n{\"id\":\"a\",\"job\":\"y\"}", `s.jsonl:3: there is a case "a" already`},
		{"need without tools", "s.jsonl", `{"id":"a","job":"x","needs":[{"need":"n","any_of":[]}]}`, "lists no tool"},
		{"empty", "s.jsonl", "\n", "holds no case"},
		{"no kind", "s.jsonl", `{"id":"a"}`, `s.jsonl:1: a case has a "job" or a "query"`},
		{"odd kind", "s.jsonl", `{"suite":"s","kind":"cook"}` + "\n" + `{"id":"a"}`, `there is no kind "cook"`},
		{"typo", "s.jsonl", header + `{"id":"a","job":"x","forbiden":[]}`, `s.jsonl:2: there is no member "forbiden"`},
		{"typo in a need", "s.jsonl", header + `{"id":"a","job":"x","needs":[{"need":"n","anyof":["x"]}]}`, `"needs.0.anyof"`},
		{"wrong type", "s.jsonl", header + `{"id":"a","job":"x","may":"y"}`, "s.jsonl:2: may cannot be a JSON string"},
		{"member twice", "s.jsonl", header + `{"id":"a","job":"x","job":"y"}`, "s.jsonl:2:"},
		{"typo in the header", "s.jsonl", `{"suite":"s","kind":"compose","catalogue":"x"}`, `s.jsonl:1: there is no member "catalogue"`},
		{"no gold", "s.jsonl", `{"id":"a","query":"x","gold":[]}`, "a query needs an id, a query and some gold"},
		{"empty slot", "s.jsonl", `{"id":"a","query":"x","gold":[[]]}`, "a gold entry is a tool's id or a list of ids"},
		{"YAML typo", "s.yaml", "suite: s\nkind: compose\ncases:\n  - id: a\n    job: x\n  - id: b\n    jobb: y\n", `s.yaml:6: there is no member "jobb"`},
		{"YAML header typo", "s.yaml", "suite: s\nkinds: compose\n", `s.yaml:2: there is no member "kinds"`},
		{"YAML syntax", "s.yaml", "suite: s\nkind: [\n", "s.yaml:"},
		{"YAML list", "s.yaml", "- a\n", "s.yaml:1: a suite begins with lines"},
		{"YAML cases", "s.yaml", "suite: s\nkind: compose\ncases: 7\n", "s.yaml:3: cases is a list"},
		{"YAML number", "s.yaml", "suite: s\nkind: compose\ncases:\n  - id: 1\n    job: x\n", "s.yaml:4: id cannot be a JSON number"},
	} {
		_, err := evals.LoadSuite(written(t, tc.file, tc.text))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q in it", tc.name, err, tc.want)
		}
	}
	if _, err := evals.LoadSuite(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a missing file gave no error")
	}
}

// folder is a retrieve suite in the form of public sets.
func folder(t *testing.T, tools, queries string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"tools.jsonl": tools, "queries.jsonl": queries} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestImportedFolder: labels that are not ours are passed over, a subset is a tag, and gold groups mean servers.
func TestImportedFolder(t *testing.T) {
	dir := folder(t, shop, `{"id":"1","query":"list invoices","gold":["shop:list",["shop:refund","POST /mail"]],"subset":"x","rel":{"a":2},"servers":["shop"]}
{"id":"2","query":"customers","gold":["shop:list"],"gold_groups":[["server:crm"]],"servers":["crm"]}
`)
	s, err := evals.LoadSuite(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []evals.RetrieveCase{
		{ID: "1", Query: "list invoices", Gold: []evals.Slot{{"shop:list"}, {"shop:refund", "POST /mail"}}, Servers: []string{"shop"}, Tags: []string{"x"}},
		{ID: "2", Query: "customers", Servers: []string{"crm"}},
	}
	if diff := cmp.Diff(want, s.Retrieve); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if s.Suite != filepath.Base(dir) || s.Catalog != filepath.Join(dir, "tools.jsonl") {
		t.Errorf("got suite %q over %s", s.Suite, s.Catalog)
	}
	run, err := (&evals.Runner{}).Run(t.Context(), []evals.Suite{s})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, c := range run.Reports[0].Cases {
		got[c.ID] = c.Ranking.Found
	}
	if len(run.Reports) != 1 || run.Reports[0].Variant != "words" || got["1"][0] != "shop:list" || got["2"][0] != "crm" {
		raw, _ := json.Marshal(run)
		t.Errorf("got %s, want one report by words, with tools for 1 and servers for 2", raw)
	}
}

func TestRetrieveRefuses(t *testing.T) {
	for _, tc := range []struct{ queries, want string }{
		{"\n" + `{"id":"1","query":"q","gold":["z"]}`, `queries.jsonl:2: query "1" wants tool "z"`},
		{`{"id":"1","query":"q","servers":["z"]}`, `queries.jsonl:1: query "1" wants server "z"`},
	} {
		s, err := evals.LoadSuite(folder(t, shop, tc.queries))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (&evals.Runner{}).Run(t.Context(), []evals.Suite{s}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, want %q in it", err, tc.want)
		}
	}
}
