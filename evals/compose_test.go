package evals_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"remit/catalog"
	"remit/catalog/embed"
	"remit/catalog/vector"
	"remit/composer"
	"remit/evals"
	"remit/persona"
)

// fixed answers every job with a draft that was written down.
type fixed map[string]composer.Draft

func (f fixed) Compose(_ context.Context, job string) (composer.Draft, error) { return f[job], nil }

func fixedDrafts(t *testing.T, suite evals.Suite, path string) fixed {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	jobs := map[string]string{}
	for _, c := range suite.Compose {
		jobs[c.ID] = c.Job
	}
	out := fixed{}
	for line := range bytes.Lines(raw) {
		var in struct {
			ID    string
			Tools []catalog.ID
		}
		if err := json.Unmarshal(line, &in); err != nil {
			t.Fatal(err)
		}
		draft := composer.Draft{}
		for _, id := range in.Tools {
			draft.Choices = append(draft.Choices, composer.Choice{Tool: id})
		}
		if in.ID == "b" || in.ID == "c" { // b has a gap that is found, c has none and one is invented
			draft.Gaps = []composer.Gap{{Reason: "no tool does this", Words: persona.Span{Start: 0, End: 4}}}
		}
		out[jobs[in.ID]] = draft
	}
	return out
}

// toolLines is a file of tools with these ids.
func toolLines(ids ...string) string {
	var b strings.Builder
	for _, id := range ids {
		server, name, _ := strings.Cut(id, "/")
		fmt.Fprintf(&b, `{"id":%q,"server":%q,"name":%q,"description":"%s things of %s"}`+"\n", id, server, name, name, server)
	}
	return b.String()
}

// runFixed runs the fixed drafts.
func runFixed(t *testing.T) evals.Report {
	t.Helper()
	suite, err := evals.LoadSuite("testdata/compose/suite.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	suite.Catalog = written(t, "tools.jsonl", toolLines("s/list", "s/search", "s/get", "s/who", "s/delete", "s/other", "s/one", "s/two", "s/three", "s/four", "s/five", "m/send", "m/delete", "m/purge"))
	drafts := fixedDrafts(t, suite, "testdata/compose/drafts.jsonl")
	runner := evals.Runner{NewDrafter: func(*catalog.Catalog) evals.Drafter { return drafts }, Setup: evals.Setup{Seed: 1, Parallel: 2}}
	run, err := runner.Run(t.Context(), []evals.Suite{suite})
	if err != nil {
		t.Fatal(err)
	}
	return run.Reports[0]
}

// TestScores compares every digit with what score.py of the persona data printed for the same two files (testdata/compose/
// score.txt, made with -v).
func TestScores(t *testing.T) {
	report := runFixed(t)
	want, err := os.ReadFile("testdata/compose/score.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), scoreLines(report)); diff != "" {
		t.Errorf("(-score.py +ours):\n%s", diff)
	}
	for name, want := range map[string]float64{"gap_recall": 0.5, "gaps_invented": 1.0 / 3} {
		if got, ok := report.Metric(name); !ok || got.Value != want {
			t.Errorf("%s: got %v, want %v", name, got.Value, want)
		}
	}
	if len(report.Notes) != 1 || !strings.Contains(report.Notes[0], "x/x") {
		t.Errorf("got notes %q, want one that names x/x, which no catalog has", report.Notes)
	}
}

// scoreLines writes a report as score.py -v does.
func scoreLines(r evals.Report) string {
	var b strings.Builder
	float := func(v float64) string {
		raw, _ := json.Marshal(v) // shortest digits that give v, as Python's repr
		if s := string(raw); strings.ContainsAny(s, ".e") {
			return s
		}
		return string(raw) + ".0"
	}
	boolean := map[float64]string{0: "False", 1: "True"}
	for _, c := range r.Cases {
		bad := 0
		for _, g := range c.Draft.Tools {
			if g.Verdict == evals.Forbidden {
				bad++
			}
		}
		over := float(c.Scores["over_privilege"])
		if c.Scores["tools"] == 0 {
			over = "0"
		}
		fmt.Fprintf(&b, "{'id': '%s', 'n': %.0f, 'recall': %s, 'precision': %s, 'over': %s, 'forbidden': %d, 'complete': %s, 'clean': %s}\n", c.ID,
			c.Scores["tools"], float(c.Scores["need_recall"]), float(c.Scores["precision"]), over, bad, boolean[c.Scores["complete"]], boolean[c.Scores["clean"]])
	}
	return b.String() + scoreLine(r)
}

func scoreLine(r evals.Report) string {
	v := func(name string) float64 { m, _ := r.Metric(name); return m.Value }
	return fmt.Sprintf("cases=%d tools=%.3f need_recall=%.3f precision=%.3f f1=%.3f over_privilege=%.3f forbidden_cases=%.3f complete=%.3f clean=%.3f\n",
		len(r.Cases), v("tools"), v("need_recall"), v("precision"), v("f1"), v("over_privilege"), v("forbidden"), v("complete"), v("clean"))
}

// TestScoresOfReference runs score.py itself on drafts for the development suite. REMIT_EVAL_DATA names the folder with
// score.py, persona/dev.jsonl and persona/catalog.jsonl.
func TestScoresOfReference(t *testing.T) {
	data := os.Getenv("REMIT_EVAL_DATA")
	if data == "" {
		t.Skip("REMIT_EVAL_DATA is not set")
	}
	dev := filepath.Join(data, "persona", "dev.jsonl")
	suite, err := evals.LoadSuite(dev)
	if err != nil {
		t.Fatal(err)
	}
	suite.Catalog = filepath.Join(data, "persona", "catalog.jsonl")
	model, err := embed.New()
	if err != nil {
		t.Fatal(err)
	}
	runner := evals.Runner{Embedder: model, NewVectors: vector.New, Setup: evals.Setup{Parallel: 2},
		NewDrafter: func(c *catalog.Catalog) evals.Drafter { return composer.New(composer.Config{Finder: c}) }}
	run, err := runner.Run(t.Context(), []evals.Suite{suite})
	if err != nil {
		t.Fatal(err)
	}
	var drafts strings.Builder
	for _, c := range run.Reports[0].Cases {
		line := evals.BatchDraft{ID: c.ID}
		for _, g := range c.Draft.Tools {
			line.Tools = append(line.Tools, g.Tool)
		}
		raw, err := json.Marshal(line)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&drafts, "%s\n", raw)
	}
	want, err := exec.CommandContext(t.Context(), "python3", filepath.Join(data, "score.py"), dev, written(t, "drafts.jsonl", drafts.String()), "-v").Output()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), scoreLines(run.Reports[0])); diff != "" {
		t.Errorf("(-score.py +ours):\n%s", diff)
	}
}

