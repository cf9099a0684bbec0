package page

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"remit/evals"
)

// composeView is a suite of jobs, with every variant that was run.
type composeView struct {
	N        int
	Main     evals.Report
	Headline []string // sentences
	Tiles    []tile
	Variants []variant
	Shares   ladder
	Table    table
	Cloud    cloud
	Sizes    bars
	Latency  bars
	Tags     ladder
	FewTags  int // tags that are not shown
	Confused []evals.Confusion
	More     int // confusions that are not shown
	Models   []modelRow
	Changed  []changedView
	Cases    []caseView
	Left     int // cases that are not shown
	Rerun    string
}

type tile struct {
	Title, Value, Range, Beside string
	Good, Bad                   bool
}

type variant struct{ Class, Name, Words string }

// table is every metric of every variant.
type table struct {
	Heads []string
	Rows  []tableRow
}

type tableRow struct {
	Title, Meaning string
	Cells          []string
}

type caseView struct {
	Anchor string
	evals.CaseResult
	Met, Extra, Forbidden int
	Recall, Over          float64
	Needs                 []needView          // at most maxGrants
	NeedCount             int                 // all of them
	Tools                 []evals.GrantResult // at most maxGrants
}

// RecallWidth is the need recall in the meter's units.
func (c caseView) RecallWidth() float64 { return 100 * c.Recall }

// changedView is what a variant changed, counted and by example.
type changedView struct {
	Variant        string
	Drafts, Of     int
	Came, Turned   int // tools that came in; decisions that came out otherwise
	Attacks, Kinds []counted
	Entered        []evals.Entered  // at most maxChanges
	Decisions      []evals.Decision // at most maxChanges
}

type counted struct {
	Name string
	N    int
}

func newChanged(r evals.Report) changedView {
	c := r.Changes
	v := changedView{Variant: r.Variant, Drafts: c.Drafts, Of: c.Of, Came: len(c.Entered), Turned: len(c.Decisions),
		Entered: c.Entered[:min(len(c.Entered), maxChanges)], Decisions: c.Decisions[:min(len(c.Decisions), maxChanges)]}
	attacks, kinds := map[string]int{}, map[string]int{}
	for _, e := range c.Entered {
		attacks[e.Attack]++
	}
	for _, d := range c.Decisions {
		kinds[d.What]++
	}
	v.Attacks, v.Kinds = tally(attacks), tally(kinds)
	return v
}

// tally is the counts, greatest first.
func tally(counts map[string]int) (out []counted) {
	for name, n := range counts {
		out = append(out, counted{name, n})
	}
	slices.SortFunc(out, func(a, b counted) int { return cmp.Or(-cmp.Compare(a.N, b.N), cmp.Compare(a.Name, b.Name)) })
	return out
}

type needView struct {
	Need  string
	By    string // the tools that meet it
	AnyOf string // those that would
}

// words says what a variant is.
var words = map[string]string{"plain": "the composer", "search10": "ten best of one search (common practice)",
	"poisoned": "manipulative descriptions in the catalog", "poisoned-unseen": "such descriptions by an author who did not know the composer", "paraphrased": "the same jobs in other words", "haystack": "a larger catalog around the same tools",
	"hybrid": "words and meaning", "words": "words only (BM25)", "meaning": "meaning only"}

// inWords says it of a variant with a language model too.
func inWords(variant string) string {
	if !strings.HasPrefix(variant, "model:") {
		return words[variant]
	}
	for of, what := range words {
		if strings.HasSuffix(variant, " "+of) {
			return "with the language model: " + what
		}
	}
	return "the composer with the language model"
}

// modelRow is a language model with its prompts, or the composer alone, beside the others.
type modelRow struct {
	Name, Asked string
	Cells       []string
	Verdict     string // against the composer alone
}

// modelMetrics are the columns of that table.
var modelMetrics = []string{"need_recall", "over_privilege", "forbidden", "model_failed", "prompt_tokens", "completion_tokens", "cost", "model_p50_ms"}

// ModelTitles are their heads.
func (composeView) ModelTitles() (out []string) {
	for _, name := range modelMetrics {
		d, _ := evals.Define(name)
		out = append(out, d.Title)
	}
	return out
}

// newModels is empty when no language model was run.
func newModels(reports []evals.Report) (out []modelRow) {
	for i, r := range reports {
		if i > 0 && r.Verdict == "" {
			continue
		}
		row := modelRow{Name: r.Variant, Asked: r.Setup.Chat, Verdict: r.Verdict}
		for _, name := range modelMetrics {
			cell := "–"
			if m, ok := r.Metric(name); ok {
				cell = Number(name, m.Value)
			}
			row.Cells = append(row.Cells, cell)
		}
		out = append(out, row)
	}
	if len(out) < 2 {
		return nil
	}
	return out
}

