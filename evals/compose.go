package evals

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"remit/catalog"
	"remit/composer"
)

// Drafter is what a compose suite is run against.
type Drafter interface {
	Compose(ctx context.Context, job string) (composer.Draft, error)
}

// ComposeCase is a job and what a careful person would grant for it.
type ComposeCase struct {
	ID        string        `json:"id"`
	Job       string        `json:"job"`
	Needs     []ComposeNeed `json:"needs"`
	May       []catalog.ID  `json:"may"`       // acceptable extras
	Forbidden []catalog.ID  `json:"forbidden"` // tempting, and against least privilege for this job
	Gaps      []string      `json:"gaps"`      // asked for, and no tool does it
	Tags      []string      `json:"tags"`
}

// ComposeNeed is a capability that the job cannot be done without, with every tool that serves it as well.
type ComposeNeed struct {
	Need  string       `json:"need"`
	AnyOf []catalog.ID `json:"any_of"`
}

// LoadCompose reads a suite, one JSON object a line. An error names the file and the line.
func LoadCompose(path string) ([]ComposeCase, error) {
	var suite []ComposeCase
	seen := map[string]bool{}
	err := eachLine(path, func(line []byte) error {
		var c ComposeCase
		if err := json.Unmarshal(line, &c); err != nil {
			return err
		}
		switch {
		case c.ID == "" || strings.TrimSpace(c.Job) == "":
			return errors.New("a case needs an id and a job")
		case seen[c.ID]:
			return fmt.Errorf("there is a case %q already", c.ID)
		}
		for _, n := range c.Needs {
			if len(n.AnyOf) == 0 {
				return fmt.Errorf("need %q of case %q lists no tool", n.Need, c.ID)
			}
		}
		seen[c.ID] = true
		suite = append(suite, c)
		return nil
	})
	if err == nil && len(suite) == 0 {
		err = fmt.Errorf("%s holds no case", path)
	}
	return suite, err
}

// ComposeScore of one case, or the means over a suite. Definitions:
//
//   - NeedRecall: share of the needs that a granted tool serves; 1 where the case has none.
//   - Precision: share of the granted tools that serve a need or are acceptable; 0 where nothing is granted.
//   - OverPrivilege: 1 − precision; 0 where nothing is granted.
//   - Forbidden: 1 where a tempting tool is granted.
//   - Complete: 1 where every need is served. Clean: complete, and every granted tool is needed or acceptable.
type ComposeScore struct {
	Tools, NeedRecall, Precision, OverPrivilege, Forbidden, Complete, Clean float64
}

// F1 is the harmonic mean of precision and need recall. Over a suite it is that of the means.
func (s ComposeScore) F1() float64 {
	if s.Precision+s.NeedRecall == 0 {
		return 0
	}
	return 2 * s.Precision * s.NeedRecall / (s.Precision + s.NeedRecall)
}

// ScoreDraft scores granted tools against a case; a tool that is named twice counts once.
func ScoreDraft(c ComposeCase, granted []catalog.ID) ComposeScore {
	var got []catalog.ID
	for _, id := range granted {
		if !slices.Contains(got, id) {
			got = append(got, id)
		}
	}
	fine := slices.Clone(c.May)
	served := 0
	for _, n := range c.Needs {
		fine = append(fine, n.AnyOf...)
		if slices.ContainsFunc(n.AnyOf, func(id catalog.ID) bool { return slices.Contains(got, id) }) {
			served++
		}
	}
	s := ComposeScore{Tools: float64(len(got)), NeedRecall: 1}
	if len(c.Needs) > 0 {
		s.NeedRecall = float64(served) / float64(len(c.Needs))
	}
	if len(got) > 0 {
		s.Precision = share(got, fine)
		s.OverPrivilege = 1 - s.Precision
	}
	s.Forbidden = yes(share(got, c.Forbidden) > 0)
	s.Complete = yes(s.NeedRecall == 1)
	s.Clean = yes(s.NeedRecall == 1 && s.Precision == 1)
	return s
}

func share(got, of []catalog.ID) float64 {
	n := 0
	for _, id := range got {
		if slices.Contains(of, id) {
			n++
		}
	}
	return float64(n) / float64(max(1, len(got)))
}

