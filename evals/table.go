package evals

import (
	"fmt"
	"slices"
	"strings"
)

// Table is text in columns. Titles and cells may hold text from suites and catalogs: who prints them makes them plain.
type Table struct {
	Title string
	Head  []string
	Rows  [][]string
	Notes []string
}

// Tables shows a run: for compose and enforce suites a table of metrics with a column for each variant, then tags, changes
// and confusions; for retrieve suites a table for each mode with a row for each suite.
func (r Run) Tables() []Table {
	var out []Table
	for i := 0; i < len(r.Reports); {
		first := r.Reports[i]
		if first.Kind == Retrieve {
			i++
			continue
		}
		n := 1
		for i+n < len(r.Reports) && r.Reports[i+n].Suite == first.Suite && !r.Reports[i+n].Main() {
			n++
		}
		out = append(out, variants(r.Reports[i:i+n])...)
		i += n
	}
	for _, mode := range Modes {
		if t := r.mode(mode); len(t.Rows) > 0 {
			out = append(out, t)
		}
	}
	return out
}

// variants are the tables of one suite.
func variants(reports []Report) []Table {
	first := reports[0]
	t := Table{Title: fmt.Sprintf("%s (%s): %d cases, %d tools", first.Suite, first.Kind, len(first.Cases), first.Setup.CatalogTools), Head: []string{"METRIC"}}
	for _, r := range reports {
		t.Head = append(t.Head, strings.ToUpper(r.Variant))
		t.Notes = append(t.Notes, without(r.Notes, t.Notes)...)
		if r.Verdict != "" {
			t.Notes = append(t.Notes, fmt.Sprintf("%s (B) against %s (A): %s", r.Variant, first.Variant, r.Verdict))
		}
	}
	for _, d := range Definitions {
		row := []string{d.Title}
		any := false
		for _, r := range reports {
			m, ok := r.Metric(d.Name)
			any = any || ok
			row = append(row, cell(m, ok))
		}
		if any && !(d.Name == "degraded" && none(reports)) {
			t.Rows = append(t.Rows, row)
		}
	}
	out := []Table{t}
	if tags := tagTable(first); len(tags.Rows) > 0 {
		out = append(out, tags)
	}
	for _, r := range reports {
		if r.Changes != nil {
			out = append(out, changesTable(r))
		}
	}
	if len(first.Confused) > 0 {
		out = append(out, confusedTable(first))
	}
	if failed := failedTable(first); len(failed.Rows) > 0 {
		out = append(out, failed)
	}
	return out
}

func none(reports []Report) bool {
	return !slices.ContainsFunc(reports, func(r Report) bool { m, _ := r.Metric("degraded"); return m.Value > 0 })
}

func cell(m Metric, ok bool) string {
	if !ok {
		return "-"
	}
	switch d, _ := Define(m.Name); d.Unit {
	case "share":
	case "price":
		return fmt.Sprintf("%.5f", m.Value)
	default:
		return fmt.Sprintf("%.1f", m.Value)
	}
	if m.Interval == nil {
		return fmt.Sprintf("%.3f", m.Value)
	}
	return fmt.Sprintf("%.3f (%.3f–%.3f)", m.Value, m.Interval.Low, m.Interval.High)
}

func tagTable(r Report) Table {
	t := Table{Title: r.Suite + " by tag", Head: []string{"TAG", "CASES"}}
	var shown []Definition
	for _, d := range Definitions {
		if _, ok := r.Metric(d.Name); ok && d.Kind == r.Kind && d.Unit == "share" {
			shown = append(shown, d)
			t.Head = append(t.Head, strings.ToUpper(d.Title))
		}
	}
	frequent := slices.Clone(r.Tags)
	slices.SortStableFunc(frequent, func(a, b TagResult) int { return b.Cases - a.Cases })
	for _, tag := range frequent {
		row := []string{tag.Tag, fmt.Sprint(tag.Cases)}
		for _, d := range shown {
			m, ok := find(tag.Metrics, d.Name)
			m.Interval = nil
			row = append(row, cell(m, ok))
		}
		t.Rows = append(t.Rows, row)
	}
	t.short()
	return t
}

const shownRows = 20 // of a list in the terminal; the JSON has all

func changesTable(r Report) Table {
	c := r.Changes
	t := Table{Title: fmt.Sprintf("%s, %s: %d of %d drafts hold other tools, %d marked decisions changed", r.Suite, r.Variant, c.Drafts, c.Of, len(c.Decisions)),
		Head: []string{"CASE", "CHANGE", "OF"}}
	if strings.Contains(r.Variant, "poisoned") {
		t.Title += fmt.Sprintf(", %d poisoned tools entered", len(c.Entered))
	}
	for _, d := range c.Decisions {
		t.Rows = append(t.Rows, []string{d.Case, d.What, d.Of})
	}
	for _, e := range c.Entered {
		t.Rows = append(t.Rows, []string{e.Case + " [" + e.Attack + "]", "poisoned tool entered", e.Tool})
	}
	t.short()
	return t
}