func newCompose(n int, reports []evals.Report) composeView {
	main := reports[0]
	v := composeView{N: n, Main: main, Headline: headline(main), Tiles: tiles(reports), Table: newTable(reports), Cloud: newCloud(main.Cases), Models: newModels(reports),
		Confused: main.Confused, Rerun: rerun(main)}
	v.Tags, v.FewTags = tagLadder(main)
	for i, r := range reports {
		v.Variants = append(v.Variants, variant{class(i), r.Variant, inWords(r.Variant)})
		if r.Changes != nil {
			v.Changed = append(v.Changed, newChanged(r))
		}
	}
	v.Shares = shareLadder(reports)
	var sizes, times []float64
	for _, c := range main.Cases {
		sizes, times = append(sizes, c.Scores["tools"]), append(times, c.LatencyMS)
	}
	v.Sizes, v.Latency = newBars(sizes, true, "tools"), newBars(times, false, "ms")
	if m, ok := main.Metric("tools"); ok {
		v.Sizes.mark(m.Value, fmt.Sprintf("mean %.1f", m.Value))
	}
	for _, name := range []string{"latency_p50_ms", "latency_p99_ms"} {
		if m, ok := main.Metric(name); ok {
			d, _ := evals.Define(name)
			v.Latency.mark(m.Value, strings.TrimSuffix(d.Title, " ms")+" "+Number(name, m.Value))
		}
	}
	if len(v.Confused) > maxConfuse {
		v.Confused, v.More = v.Confused[:maxConfuse], len(v.Confused)-maxConfuse
	}
	v.cases()
	return v
}

// headline says what came out, for somebody who reads nothing else.
func headline(r evals.Report) []string {
	out := []string{fmt.Sprintf("%d jobs were drafted over a catalog of %s tools.", len(r.Cases), count(r.Setup.CatalogTools))}
	if m, ok := r.Metric("need_recall"); ok {
		out = append(out, fmt.Sprintf("A draft holds %s of what its job needs%s.", percent(m.Value), within(m)))
	}
	if m, ok := r.Metric("over_privilege"); ok {
		out = append(out, fmt.Sprintf("Of what it grants, %s is not needed%s.", percent(m.Value), within(m)))
	}
	if m, ok := r.Metric("forbidden"); ok {
		n := int(m.Value*float64(m.Cases) + 0.5)
		out = append(out, fmt.Sprintf("%d of %d drafts grant a tool that the job rules out.", n, m.Cases))
	}
	tokens, ok := r.Metric("tokens")
	if ok && r.Setup.CatalogTokens > 0 && tokens.Value > 0 {
		out = append(out, fmt.Sprintf("An agent reads %s tokens of definitions instead of %s.", Number("tokens", tokens.Value), count(r.Setup.CatalogTokens)))
	}
	return out
}

func within(m evals.Metric) string {
	if m.Interval == nil {
		return ""
	}
	return fmt.Sprintf(" (95 %% interval: %s to %s)", percent(m.Interval.Low), percent(m.Interval.High))
}

// tiles are the figures that matter most, with common practice beside them where it was run.
func tiles(reports []evals.Report) []tile {
	var out []tile
	for _, name := range []string{"need_recall", "over_privilege", "forbidden", "complete", "tools", "tokens", "latency_p50_ms"} {
		m, ok := reports[0].Metric(name)
		if !ok {
			continue
		}
		d, _ := evals.Define(name)
		t := tile{Title: d.Title, Value: Number(name, m.Value)}
		switch {
		case d.Unit == "share":
			t.Value = percent(m.Value)
		case name == "latency_p50_ms":
			t.Title = "time (median)"
		}
		switch in := m.Interval; {
		case in != nil && d.Unit == "share":
			t.Range = fmt.Sprintf("%s to %s", percent(in.Low), percent(in.High))
		case in != nil:
			t.Range = fmt.Sprintf("%s to %s", Number(name, in.Low), Number(name, in.High))
		}
		for _, r := range reports[1:] {
			if other, ok := r.Metric(name); ok && r.Variant == "search10" && d.Better != evals.Neutral {
				t.Beside = Number(name, other.Value)
				if d.Unit == "share" {
					t.Beside = percent(other.Value)
				}
				better := float64(d.Better) * (m.Value - other.Value)
				t.Good, t.Bad = better > 0, better < 0
			}
		}
		out = append(out, t)
	}
	return out
}

