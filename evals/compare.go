package evals

import (
	"fmt"
	"slices"
	"strings"
)

// Comparison says what became otherwise from one report of a suite to another.
type Comparison struct {
	Suite   string       `json:"suite"`
	Kind    Kind         `json:"kind"`
	Variant string       `json:"variant"`
	Setup   []string     `json:"setup"` // what of the setup differs, in words
	Metrics []Difference `json:"metrics"`
	Cases   []CaseChange `json:"cases"` // that changed
	Same    int          `json:"same"`  // cases that did not
	OnlyA   []string     `json:"only_a,omitempty"`
	OnlyB   []string     `json:"only_b,omitempty"`
	Verdict string       `json:"verdict"`
}

// Difference of a metric over the cases that both reports have.
type Difference struct {
	Name string  `json:"name"`
	A    float64 `json:"a"`
	B    float64 `json:"b"`
	P    float64 `json:"p"` // two-sided, of a paired permutation test with 10,000 permutations; not corrected for the number of metrics
}

// CaseChange is what became otherwise in one case. Of a retrieve case the tools are those among the first ten.
type CaseChange struct {
	ID              string   `json:"id"`
	Gained          []string `json:"gained,omitempty"` // tools
	Lost            []string `json:"lost,omitempty"`
	NeedsMet        []string `json:"needs_met,omitempty"`
	NeedsMissed     []string `json:"needs_missed,omitempty"`
	ForbiddenGained []string `json:"forbidden_gained,omitempty"`
	ForbiddenLost   []string `json:"forbidden_lost,omitempty"`
	Checks          []string `json:"checks,omitempty"` // of an enforce case, in words
	// Difference is that of the kind's first headline metric.
	Difference float64 `json:"difference"`
}

// Significant is how small a p has to be, after Holm's correction over the headline metrics, for a verdict.
const Significant = 0.05

// CompareRuns compares the reports of one suite, kind and variant that both runs have. Where each has a single one of a kind
// and variant these are compared whatever their suites are called. The same seed gives the same result.
func CompareRuns(a, b Run, seed uint64) []Comparison {
	var out []Comparison
	for _, y := range b.Reports {
		at := slices.IndexFunc(a.Reports, func(x Report) bool {
			return x.Suite == y.Suite && x.Kind == y.Kind && x.Variant == y.Variant
		})
		if alike := func(x Report) bool { return x.Kind == y.Kind && x.Variant == y.Variant }; at < 0 && count(a.Reports, alike) == 1 && count(b.Reports, alike) == 1 {
			at = slices.IndexFunc(a.Reports, alike)
		}
		if at >= 0 {
			out = append(out, Compare(a.Reports[at], y, seed))
		}
	}
	return out
}

func count(reports []Report, f func(Report) bool) (n int) {
	for _, r := range reports {
		if f(r) {
			n++
		}
	}
	return n
}

// Compare compares two reports of one kind over the cases that both have.
func Compare(a, b Report, seed uint64) Comparison {
	c := Comparison{Suite: b.Suite, Kind: b.Kind, Variant: b.Variant, Setup: a.Setup.differs(b.Setup), Cases: []CaseChange{}}
	byID := map[string]CaseResult{}
	for _, r := range a.Cases {
		byID[r.ID] = r
	}
	var before, after []CaseResult
	for _, r := range b.Cases {
		was, ok := byID[r.ID]
		if !ok {
			c.OnlyB = append(c.OnlyB, r.ID)
			continue
		}
		delete(byID, r.ID)
		before, after = append(before, was), append(after, r)
		if d := change(was, r); d.empty() {
			c.Same++
		} else {
			d.Difference = headline(b.Kind, r) - headline(b.Kind, was)
			c.Cases = append(c.Cases, d)
		}
	}
	for _, r := range a.Cases {
		if _, left := byID[r.ID]; left {
			c.OnlyA = append(c.OnlyA, r.ID)
		}
	}
	c.test(before, after, seed)
	return c
}