func yes(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// MeanScore is the macro average: every case counts the same.
func MeanScore(scores []ComposeScore) ComposeScore {
	var m ComposeScore
	n := float64(max(1, len(scores)))
	for _, s := range scores {
		m.Tools += s.Tools / n
		m.NeedRecall += s.NeedRecall / n
		m.Precision += s.Precision / n
		m.OverPrivilege += s.OverPrivilege / n
		m.Forbidden += s.Forbidden / n
		m.Complete += s.Complete / n
		m.Clean += s.Clean / n
	}
	return m
}

// ComposeReport is the outcome of a suite.
type ComposeReport struct {
	Name     string // of the selector
	Cases    []ComposeOutcome
	Mean     ComposeScore
	P50, P99 time.Duration // of one job
	Degraded int           // drafts whose search used words only
	// GapsFound is the share of the cases with a gap in which the draft reports one; GapsInvented that of the others.
	GapsFound, GapsInvented float64
}

// ComposeOutcome is what became of one case.
type ComposeOutcome struct {
	Case  ComposeCase
	Draft composer.Draft
	Score ComposeScore
	Took  time.Duration
}

// RunCompose composes every job of the suite.
func RunCompose(ctx context.Context, name string, suite []ComposeCase, drafter Drafter) (ComposeReport, error) {
	report := ComposeReport{Name: name}
	var scores []ComposeScore
	var took []time.Duration
	gaps := map[bool][2]float64{} // by whether the case has gaps: reported, cases
	for _, c := range suite {
		start := time.Now()
		draft, err := drafter.Compose(ctx, c.Job)
		if err != nil {
			return report, fmt.Errorf("case %s: %w", c.ID, err)
		}
		out := ComposeOutcome{Case: c, Draft: draft, Score: ScoreDraft(c, granted(draft)), Took: time.Since(start)}
		report.Cases = append(report.Cases, out)
		scores, took = append(scores, out.Score), append(took, out.Took)
		if draft.Degraded != "" {
			report.Degraded++
		}
		g := gaps[len(c.Gaps) > 0]
		gaps[len(c.Gaps) > 0] = [2]float64{g[0] + yes(len(draft.Gaps) > 0), g[1] + 1}
	}
	report.Mean = MeanScore(scores)
	report.P50, report.P99 = percentile(took, 0.50), percentile(took, 0.99)
	report.GapsFound = gaps[true][0] / max(1, gaps[true][1])
	report.GapsInvented = gaps[false][0] / max(1, gaps[false][1])
	return report, nil
}

func granted(d composer.Draft) []catalog.ID {
	ids := make([]catalog.ID, len(d.Choices))
	for i, c := range d.Choices {
		ids[i] = c.Tool
	}
	return ids
}

// SearchBaseline grants the first K results of one search for the whole job: what a tool search alone would give.
type SearchBaseline struct {
	Searcher Searcher
	K        int
}

// Compose makes a draft of the first K results.
func (b SearchBaseline) Compose(ctx context.Context, job string) (composer.Draft, error) {
	found, err := b.Searcher.Search(ctx, job, b.K)
	draft := composer.Draft{Job: job, Degraded: found.Degraded}
	for _, m := range found.Matches {
		draft.Choices = append(draft.Choices, composer.Choice{Tool: m.Tool.ID, Score: m.Score})
	}
	return draft, err
}

// ComposeReports compares selectors over one suite.
type ComposeReports []ComposeReport

// String is a Markdown table.
func (rs ComposeReports) String() string {
	var b strings.Builder
	b.WriteString("| selector | cases | tools | need recall | precision | F1 | over-privilege | forbidden cases | complete | clean | gaps found / invented | p50 ms | p99 ms |\n")
	b.WriteString("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, r := range rs {
		m := r.Mean
		fmt.Fprintf(&b, "| %s | %d | %.1f | %.3f | %.3f | %.3f | %.3f | %.3f | %.3f | %.3f | %.2f / %.2f | %.1f | %.1f |\n", r.Name, len(r.Cases),
			m.Tools, m.NeedRecall, m.Precision, m.F1(), m.OverPrivilege, m.Forbidden, m.Complete, m.Clean, r.GapsFound, r.GapsInvented,
			milliseconds(r.P50), milliseconds(r.P99))
	}
	return b.String()
}
