package evals

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"remit/catalog"
	"remit/composer"
)

// TestScoreDraft compares with what the reference scorer (score.py of the persona data) prints for the same two files.
func TestScoreDraft(t *testing.T) {
	suite, err := LoadCompose("testdata/compose/suite.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	drafts := fixedDrafts(t, "testdata/compose/drafts.jsonl")
	want := map[string]ComposeScore{
		"a": {Tools: 3, NeedRecall: 0.5, Precision: 2.0 / 3, OverPrivilege: 1.0 / 3, Forbidden: 1},
		"b": {Tools: 1, NeedRecall: 1, Precision: 1, Complete: 1, Clean: 1},
		"c": {},
		"d": {Tools: 2, NeedRecall: 1, Precision: 0.5, OverPrivilege: 0.5, Complete: 1},
		"e": {Tools: 3, NeedRecall: 2.0 / 3, Precision: 1.0 / 3, OverPrivilege: 2.0 / 3, Forbidden: 1},
	}
	close := cmpopts.EquateApprox(0, 1e-9)
	for _, c := range suite {
		if diff := cmp.Diff(want[c.ID], ScoreDraft(c, granted(drafts[c.Job])), close); diff != "" {
			t.Errorf("case %s (-score.py +ours):\n%s", c.ID, diff)
		}
	}
	report, err := RunCompose(context.Background(), "fixed", suite, drafts)
	if err != nil {
		t.Fatal(err)
	}
	mean := ComposeScore{Tools: 1.8, NeedRecall: 0.633, Precision: 0.5, OverPrivilege: 0.3, Forbidden: 0.4, Complete: 0.4, Clean: 0.2}
	rounded := cmpopts.EquateApprox(0, 0.0005)
	if diff := cmp.Diff(mean, report.Mean, rounded); diff != "" {
		t.Errorf("means (-score.py +ours):\n%s", diff)
	}
	if got, want := report.Mean.F1(), 0.559; !cmp.Equal(got, want, rounded) {
		t.Errorf("F1: got %v, want %v", got, want)
	}
	if got, want := [2]float64{report.GapsFound, report.GapsInvented}, [2]float64{0.5, 1.0 / 3}; !cmp.Equal(got, want, close) {
		t.Errorf("gaps found and invented: got %v, want %v", got, want)
	}
	if table := (ComposeReports{report}).String(); !strings.Contains(table, "| fixed | 5 | 1.8 | 0.633 | 0.500 | 0.559 | 0.300 | 0.400 | 0.400 | 0.200 | 0.50 / 0.33 |") {
		t.Errorf("the table lacks the means:\n%s", table)
	}
}

// fixed answers every job with a draft that was written down.
type fixed map[string]composer.Draft

func (f fixed) Compose(_ context.Context, job string) (composer.Draft, error) { return f[job], nil }

func fixedDrafts(t *testing.T, path string) fixed {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	jobs := map[string]string{"a": "List invoices.", "b": "Send mail.", "c": "Nothing fits.", "d": "Only a gap.", "e": "Both."}
	out := fixed{}
	for lines := bufio.NewScanner(bytes.NewReader(raw)); lines.Scan(); {
		var in struct {
			ID    string
			Tools []catalog.ID
		}
		if err := json.Unmarshal(lines.Bytes(), &in); err != nil {
			t.Fatal(err)
		}
		draft := composer.Draft{}
		for _, id := range in.Tools {
			draft.Choices = append(draft.Choices, composer.Choice{Tool: id})
		}
		if in.ID == "b" || in.ID == "c" { // b has a gap that is found, c has none and one is invented
			draft.Gaps = []composer.Gap{{Reason: "no tool does this"}}
		}
		out[jobs[in.ID]] = draft
	}
	return out
}

func TestLoadComposeRefuses(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"no JSON", "{\"id\":\"a\",\"job\":\"x\"}\n{nope", ":2:"},
		{"no job", `{"id":"a","job":" "}`, "needs an id and a job"},
		{"twice", "{\"id\":\"a\",\"job\":\"x\"}\n{\"id\":\"a\",\"job\":\"y\"}", `a case "a" already`},
		{"need without tools", `{"id":"a","job":"x","needs":[{"need":"n","any_of":[]}]}`, "lists no tool"},
		{"empty", "\n", "holds no case"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "suite.jsonl")
			if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := LoadCompose(path); err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("got error %v, want one that names the file and says %q", err, tc.want)
			}
		})
	}
}

func TestLoadCatalog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.jsonl")
	text := `{"id":"s/list","server":"s","name":"list","title":"List","description":"List things.","input_schema":{"type":"object","properties":{"q":{"type":"string"}}},"annotations":{"readOnlyHint":true}}` +
		"\n\n" + `{"id":"s/bare","server":"s","name":"bare","description":""}` + "\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	tools, err := LoadCatalog(path, func(definition []byte) int { return len(definition) })
	if err != nil {
		t.Fatal(err)
	}
	if len(tools) != 2 {
		t.Fatalf("got %d tools, want 2", len(tools))
	}
	want := `{"name":"list","title":"List","description":"List things.","inputSchema":{"type":"object","properties":{"q":{"type":"string"}}},"annotations":{"readOnlyHint":true}}`
	if got := string(tools[0].Definition); got != want {
		t.Errorf("definition: got %s, want %s", got, want)
	}
	if tools[0].ID != "s/list" || tools[0].Tokens != len(want) || len(tools[0].Params) != 1 || tools[0].Effect.Effect != catalog.Read {
		t.Errorf("got %+v, want s/list with its tokens, parameter and effect", tools[0])
	}
	for _, tc := range []struct{ text, want string }{
		{`{"server":"a","description":""}`, "name"},
		{"{", ":1:"},
	} {
		if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadCatalog(path, nil); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got error %v, want one that says %q", tc.text, err, tc.want)
		}
	}
}

// TestSearchBaseline: the baseline grants what one search finds.
func TestSearchBaseline(t *testing.T) {
	tools := make([]catalog.Tool, 0, 3)
	for _, name := range []string{"list_invoices", "get_invoice", "send_mail"} {
		tool, err := catalog.Parse("s", []byte(`{"name":"`+name+`","description":""}`))
		if err != nil {
			t.Fatal(err)
		}
		tools = append(tools, tool)
	}
	c := catalog.New(catalog.Config{})
	if err := c.Replace(tools, nil); err != nil {
		t.Fatal(err)
	}
	draft, err := SearchBaseline{Searcher: c, K: 1}.Compose(context.Background(), "send mail")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]catalog.ID{"s/send_mail"}, granted(draft)); diff != "" {
		t.Errorf("grants (-want +got):\n%s", diff)
	}
}
