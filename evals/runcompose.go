package evals

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"remit/catalog"
)

// way is how a compose suite is drafted: by the composer alone, or with a language model.
type way struct {
	model      *Model // nil means none
	newDrafter func(*catalog.Catalog) Drafter
}

// variant is what a report of the way is called.
func (w way) variant(name string) string {
	switch {
	case w.model == nil:
		return name
	case name == "plain":
		return "model:" + w.model.Name
	}
	return "model:" + w.model.Name + " " + name
}

// start makes the report of a suite in a variant of the way.
func (r *Runner) start(s Suite, w way, name string, c *catalog.Catalog) Report {
	report := r.begin(s, w.variant(name), c)
	if w.model != nil {
		report.Setup.Chat, report.Setup.Prompts = w.model.Asked, w.model.Prompts
	}
	return report
}

// compose runs a compose suite: plain, and in the other ways that are asked for, which are compared with the plain one.
func (r *Runner) compose(ctx context.Context, s Suite) ([]Report, error) {
	b, err := r.load(ctx, s.Catalog)
	if err != nil {
		return nil, err
	}
	s.Compose = limited(s.Compose, r.Limit)
	alone := way{newDrafter: r.NewDrafter}
	reports, err := r.drafted(ctx, s, b, alone)
	if err != nil {
		return nil, err
	}
	if r.Search {
		search := way{newDrafter: func(c *catalog.Catalog) Drafter { return SearchBaseline{Searcher: c, K: 10} }}
		report, err := r.drafts(ctx, s, "search10", b, search)
		if err != nil {
			return nil, err
		}
		reports = slices.Insert(reports, 1, report)
	}
	if r.Robustness && !paraphrases(s) {
		reports[0].Notes = append(reports[0].Notes, "No case of the suite has paraphrases, so robustness against other words was not measured.")
	}
	for _, m := range r.Models {
		with := way{&m, func(c *catalog.Catalog) Drafter { return modelDrafter{m.NewDrafter(c), r.Answers} }}
		more, err := r.drafted(ctx, s, b, with)
		if err != nil {
			return nil, err
		}
		more[0].Changes, more[0].Verdict = changed(reports[0].Cases, more[0].Cases), Compare(reports[0], more[0], r.Setup.Seed).Verdict
		reports = append(reports, more...)
	}
	return reports, nil
}

func paraphrases(s Suite) bool {
	return slices.ContainsFunc(s.Compose, func(c ComposeCase) bool { return len(c.Paraphrases) > 0 })
}

// drafted runs the suite in one way: plain, and the variants that are asked for, which are compared with it.
func (r *Runner) drafted(ctx context.Context, s Suite, b *base, w way) ([]Report, error) {
	plain, err := r.drafts(ctx, s, "plain", b, w)
	reports := []Report{plain}
	add := func(do func() (Report, error)) {
		if err != nil {
			return
		}
		var more Report
		more, err = do()
		reports = append(reports, more)
	}
	if r.Robustness {
		add(func() (Report, error) { return r.poisoned(ctx, s, b, plain, w, "poisoned", Attacks) })
		add(func() (Report, error) { return r.poisoned(ctx, s, b, plain, w, "poisoned-unseen", UnseenAttacks) })
		if paraphrases(s) {
			add(func() (Report, error) { return r.paraphrased(ctx, s, b, plain, w) })
		}
	}
	if r.Haystack != "" {
		add(func() (Report, error) { return r.haystack(ctx, s, b, plain, w) })
	}
	return reports, err
}

// drafts runs every case once in a way over the base.
func (r *Runner) drafts(ctx context.Context, s Suite, name string, b *base, w way) (Report, error) {
	c, err := r.catalog(b)
	if err != nil {
		return Report{}, err
	}
	report := r.start(s, w, name, c)
	drafter := w.newDrafter(c)
	var jobs []job
	for _, cc := range s.Compose {
		jobs = append(jobs, job{cc.ID, func(ctx context.Context) (CaseResult, error) { return compose(ctx, cc, cc.Job, b.file, drafter) }})
	}
	if err := r.finish(ctx, &report, jobs, true); err != nil {
		return report, err
	}
	report.Confused = confusions(report.Cases, b.file)
	if note := unknownTools(s.Compose, b.file); note != "" {
		report.Notes = append(report.Notes, note)
	}
	return report, nil
}

// poisoned runs every case once for each of the attacks, on all targets at a time.
func (r *Runner) poisoned(ctx context.Context, s Suite, b *base, plain Report, w way, name string, attacks []Attack) (Report, error) {
	ids, aims := targets(s.Compose, b.file, r.Setup.Seed)
	report := r.start(s, w, name, nil)
	report.Setup = plain.Setup // the catalogs follow from it
	for _, attack := range attacks {
		drafter := sync.OnceValues(func() (Drafter, error) { return r.poisonedDrafter(ctx, b, w, attack, ids, aims) })
		var jobs []job
		for _, c := range s.Compose {
			id := c.ID + " [" + attack.Name + "]"
			jobs = append(jobs, job{id, func(ctx context.Context) (CaseResult, error) {
				d, err := drafter()
				if err != nil {
					return CaseResult{}, err
				}
				result, err := compose(ctx, c, c.Job, b.file, d)
				result.ID, result.Of, result.Tags = id, c.ID, []string{attack.Name}
				return result, err
			}})
		}
		results, err := r.cases(ctx, report, jobs)
		if err != nil {
			return report, err
		}
		report.Cases = append(report.Cases, results...)
	}
	report.fill(false)
	report.Changes = &Changes{Entered: []Entered{}, Decisions: []Decision{}}
	for i, result := range report.Cases {
		was := plain.Cases[i%len(plain.Cases)]
		report.Changes.compare(was, result)
		for _, g := range result.Draft.Tools {
			if id, _ := b.file.ID(g.Tool); slices.Contains(ids, id) && !was.grants(g.Tool) {
				report.Changes.Entered = append(report.Changes.Entered, Entered{was.ID, g.Tool, result.Tags[0]})
			}
		}
	}
	report.Notes = append(report.Notes, fmt.Sprintf("%d tools were poisoned with each of %d attacks: every tool that a case forbids, and a sample of those that no case names.", len(ids), len(attacks)))
	return report, nil
}

