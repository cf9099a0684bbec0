package evals

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
		draft.Choices = append(draft.Choices, composer.Choice{Tool: m.Tool.ID, Score: m.Score, Tokens: m.Tool.Tokens})
		draft.Tokens += m.Tool.Tokens
	}
	return draft, err
}

// compose runs one case with its own job or a paraphrase of it. A job that cannot be composed gives an empty draft.
func compose(ctx context.Context, c ComposeCase, job string, tools *ToolFile, drafter Drafter) (CaseResult, error) {
	start := time.Now()
	draft, err := drafter.Compose(ctx, job)
	took := time.Since(start)
	var refused string
	if errors.Is(err, composer.ErrJob) || errors.Is(err, catalog.ErrEmptyQuery) {
		refused, err = err.Error(), nil
	}
	if err != nil {
		return CaseResult{}, fmt.Errorf("case %s: %w", c.ID, err)
	}
	out := judge(c, job, draft, tools)
	out.LatencyMS = milliseconds(took)
	out.modelled(draft.Model, tools)
	if refused != "" {
		out.Failed = refused
	}
	return out, nil
}

// modelled adds what a language model had to do with the draft, and cost.
func (r *CaseResult) modelled(use *composer.ModelUse, tools *ToolFile) {
	if use == nil {
		return
	}
	names := func(ids []catalog.ID) (out []string) {
		for _, id := range ids {
			out = append(out, tools.Name(id))
		}
		return out
	}
	r.Model = &ModelResult{Failed: use.Failed, Added: names(use.Added), Left: names(use.Left), Shown: use.Shown, Notes: use.Notes, Requests: use.Requests,
		PromptTokens: use.PromptTokens, CompletionTokens: use.CompletionTokens, Cost: use.Cost, WaitedMS: milliseconds(use.Waited)}
	maps.Copy(r.Scores, map[string]float64{"model_failed": yes(use.Failed != ""), "requests": float64(use.Requests), "prompt_tokens": float64(use.PromptTokens),
		"completion_tokens": float64(use.CompletionTokens), "cost": use.Cost})
}

// Score is what the metrics of a suite say of one draft, by name.
func (c ComposeCase) Score(draft composer.Draft, tools *ToolFile) map[string]float64 {
	return judge(c, c.Job, draft, tools).Scores
}

// judge compares a draft with what the case says.
func judge(c ComposeCase, job string, draft composer.Draft, tools *ToolFile) CaseResult {
	d := &DraftResult{Tools: []GrantResult{}, Needs: []NeedResult{}, GapsReal: c.Gaps, Tokens: draft.Tokens}
	var granted []string
	for _, choice := range draft.Choices {
		name := tools.Name(choice.Tool)
		if slices.Contains(granted, name) {
			continue
		}
		granted = append(granted, name)
		g := GrantResult{Tool: name, Verdict: c.verdict(name), Reason: choice.Reason, Confidence: choice.Confidence, Tokens: choice.Tokens}
		for _, span := range choice.Words {
			g.Words = append(g.Words, job[span.Start:span.End])
		}
		d.Tools = append(d.Tools, g)
	}
	for _, n := range c.Needs {
		met := NeedResult{Need: n.Need, AnyOf: n.AnyOf}
		for _, name := range granted {
			if slices.Contains(n.AnyOf, name) {
				met.MetBy = append(met.MetBy, name)
			}
		}
		d.Needs = append(d.Needs, met)
	}
	for _, g := range draft.Gaps {
		d.GapsFound = append(d.GapsFound, job[g.Words.Start:g.Words.End])
	}
	out := CaseResult{ID: c.ID, Text: job, Tags: c.Tags, Scores: c.score(granted, d), Degraded: draft.Degraded, Draft: d}
	if bad := named(granted, c.Forbidden); len(bad) > 0 {
		out.Failed = "grants " + strings.Join(bad, ", ") + ", which the job rules out"
	}
	return out
}