func confusedTable(r Report) Table {
	t := Table{Title: r.Suite + ": tools that were taken for others", Head: []string{"TOOK", "FOR", "WHY", "COUNT"}}
	for _, c := range r.Confused {
		t.Rows = append(t.Rows, []string{c.Took, c.For, c.Why, fmt.Sprint(c.Count)})
	}
	t.short()
	return t
}

func failedTable(r Report) Table {
	t := Table{Title: r.Suite + ": failed cases", Head: []string{"CASE", "WHY"}}
	for _, c := range r.Cases {
		if c.Failed != "" {
			t.Rows = append(t.Rows, []string{c.ID, c.Failed})
		}
	}
	t.short()
	return t
}

func (t *Table) short() {
	if more := len(t.Rows) - shownRows; more > 0 {
		t.Rows = t.Rows[:shownRows]
		t.Notes = append(t.Notes, fmt.Sprintf("%d more are in the JSON report.", more))
	}
}

// mode is a row for each retrieve suite, and their macro average.
func (r Run) mode(mode string) Table {
	t := Table{Title: "retrieve, by " + map[string]string{"hybrid": "words and meaning", "words": "words", "meaning": "meaning"}[mode], Head: []string{"SUITE", "TOOLS", "QUERIES"}}
	for _, d := range Definitions {
		if d.Kind == Retrieve || d.Kind == "" {
			t.Head = append(t.Head, strings.ToUpper(d.Title))
		}
	}
	row := func(name, tools, queries string, metrics []Metric) {
		cells := []string{name, tools, queries}
		for _, d := range Definitions {
			if d.Kind == Retrieve || d.Kind == "" {
				m, ok := find(metrics, d.Name)
				if !d.Headline {
					m.Interval = nil
				}
				cells = append(cells, cell(m, ok))
			}
		}
		t.Rows = append(t.Rows, cells)
	}
	for _, report := range r.Reports {
		if report.Kind == Retrieve && report.Variant == mode {
			row(report.Suite, fmt.Sprint(report.Setup.CatalogTools), fmt.Sprint(len(report.Cases)), report.Metrics)
			t.Notes = append(t.Notes, report.Notes...)
		}
	}
	for _, m := range r.Macro {
		if m.Variant == mode {
			row("macro average", "", "", m.Metrics)
		}
	}
	return t
}

// Tables shows a comparison.
func (c Comparison) Tables() []Table {
	t := Table{Title: fmt.Sprintf("%s (%s, %s): %d cases changed, %d did not", c.Suite, c.Kind, c.Variant, len(c.Cases), c.Same),
		Head: []string{"METRIC", "A", "B", "B − A", "P"}, Notes: slices.Clone(c.Setup)}
	for _, d := range c.Metrics {
		def, _ := Define(d.Name)
		t.Rows = append(t.Rows, []string{def.Title, fmt.Sprintf("%.3f", d.A), fmt.Sprintf("%.3f", d.B), fmt.Sprintf("%+.3f", d.B-d.A), fmt.Sprintf("%.4f", d.P)})
	}
	for side, ids := range map[string][]string{"A": c.OnlyA, "B": c.OnlyB} {
		if len(ids) > 0 {
			t.Notes = append(t.Notes, fmt.Sprintf("Only %s has %d cases, which are left out: %s", side, len(ids), strings.Join(ids[:min(5, len(ids))], ", ")))
		}
	}
	slices.Sort(t.Notes)
	t.Notes = append(t.Notes, c.Verdict)
	changes := Table{Title: c.Suite + ", case by case", Head: []string{"CASE", "CHANGE", "OF"}}
	for _, cc := range c.Cases {
		for _, part := range []struct {
			what string
			of   []string
		}{{"need met", cc.NeedsMet}, {"need missed", cc.NeedsMissed}, {"forbidden granted", cc.ForbiddenGained}, {"forbidden left out", cc.ForbiddenLost},
			{"gained", without(cc.Gained, cc.ForbiddenGained)}, {"lost", without(cc.Lost, cc.ForbiddenLost)}, {"check", cc.Checks}} {
			if len(part.of) > 0 {
				changes.Rows = append(changes.Rows, []string{cc.ID, part.what, strings.Join(part.of, ", ")})
			}
		}
	}
	if c.Kind == Retrieve {
		changes.short()
	}
	if len(changes.Rows) == 0 {
		return []Table{t}
	}
	return []Table{changes, t} // the verdict is the last line
}