// TestVerdicts: what the case says of each tool, which needs are met, and why the case failed.
func TestVerdicts(t *testing.T) {
	a := runFixed(t).Cases[0]
	want := &evals.DraftResult{
		Tools: []evals.GrantResult{{Tool: "s/list", Verdict: evals.Needed}, {Tool: "s/who", Verdict: evals.Accepted}, {Tool: "s/delete", Verdict: evals.Forbidden}},
		Needs: []evals.NeedResult{{Need: "list", AnyOf: []string{"s/list", "s/search"}, MetBy: []string{"s/list"}}, {Need: "get", AnyOf: []string{"s/get"}}},
	}
	if diff := cmp.Diff(want, a.Draft, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("draft (-want +got):\n%s", diff)
	}
	if got, want := a.Failed, "grants s/delete, which the job rules out"; got != want {
		t.Errorf("failed: got %q, want %q", got, want)
	}
}

// TestConfusions: a tool that was taken is told by the words that it was chosen for, or by its server.
func TestConfusions(t *testing.T) {
	c := catalogOf(t, toolLines("shop/list_invoices", "shop/list_orders", "shop/purge", "mail/send"))
	job := "List the overdue invoices and send them."
	draft := composer.Draft{Choices: []composer.Choice{
		{Tool: "shop/purge"}, {Tool: "shop/list_orders", Words: []persona.Span{{Start: 0, End: 25}}}, {Tool: "mail/send"}}}
	suite := composeSuite(t, c, `{"id":"a","job":"`+job+`","needs":[{"need":"list overdue invoices","any_of":["shop/list_invoices"]},{"need":"refund","any_of":["shop/refund"]}],"may":["mail/send"]}`)
	runner := evals.Runner{NewDrafter: func(*catalog.Catalog) evals.Drafter { return fixed{job: draft} }}
	run, err := runner.Run(t.Context(), []evals.Suite{suite})
	if err != nil {
		t.Fatal(err)
	}
	want := []evals.Confusion{
		{Took: "shop/list_orders", For: "shop/list_invoices", Why: "words", Count: 1, Cases: []string{"a"}},
	}
	if diff := cmp.Diff(want, run.Reports[0].Confused); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestSearchBaseline: the baseline grants what one search finds.
func TestSearchBaseline(t *testing.T) {
	_, c := indexed(t, shop)
	draft, err := evals.SearchBaseline{Searcher: c, K: 1}.Compose(t.Context(), "send an email")
	if err != nil {
		t.Fatal(err)
	}
	if len(draft.Choices) != 1 || draft.Choices[0].Tool != "/POST /mail" {
		t.Errorf("got %+v, want the mail tool alone", draft.Choices)
	}
}

func catalogOf(t *testing.T, lines string) string { return written(t, "tools.jsonl", lines) }

func composeSuite(t *testing.T, catalog, lines string) evals.Suite {
	t.Helper()
	s, err := evals.LoadSuite(written(t, "suite.jsonl", lines))
	if err != nil {
		t.Fatal(err)
	}
	s.Catalog = catalog
	return s
}