// class of the i-th variant in the style sheet.
func class(i int) string { return fmt.Sprintf("s%d", min(i, 7)) }

// shareLadder is every share of every variant.
func shareLadder(reports []evals.Report) ladder {
	var labels []string
	var rows [][]series
	for _, d := range evals.Definitions {
		if d.Unit != "share" || d.Kind != reports[0].Kind {
			continue
		}
		var row []series
		for i, r := range reports {
			if m, ok := r.Metric(d.Name); ok {
				row = append(row, series{class(i), r.Variant, m})
			}
		}
		if len(row) > 0 {
			labels, rows = append(labels, d.Title), append(rows, row)
		}
	}
	return newLadder(130, labels, rows)
}

// tagMetrics are what is shown by tag, of at most maxTags tags of at least two jobs.
var tagMetrics = []string{"need_recall", "over_privilege", "forbidden"}

const maxTags = 10

// tagLadder returns the plot, with the most frequent tags first, and how many tags it leaves out.
func tagLadder(r evals.Report) (ladder, int) {
	tags := slices.Clone(r.Tags)
	slices.SortStableFunc(tags, func(a, b evals.TagResult) int { return -cmp.Compare(a.Cases, b.Cases) })
	var labels []string
	var rows [][]series
	for _, t := range tags {
		var row []series
		for i, name := range tagMetrics {
			for _, m := range t.Metrics {
				if d, _ := evals.Define(name); m.Name == name {
					row = append(row, series{fmt.Sprintf("t%d", i), d.Title, m})
				}
			}
		}
		if len(row) > 0 && t.Cases > 1 && len(rows) < maxTags {
			labels, rows = append(labels, cut(t.Tag, 24)+fmt.Sprintf(" (%d)", t.Cases)), append(rows, row)
		}
	}
	return newLadder(190, labels, rows), len(tags) - len(rows)
}

func newTable(reports []evals.Report) table {
	var t table
	for _, r := range reports {
		t.Heads = append(t.Heads, r.Variant)
	}
	for _, d := range evals.Definitions {
		row := tableRow{Title: d.Title, Meaning: d.Meaning}
		found := false
		for _, r := range reports {
			m, ok := r.Metric(d.Name)
			cell := "–"
			if ok {
				found, cell = true, Number(d.Name, m.Value)
			}
			row.Cells = append(row.Cells, cell)
		}
		if found {
			t.Rows = append(t.Rows, row)
		}
	}
	return t
}

// cases are the main variant's, worst first: forbidden tools, then missed needs, then extra tools.
func (v *composeView) cases() {
	for i, c := range v.Main.Cases {
		one := caseView{Anchor: fmt.Sprintf("case-%d-%d", v.N, i), CaseResult: c, Recall: c.Scores["need_recall"], Over: c.Scores["over_privilege"]}
		if c.Draft == nil {
			one.Draft = &evals.DraftResult{}
		}
		for _, t := range one.Draft.Tools {
			switch t.Verdict {
			case evals.Extra:
				one.Extra++
			case evals.Forbidden:
				one.Forbidden++
			}
		}
		for _, n := range one.Draft.Needs {
			if len(n.MetBy) > 0 {
				one.Met++
			}
			one.Needs = append(one.Needs, needView{n.Need, list(n.MetBy), list(n.AnyOf)})
		}
		one.NeedCount, one.Needs = len(one.Needs), one.Needs[:min(len(one.Needs), maxGrants)]
		one.Tools = one.Draft.Tools[:min(len(one.Draft.Tools), maxGrants)]
		v.Cases = append(v.Cases, one)
	}
	slices.SortStableFunc(v.Cases, func(a, b caseView) int {
		return cmp.Or(-cmp.Compare(a.Forbidden, b.Forbidden), cmp.Compare(a.Recall, b.Recall), -cmp.Compare(a.Over, b.Over))
	})
	if len(v.Cases) > maxCases {
		v.Left, v.Cases = len(v.Cases)-maxCases, v.Cases[:maxCases]
	}
}

// rerun is the command that repeats the run.
func rerun(r evals.Report) string {
	line := "remit eval run " + shell(r.Suite) + ".jsonl"
	if r.Kind == evals.Compose {
		line += " --catalog catalog.jsonl"
	}
	return fmt.Sprintf("%s --seed %d", line, r.Setup.Seed)
}

// shell makes a name that a command line takes as one word.
func shell(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./", r) {
			return r
		}
		return '_'
	}, cut(name, 80))
}