func (r *Runner) poisonedDrafter(ctx context.Context, b *base, w way, attack Attack, ids []catalog.ID, aims map[catalog.ID]string) (Drafter, error) {
	file, changed, err := attack.poison(b.file, ids, aims, r.Count)
	if err != nil {
		return nil, err
	}
	if b.poison[attack.Name] == nil { // attacks come one after the other
		if b.poison[attack.Name], err = r.embed(ctx, "poisoned tools, "+attack.Name, changed); err != nil {
			return nil, err
		}
	}
	c, err := r.catalog(b.with(file, b.poison[attack.Name]))
	if err != nil {
		return nil, err
	}
	return w.newDrafter(c), nil
}

// paraphrased runs every paraphrase of every case.
func (r *Runner) paraphrased(ctx context.Context, s Suite, b *base, plain Report, w way) (Report, error) {
	c, err := r.catalog(b)
	if err != nil {
		return Report{}, err
	}
	report := r.start(s, w, "paraphrased", c)
	drafter := w.newDrafter(c)
	var jobs []job
	var was []CaseResult
	for i, cc := range s.Compose {
		for n, text := range cc.Paraphrases {
			id := fmt.Sprintf("%s [%d]", cc.ID, n+1)
			was = append(was, plain.Cases[i])
			jobs = append(jobs, job{id, func(ctx context.Context) (CaseResult, error) {
				result, err := compose(ctx, cc, text, b.file, drafter)
				result.ID, result.Of = id, cc.ID
				return result, err
			}})
		}
	}
	if err := r.finish(ctx, &report, jobs, false); err != nil {
		return report, err
	}
	report.Changes = changed(was, report.Cases)
	return report, nil
}

// haystack runs every case with further tools in the catalog. A server of them that has the name of one of the catalog's is
// called NAME-haystack, as two servers of one name cannot be configured.
func (r *Runner) haystack(ctx context.Context, s Suite, b *base, plain Report, w way) (Report, error) {
	more, err := LoadTools(r.Haystack, r.Count)
	if err != nil {
		return Report{}, err
	}
	taken := map[string]bool{}
	for _, t := range b.file.Tools {
		taken[t.Server()] = true
	}
	all := &ToolFile{Tools: slices.Clone(b.file.Tools), ids: map[string]catalog.ID{}, names: map[catalog.ID]string{}}
	for _, t := range b.file.Tools {
		all.ids[b.file.Name(t.ID)], all.names[t.ID] = t.ID, b.file.Name(t.ID)
	}
	for _, t := range more.Tools {
		name := more.Name(t.ID)
		if server, own := t.ID.Split(); taken[server] {
			t.ID = catalog.NewID(server+"-haystack", own)
		}
		if _, twice := all.ids[name]; twice {
			name = string(t.ID)
		}
		if err := all.add(name, t); err != nil {
			return Report{}, fmt.Errorf("%s: %w", r.Haystack, err)
		}
	}
	vectors, err := r.embed(ctx, r.Haystack, all.Tools[len(b.file.Tools):])
	if err != nil {
		return Report{}, err
	}
	report, err := r.drafts(ctx, s, "haystack", b.with(all, vectors), w)
	if err != nil {
		return report, err
	}
	report.Changes = changed(plain.Cases, report.Cases)
	report.Notes = append(report.Notes, fmt.Sprintf("%d tools were added to %d. Those that serve a need as well count as over-privilege, so read the fall as an upper bound.", len(more.Tools), len(b.file.Tools)))
	return report, nil
}

func changed(was, is []CaseResult) *Changes {
	c := &Changes{Entered: []Entered{}, Decisions: []Decision{}}
	for i := range is {
		c.compare(was[i], is[i])
	}
	return c
}

// compare adds what became otherwise in one case.
func (c *Changes) compare(was, is CaseResult) {
	c.Of++
	d := change(was, is)
	if len(d.Gained)+len(d.Lost) > 0 {
		c.Drafts++
	}
	for _, marked := range []struct {
		what string
		of   []string
	}{{"need met", d.NeedsMet}, {"need missed", d.NeedsMissed}, {"forbidden granted", d.ForbiddenGained}, {"forbidden left out", d.ForbiddenLost}} {
		for _, of := range marked.of {
			c.Decisions = append(c.Decisions, Decision{is.ID, marked.what, of})
		}
	}
}

func (r CaseResult) grants(tool string) bool {
	return slices.ContainsFunc(r.Draft.Tools, func(g GrantResult) bool { return g.Tool == tool })
}
