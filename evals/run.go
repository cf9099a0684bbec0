package evals

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"remit/catalog"
)

// Runner runs suites of every kind.
type Runner struct {
	Setup      Setup            // what the caller knows of it: model, composer, prompts, settings, seed, program, cases at a time
	Embedder   catalog.Embedder // nil means words only
	NewVectors func([]catalog.ID, [][]float32) (catalog.Vectors, error)
	NewDrafter func(*catalog.Catalog) Drafter
	Models     []Model                     // that compose suites are run with too
	Answers    *Answers                    // of the models; nil where there are none
	Count      func(definition []byte) int // tokens
	// Enforce runs one enforce case; nil where there is no gateway to run it against. It fills in all of the result.
	Enforce func(context.Context, RawCase) (CaseResult, error)

	Modes      []string // of retrieve suites; empty means all of [Modes]
	Limit      int      // cases of a suite that are run; 0 means all
	Search     bool     // compose suites also by the first ten results of one search
	Robustness bool     // compose suites also with poisoned descriptions and paraphrases
	Haystack   string   // file of further tools with which compose suites are run too; may be empty

	Journal  *Journal                            // of finished cases; may be nil
	Progress func(stage string, done, total int) // may be nil; called by one goroutine at a time

	progress sync.Mutex
}

// Model is a language model with the prompts that it is asked with.
type Model struct {
	Name    string // as the variant is called: "model:" and this
	Asked   string // what it is asked with, in words: model, temperature, limit
	Prompts string // digest of all prompts
	// NewDrafter drafts over a catalog with the model, which is what Answers.Of makes of it.
	NewDrafter func(*catalog.Catalog) Drafter
}

// Run runs the suites one after the other. Results are the same however many cases run at a time, except for times.
func (r *Runner) Run(ctx context.Context, suites []Suite) (Run, error) {
	run := Run{Format: Format}
	for _, s := range suites {
		reports, err := r.suite(ctx, s)
		if err != nil {
			return run, err
		}
		run.Reports = append(run.Reports, reports...)
	}
	run.Macro = macro(run.Reports)
	return run, nil
}

func (r *Runner) suite(ctx context.Context, s Suite) ([]Report, error) {
	switch s.Kind {
	case Enforce:
		return r.enforce(ctx, s)
	case Compose:
		if s.Catalog == "" {
			return nil, fmt.Errorf("%s names no catalog: give one with --catalog FILE", s.Path)
		}
		return r.compose(ctx, s)
	}
	if s.Catalog == "" {
		return nil, fmt.Errorf("%s names no catalog: give one with --catalog FILE", s.Path)
	}
	return r.retrieve(ctx, s)
}

func (r *Runner) enforce(ctx context.Context, s Suite) ([]Report, error) {
	if r.Enforce == nil {
		return nil, fmt.Errorf("%s: suites of kind %s cannot be run here", s.Path, Enforce)
	}
	report := r.begin(s, "plain", nil)
	var work []job
	for _, c := range limited(s.Raw, r.Limit) {
		work = append(work, job{c.ID, func(ctx context.Context) (CaseResult, error) {
			result, err := r.Enforce(ctx, c)
			if err != nil {
				err = s.at(c, err)
			}
			return result, err
		}})
	}
	err := r.finish(ctx, &report, work, true)
	return []Report{report}, err
}

func (r *Runner) retrieve(ctx context.Context, s Suite) ([]Report, error) {
	base, err := r.load(ctx, s.Catalog)
	if err != nil {
		return nil, err
	}
	servers := map[string]bool{}
	for _, t := range base.file.Tools {
		servers[t.Server()] = true
	}
	for i, c := range s.Retrieve {
		if err := c.checkGold(base.file, servers); err != nil {
			return nil, s.at(s.Raw[i], err)
		}
	}
	modes := r.Modes
	if len(modes) == 0 {
		modes = Modes
	}
	if r.Embedder == nil {
		modes = []string{"words"}
	}
	var reports []Report
	for _, mode := range modes {
		config := r.config(base)
		switch mode {
		case "words":
			config = catalog.Config{}
		case "meaning":
			config.MeaningWeight = 1
		}
		c := catalog.New(config)
		if err := c.Replace(base.file.Tools, base.vectors); err != nil {
			return nil, err
		}
		report := r.begin(s, mode, c)
		var work []job
		for _, q := range limited(s.Retrieve, r.Limit) {
			work = append(work, job{q.ID, func(ctx context.Context) (CaseResult, error) { return retrieve(ctx, q, base.file, c) }})
		}
		if err := r.finish(ctx, &report, work, true); err != nil {
			return nil, err
		}
		reports = append(reports, report)
	}
	return reports, nil
}

