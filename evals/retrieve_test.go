package evals_test

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"remit/catalog"
	"remit/evals"
)

const tools = `{"id":"a","server":"s","name":"a","description":"A"}
{"id":"b","server":"s","name":"GET /b/{id}","description":"B","input_schema":{"type":"object","properties":{"p":{"type":"str"}}}}

{"id":"c","server":"t","name":"c","description":""}
`

func suite(t *testing.T, tools, queries string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"tools.jsonl": tools, "queries.jsonl": queries} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// ranked answers each query with the tools that its text names, in this order.
type ranked map[catalog.ID]catalog.Tool

func (r ranked) Search(_ context.Context, query string, k int) (catalog.Results, error) {
	var out catalog.Results
	for _, id := range strings.Fields(query) {
		if tool, ok := r[catalog.ID(id)]; ok && len(out.Matches) < k {
			out.Matches = append(out.Matches, catalog.Match{Tool: tool})
		} else {
			out.Matches = append(out.Matches, catalog.Match{Tool: catalog.Tool{ID: catalog.ID("other/" + id)}})
		}
	}
	return out, nil
}

func run(t *testing.T, queries string) evals.RetrieveScore {
	t.Helper()
	set, err := evals.LoadRetrieve(suite(t, tools, queries))
	if err != nil {
		t.Fatal(err)
	}
	searcher := ranked{}
	for _, tool := range set.Tools {
		searcher[tool.ID] = tool
	}
	report, err := evals.RunRetrieve(t.Context(), set, searcher)
	if err != nil {
		t.Fatal(err)
	}
	return report.Score
}

func TestRunRetrieve(t *testing.T) {
	log2 := math.Log2
	for _, tc := range []struct {
		name, queries string
		want          evals.RetrieveScore
	}{
		{"first", `{"id":"1","query":"s/a","gold":["a"]}`, score(1, 1, 1, 1, 1)},
		{"none", `{"id":"1","query":"s/b","gold":["a"]}`, evals.RetrieveScore{}},
		{"sixth", `{"id":"1","query":"x x2 x3 x4 x5 s/a","gold":["a"]}`, score(0, 1, 1, 1/log2(7), 1.0/6)},
		{"half", `{"id":"1","query":"x s/b","gold":["a","b"]}`, score(0.5, 0.5, 0.5, (1/log2(3))/(1+1/log2(3)), 0.5)},
		// Either of a and b covers the first slot; the second of them gains nothing.
		{"slot", `{"id":"1","query":"s/b s/a t/c","gold":[["a","b"],"c"]}`, score(1, 1, 1, (1+0.5)/(1+1/log2(3)), 1)},
		{"servers", `{"id":"1","query":"s/a s/b t/c","gold":["a"],"servers":["t"]}`, score(1, 1, 1, 1/log2(3), 0.5)},
		{"mean of two", "{\"id\":\"1\",\"query\":\"s/a\",\"gold\":[\"a\"]}\n{\"id\":\"2\",\"query\":\"x\",\"gold\":[\"a\"]}",
			score(0.5, 0.5, 0.5, 0.5, 0.5)},
	} {
		got := run(t, tc.queries)
		for i, pair := range [][2]float64{{got.Recall5, tc.want.Recall5}, {got.Recall10, tc.want.Recall10},
			{got.Recall20, tc.want.Recall20}, {got.NDCG10, tc.want.NDCG10}, {got.MRR, tc.want.MRR}} {
			if math.Abs(pair[0]-pair[1]) > 1e-9 {
				t.Errorf("%s: metric %d: got %f, want %f", tc.name, i, pair[0], pair[1])
			}
		}
	}
}

func TestMacroAndTable(t *testing.T) {
	reports := evals.RetrieveReports{
		{Set: "small", Queries: 1, Score: evals.RetrieveScore{Recall5: 1}},
		{Set: "large", Queries: 99, Score: evals.RetrieveScore{Recall5: 0.5}, Degraded: 3},
	}
	if got, want := reports.Macro().Recall5, 0.75; got != want {
		t.Errorf("got a macro average of %f, want %f", got, want)
	}
	for _, want := range []string{"small", "macro average", "0.750", "3 searches by words only"} {
		if got := reports.String(); !strings.Contains(got, want) {
			t.Errorf("got a table without %q:\n%s", want, got)
		}
	}
}

func TestLoadRetrieveErrors(t *testing.T) {
	for _, tc := range []struct{ name, tools, queries, want string }{
		{"bad tool", tools + "{", "", "tools.jsonl:5"},
		{"tool twice", tools + `{"id":"a","name":"a"}`, "", "tools.jsonl:5: tool \"a\" is there twice"},
		{"no name", `{"id":"a"}`, "", "tools.jsonl:1"},
		{"unknown gold", tools, "\n" + `{"id":"1","query":"q","gold":["z"]}`, `queries.jsonl:2: query "1" wants tool "z"`},
		{"unknown server", tools, `{"id":"1","query":"q","servers":["z"]}`, `server "z"`},
		{"empty slot", tools, `{"id":"1","query":"q","gold":[[]]}`, "queries.jsonl:1: a gold entry"},
		{"no gold", tools, `{"id":"1","query":"q","gold":[]}`, "queries.jsonl:1: a query needs"},
	} {
		if _, err := evals.LoadRetrieve(suite(t, tc.tools, tc.queries)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q in it", tc.name, err, tc.want)
		}
	}
	if _, err := evals.LoadRetrieve(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a missing folder gave no error")
	}
}

func TestLoadRetrieveTools(t *testing.T) {
	set, err := evals.LoadRetrieve(suite(t, tools, `{"id":"1","query":"q","gold":["b"]}`))
	if err != nil {
		t.Fatal(err)
	}
	got := set.Tools[1]
	if got.ID != "s/b" || got.Name != "GET /b/{id}" || got.Description != "B" || len(got.Params) != 1 || got.Params[0].Name != "p" {
		t.Errorf("got %+v", got)
	}
}

func score(r5, r10, r20, ndcg, mrr float64) evals.RetrieveScore {
	return evals.RetrieveScore{Recall5: r5, Recall10: r10, Recall20: r20, NDCG10: ndcg, MRR: mrr}
}