// test fills in the metrics and the verdict.
func (c *Comparison) test(before, after []CaseResult, seed uint64) {
	if len(before) == 0 {
		c.Verdict = "The reports have no case in common."
		return
	}
	stats, _, ps := permute(c.Kind, before, after, seed)
	var tested []float64
	var heads []Difference
	for i, s := range stats {
		x, n := s.of(upTo(len(before)))
		y, _ := s.of(upTo(2 * len(before))[len(before):])
		if n == 0 {
			continue
		}
		c.Metrics = append(c.Metrics, Difference{s.Name, x, y, ps[i]})
		if s.Headline {
			heads, tested = append(heads, Difference{s.Name, x, y, ps[i]}), append(tested, ps[i])
		}
	}
	c.Verdict = verdict(heads, holm(tested), len(before))
}

// verdict says in one line which headline metrics moved by more than chance.
func verdict(heads []Difference, corrected []float64, cases int) string {
	var better, worse, names []string
	for i, h := range heads {
		d, _ := Define(h.Name)
		names = append(names, d.Title)
		if corrected[i] >= Significant {
			continue
		}
		text := fmt.Sprintf("%s %+.3f (p %.4f)", d.Title, h.B-h.A, corrected[i])
		if (h.B > h.A) == (d.Better == Higher) {
			better = append(better, text)
		} else {
			worse = append(worse, text)
		}
	}
	switch {
	case len(better) > 0 && len(worse) == 0:
		return "B is better: " + strings.Join(better, ", ") + "."
	case len(worse) > 0 && len(better) == 0:
		return "B is worse: " + strings.Join(worse, ", ") + "."
	case len(better) > 0:
		return "Mixed: B is better in " + strings.Join(better, ", ") + " and worse in " + strings.Join(worse, ", ") + "."
	}
	return fmt.Sprintf("No difference beyond chance in %s over %d cases.", strings.Join(names, ", "), cases)
}

func headline(kind Kind, r CaseResult) float64 { return r.Scores[Headline(kind).Name] }

// change compares what two results of one case hold.
func change(was, is CaseResult) CaseChange {
	d := CaseChange{ID: is.ID}
	switch {
	case was.Draft != nil && is.Draft != nil:
		before, after := tools(was.Draft, ""), tools(is.Draft, "")
		d.Gained, d.Lost = without(after, before), without(before, after)
		before, after = tools(was.Draft, Forbidden), tools(is.Draft, Forbidden)
		d.ForbiddenGained, d.ForbiddenLost = without(after, before), without(before, after)
		before, after = met(was.Draft), met(is.Draft)
		d.NeedsMet, d.NeedsMissed = without(after, before), without(before, after)
	case was.Ranking != nil && is.Ranking != nil:
		before, after := was.Ranking.Found, is.Ranking.Found
		before, after = before[:min(10, len(before))], after[:min(10, len(after))]
		d.Gained, d.Lost = without(after, before), without(before, after)
	default:
		for _, now := range is.Checks {
			i := slices.IndexFunc(was.Checks, func(c Check) bool { return c.Name == now.Name })
			if i >= 0 && was.Checks[i] != now {
				d.Checks = append(d.Checks, fmt.Sprintf("%s was %q, is %q, should be %q", now.Name, was.Checks[i].Got, now.Got, now.Want))
			}
		}
	}
	return d
}

func (d CaseChange) empty() bool {
	return len(d.Gained)+len(d.Lost)+len(d.NeedsMet)+len(d.NeedsMissed)+len(d.Checks) == 0
}

func tools(d *DraftResult, only Verdict) (out []string) {
	for _, g := range d.Tools {
		if only == "" || g.Verdict == only {
			out = append(out, g.Tool)
		}
	}
	return out
}

func met(d *DraftResult) (out []string) {
	for _, n := range d.Needs {
		if len(n.MetBy) > 0 {
			out = append(out, n.Need)
		}
	}
	return out
}

// without returns those of names that are not in of.
func without(names, of []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(of, n) })
}

// differs lists what of two setups is not the same.
func (s Setup) differs(o Setup) []string {
	out := []string{}
	for _, d := range []struct{ name, a, b string }{{"suite", s.Suite, o.Suite}, {"catalog", s.Catalog, o.Catalog}, {"model", s.Model, o.Model}, {"language model", s.Chat, o.Chat},
		{"composer", s.Composer, o.Composer}, {"prompts", s.Prompts, o.Prompts}, {"configuration", s.Configuration, o.Configuration}, {"remit", s.Remit, o.Remit}} {
		if d.a != d.b {
			out = append(out, fmt.Sprintf("%s: %.24s → %.24s", d.name, d.a, d.b))
		}
	}
	return out
}