// score computes what score.py of the persona data does, in its order of operations so that every digit is the same, and
// the figures that it lacks.
func (c ComposeCase) score(granted []string, d *DraftResult) map[string]float64 {
	fine := slices.Clone(c.May)
	met := 0
	for i, n := range c.Needs {
		fine = append(fine, n.AnyOf...)
		if len(d.Needs[i].MetBy) > 0 {
			met++
		}
	}
	recall, precision, over := 1.0, 0.0, 0.0
	if len(c.Needs) > 0 {
		recall = float64(met) / float64(len(c.Needs))
	}
	if len(granted) > 0 {
		precision = float64(len(named(granted, fine))) / float64(len(granted))
		over = 1 - precision
	}
	scores := map[string]float64{"tools": float64(len(granted)), "tokens": float64(d.Tokens), "need_recall": recall,
		"precision": precision, "over_privilege": over, "forbidden": yes(len(named(granted, c.Forbidden)) > 0),
		"complete": yes(recall == 1), "clean": yes(recall == 1 && precision == 1)}
	gap := "gaps_invented"
	if len(c.Gaps) > 0 {
		gap = "gap_recall"
	}
	scores[gap] = yes(len(d.GapsFound) > 0)
	return scores
}

func (c ComposeCase) verdict(name string) Verdict {
	switch {
	case slices.Contains(c.Forbidden, name):
		return Forbidden
	case slices.ContainsFunc(c.Needs, func(n ComposeNeed) bool { return slices.Contains(n.AnyOf, name) }):
		return Needed
	case slices.Contains(c.May, name):
		return Accepted
	}
	return Extra
}

// named returns those of names that are in of.
func named(names, of []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !slices.Contains(of, n) })
}

func yes(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// names lists every tool that the case names.
func (c ComposeCase) names() []string {
	all := slices.Concat(c.May, c.Forbidden)
	for _, n := range c.Needs {
		all = append(all, n.AnyOf...)
	}
	return all
}

// unknownTools is a note on tools that the suite names and the catalog lacks; empty when there are none.
func unknownTools(cases []ComposeCase, tools *ToolFile) string {
	var missing []string
	for _, c := range cases {
		for _, name := range c.names() {
			if _, ok := tools.ID(name); !ok && !slices.Contains(missing, name) {
				missing = append(missing, name)
			}
		}
	}
	if len(missing) == 0 {
		return ""
	}
	return fmt.Sprintf("The catalog lacks %d tools that the suite names, so the figures are not those of the whole suite: %s%s.", len(missing),
		strings.Join(missing[:min(5, len(missing))], ", "), map[bool]string{true: ", …"}[len(missing) > 5])
}

// confusions counts, over all needs that were missed, the granted tool that is neither needed nor accepted and that was
// chosen for words of the need, or else stands on a server of a tool that would have met it.
func confusions(results []CaseResult, tools *ToolFile) []Confusion {
	var out []Confusion
	for _, r := range results {
		for _, n := range r.Draft.Needs {
			if len(n.MetBy) > 0 {
				continue
			}
			took, why := mistaken(n, r.Draft.Tools, tools)
			if took == "" {
				continue
			}
			right := n.AnyOf[0]
			for _, name := range n.AnyOf {
				if tools.server(name) == tools.server(took) {
					right = name
					break
				}
			}
			i := slices.IndexFunc(out, func(c Confusion) bool { return c.Took == took && c.For == right && c.Why == why })
			if i < 0 {
				i = len(out)
				out = append(out, Confusion{Took: took, For: right, Why: why})
			}
			out[i].Count++
			out[i].Cases = append(out[i].Cases, r.ID)
		}
	}
	slices.SortStableFunc(out, func(a, b Confusion) int { return b.Count - a.Count })
	return out
}

// mistaken finds the tool that was taken for a missed need: the one whose words of the job share most terms with it.
func mistaken(n NeedResult, granted []GrantResult, tools *ToolFile) (tool, why string) {
	best := 0
	need := catalog.Terms(n.Need)
	for _, g := range granted {
		if g.Verdict != Extra && g.Verdict != Forbidden {
			continue
		}
		shared := len(named(catalog.Terms(strings.Join(g.Words, " ")), need))
		if shared > best {
			tool, why, best = g.Tool, "words", shared
		}
		if tool == "" && slices.ContainsFunc(n.AnyOf, func(name string) bool { return tools.server(name) == tools.server(g.Tool) }) {
			tool, why = g.Tool, "server"
		}
	}
	return tool, why
}
