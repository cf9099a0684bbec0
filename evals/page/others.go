package page

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"remit/evals"
)

// retrieveView is all suites of queries together: their figures are read beside each other.
type retrieveView struct {
	Variants []variant
	Macro    []macroView
	Plot     ladder // nDCG@10 by set
	Sets     []setView
}

type macroView struct {
	Variant string
	Sets    int
	Cells   []string
}

// setView is one suite in one way of searching.
type setView struct {
	evals.Report
	Cells []string
	Worst []evals.CaseResult
}

// rankMetrics are the columns of the table.
var rankMetrics = []string{"recall_at_5", "recall_at_10", "recall_at_20", "ndcg_at_10", "mrr", "latency_p50_ms", "latency_p99_ms"}

// RankTitles are their heads.
func (retrieveView) RankTitles() (out []string) {
	for _, name := range rankMetrics {
		d, _ := evals.Define(name)
		out = append(out, d.Title)
	}
	return out
}

const worstQueries = 10 // of a suite

func newRetrieve(reports []evals.Report, macros []evals.Macro) *retrieveView {
	v := &retrieveView{}
	class := map[string]string{}
	var labels []string
	rows := map[string][]series{}
	for _, r := range reports {
		if class[r.Variant] == "" {
			class[r.Variant] = fmt.Sprintf("s%d", len(class))
			v.Variants = append(v.Variants, variant{class[r.Variant], r.Variant, words[r.Variant]})
		}
		set := setView{Report: r, Cells: cells(r.Metric)}
		if r.Main() {
			set.Worst = worst(r.Cases)
		}
		v.Sets = append(v.Sets, set)
		if m, ok := r.Metric("ndcg_at_10"); ok {
			label := cut(r.Suite, 28)
			if rows[label] == nil {
				labels = append(labels, label)
			}
			rows[label] = append(rows[label], series{class[r.Variant], r.Variant, m})
		}
	}
	var lines [][]series
	for _, label := range labels {
		lines = append(lines, rows[label])
	}
	v.Plot = newLadder(190, labels, lines)
	for _, m := range macros {
		if m.Kind == evals.Retrieve {
			v.Macro = append(v.Macro, macroView{m.Variant, len(m.Suites), cells(func(name string) (evals.Metric, bool) {
				i := slices.IndexFunc(m.Metrics, func(x evals.Metric) bool { return x.Name == name })
				if i < 0 {
					return evals.Metric{}, false
				}
				return m.Metrics[i], true
			})})
		}
	}
	return v
}

func cells(metric func(string) (evals.Metric, bool)) (out []string) {
	for _, name := range rankMetrics {
		cell := "–"
		if m, ok := metric(name); ok {
			cell = Number(name, m.Value)
		}
		out = append(out, cell)
	}
	return out
}

// worst are the queries whose answer came last or not at all.
func worst(cases []evals.CaseResult) []evals.CaseResult {
	sorted := slices.Clone(cases)
	slices.SortStableFunc(sorted, func(a, b evals.CaseResult) int { return cmp.Compare(a.Scores["ndcg_at_10"], b.Scores["ndcg_at_10"]) })
	return sorted[:min(len(sorted), worstQueries)]
}

// Wanted is the gold of a query in words.
func (setView) Wanted(c evals.CaseResult) string {
	if c.Ranking == nil {
		return ""
	}
	var slots []string
	for _, s := range c.Ranking.Wanted {
		slot := list(s)
		if len(s) > 1 {
			slot = "any of " + slot
		}
		slots = append(slots, slot)
	}
	return list(slots)
}

// Found is the first results in words.
func (setView) Found(c evals.CaseResult) string {
	if c.Ranking == nil {
		return ""
	}
	return list(c.Ranking.Found[:min(5, len(c.Ranking.Found))])
}

// Outcome is what came, in words.
func (enforceView) Outcome(c evals.CaseResult) string {
	var parts []string
	for _, check := range c.Checks {
		switch check.Name {
		case "http_status":
			parts = append(parts, "HTTP "+check.Got)
		case "upstream_calls":
			parts = append(parts, check.Got+" upstream")
		case "answer", "record":
			parts = append(parts, check.Got)
		}
	}
	return strings.Join(parts, " · ")
}

// enforceView is a suite of requests.
type enforceView struct {
	evals.Report
	Passed, Failed int
	Rows           []evals.CaseResult // those that failed first
	Left           int
}

func newEnforce(r evals.Report) enforceView {
	v := enforceView{Report: r, Rows: slices.Clone(r.Cases)}
	for _, c := range r.Cases {
		if c.Failed == "" {
			v.Passed++
		} else {
			v.Failed++
		}
	}
	slices.SortStableFunc(v.Rows, func(a, b evals.CaseResult) int {
		return -cmp.Compare(min(len(a.Failed), 1), min(len(b.Failed), 1))
	})
	if len(v.Rows) > 2*maxCases {
		v.Left, v.Rows = len(v.Rows)-2*maxCases, v.Rows[:2*maxCases]
	}
	return v
}