// begin makes the report of a suite in a variant.
func (r *Runner) begin(s Suite, variant string, c *catalog.Catalog) Report {
	report := Report{Suite: s.Suite, Kind: s.Kind, Variant: variant, Started: time.Now(), Setup: r.Setup}
	report.Setup.Suite = s.Digest
	if r.Limit > 0 && r.Limit < len(s.Raw) {
		report.Notes = append(report.Notes, fmt.Sprintf("Of %d cases of %s only the first %d were run.", len(s.Raw), s.Suite, r.Limit))
	}
	if c != nil {
		report.Setup.Catalog, report.Setup.CatalogTools, report.Setup.CatalogTokens = c.Digest(), len(c.Tools()), c.Tokens()
	}
	return report
}

// job is the work on one case.
type job struct {
	id  string
	run func(context.Context) (CaseResult, error)
}

// finish runs the cases, several at a time, and fills in the report. Without intervals the cases repeat one another.
func (r *Runner) finish(ctx context.Context, report *Report, jobs []job, intervals bool) (err error) {
	if report.Cases, err = r.cases(ctx, *report, jobs); err == nil {
		report.fill(intervals)
	}
	return err
}

// fill takes the metrics over the cases.
func (r *Report) fill(intervals bool) {
	r.Metrics = summarise(r.Kind, r.Cases, r.Setup.Seed, intervals)
	r.Tags = byTag(r.Kind, r.Cases, r.Setup.Seed, intervals)
	r.TookMS = milliseconds(time.Since(r.Started))
}

func (r *Runner) cases(ctx context.Context, report Report, jobs []job) ([]CaseResult, error) {
	results := make([]CaseResult, len(jobs))
	stage := report.Suite + ", " + report.Variant
	done := 0
	finished := func() {
		r.progress.Lock()
		defer r.progress.Unlock()
		if done++; r.Progress != nil {
			r.Progress(stage, done, len(jobs))
		}
	}
	key := journalKey(report)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(1, r.Setup.Parallel))
	for i, j := range jobs {
		if known, ok := r.Journal.get(key, j.id); ok {
			results[i] = known
			finished()
			continue
		}
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			result, err := j.run(ctx)
			if err == nil {
				err = r.Journal.put(key, j.id, result)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", stage, err)
			}
			results[i] = result
			finished()
			return nil
		})
	}
	return results, group.Wait()
}

func byTag(kind Kind, results []CaseResult, seed uint64, intervals bool) []TagResult {
	of := map[string][]CaseResult{}
	for _, r := range results {
		for _, tag := range r.Tags {
			of[tag] = append(of[tag], r)
		}
	}
	var out []TagResult
	for tag, cases := range of {
		out = append(out, TagResult{Tag: tag, Cases: len(cases), Metrics: summarise(kind, cases, seed, intervals)})
	}
	slices.SortFunc(out, func(a, b TagResult) int { return strings.Compare(a.Tag, b.Tag) })
	return out
}

// macro averages the retrieve reports of each variant over suites.
func macro(reports []Report) []Macro {
	var out []Macro
	for _, variant := range Modes {
		m := Macro{Kind: Retrieve, Variant: variant}
		sums := map[string]float64{}
		for _, r := range reports {
			if r.Kind != Retrieve || r.Variant != variant {
				continue
			}
			m.Suites = append(m.Suites, r.Suite)
			for _, metric := range r.Metrics {
				sums[metric.Name] += metric.Value
			}
		}
		if len(m.Suites) < 2 {
			continue
		}
		for _, d := range Definitions {
			if d.Kind == Retrieve {
				m.Metrics = append(m.Metrics, Metric{Name: d.Name, Value: sums[d.Name] / float64(len(m.Suites)), Cases: len(m.Suites)})
			}
		}
		out = append(out, m)
	}
	return out
}

func limited[T any](cases []T, limit int) []T {
	if limit > 0 {
		return cases[:min(limit, len(cases))]
	}
	return cases
}
