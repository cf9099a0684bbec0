package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"slices"

	"remit/catalog"
	"remit/catalog/tokens"
	"remit/catalog/vector"
	"remit/composer"
	"remit/evals"
	"remit/evals/page"
	"remit/evals/world"
	"remit/internal/config"
	"remit/prompts"
)

type evalRunCmd struct {
	Suites     []string           `arg:"" name:"suite" help:"Suite files (YAML or JSONL), or folders with tools.jsonl and queries.jsonl."`
	Catalog    string             `placeholder:"FILE" help:"File with one tool a line, for the suites that name none (default: that of the suite)."`
	Baseline   string             `placeholder:"FILE" help:"JSON of an earlier run: print what became otherwise."`
	Min        map[string]float64 `placeholder:"METRIC=VALUE" help:"Least value, such as need_recall=0.7 or macro_ndcg_at_10=0.7; exit with 3 when a suite misses it."`
	Max        map[string]float64 `placeholder:"METRIC=VALUE" help:"Greatest value, such as forbidden=0.1; exit with 3 when a suite misses it."`
	JSON       string             `placeholder:"FILE" help:"Write the report as JSON; - is standard output."`
	HTML       string             `name:"html" placeholder:"FILE" help:"Write the report as one HTML file with plots, which needs nothing else."`
	JUnit      string             `name:"junit" placeholder:"FILE" help:"Write the report as JUnit XML."`
	Save       bool               `default:"true" negatable:"" help:"Keep the run in the data folder, if there is one (default: true)."`
	Parallel   int                `placeholder:"N" help:"Cases at a time (default: the number of processors)."`
	Resume     bool               `help:"Go on with a run that was stopped: finished cases are in the file named by --json with .partial behind it."`
	Seed       uint64             `default:"1" placeholder:"N" help:"Seed of the intervals and of what is poisoned (default: 1)."`
	Modes      []string           `enum:"hybrid,words,meaning" default:"hybrid,words,meaning" placeholder:"MODE" help:"Ways of searching of retrieve suites: hybrid, words, meaning (default: all)."`
	Limit      int                `placeholder:"N" help:"Run this many cases of each suite (default: all)."`
	Search10   bool               `name:"search10" help:"Run compose suites by the first ten results of one search too, as is common practice."`
	Robustness bool               `help:"Run compose suites with poisoned descriptions and paraphrases too."`
	Models     []string           `name:"model" sep:"none" placeholder:"NAME" help:"Run compose suites with this model of model.url too; may be given several times."`
	Prompts    []string           `sep:"none" placeholder:"DIR" help:"Ask each model with the prompts of this folder too, which has files like those of prompts/compose; may be given several times."`
	Answers    string             `placeholder:"FILE" help:"Record what the models answer in this file, and take from it what is there."`
	Offline    bool               `help:"Ask no endpoint: every answer has to be in the file of --answers."`
	Haystack   string             `placeholder:"FILE" help:"Run compose suites with the tools of this file added to the catalog too."`
}

// Validate is called by kong.
func (c evalRunCmd) Validate() error {
	if _, err := evals.Limits(c.Min, c.Max); err != nil {
		return err
	}
	switch {
	case c.Resume && (c.JSON == "" || c.JSON == "-"):
		return errors.New("--resume needs --json FILE: the finished cases are kept beside it")
	case c.Offline && c.Answers == "":
		return errors.New("--offline needs --answers FILE: the recorded answers are taken from there")
	case len(c.Models) == 0 && (c.Answers != "" || len(c.Prompts) > 0):
		return errors.New("--answers and --prompts are for models: name one with --model NAME")
	case c.Parallel < 0:
		return fmt.Errorf("parallel is %d: it must be at least 1", c.Parallel)
	case c.Limit < 0:
		return fmt.Errorf("limit is %d: it must be at least 1", c.Limit)
	}
	return nil
}

// Run runs the suites, writes the reports, and fails with [evals.ErrMissed] when a limit is missed.
func (c evalRunCmd) Run(a *app) error {
	suites, err := c.load()
	if err != nil {
		return err
	}
	var before evals.Run
	if c.Baseline != "" {
		if before, err = evals.LoadRun(c.Baseline); err != nil {
			return err
		}
	}
	run, err := c.run(a, suites)
	if err != nil {
		return err
	}
	if c.HTML != "" {
		if err := evals.WriteFile(c.HTML, a.out, func(out io.Writer) error { return page.Write(out, run) }); err != nil {
			return err
		}
	}
	if err := c.print(a, run, before); err != nil {
		return err
	}
	if c.Save {
		if err := a.save(run); err != nil {
			return err
		}
	}
	return c.hold(a, run)
}

// load reads every suite before any is run, so that a mistake in the last one is seen at once.
func (c evalRunCmd) load() ([]evals.Suite, error) {
	var suites []evals.Suite
	for _, path := range c.Suites {
		s, err := evals.LoadSuite(path)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(suites, func(o evals.Suite) bool { return o.Suite == s.Suite }) {
			return nil, fmt.Errorf("%s: there is a suite %q already; name it otherwise in its header", path, s.Suite)
		}
		if c.Catalog != "" && s.Kind != evals.Enforce {
			s.Catalog = c.Catalog
		}
		suites = append(suites, s)
	}
	return suites, nil
}

func (c evalRunCmd) run(a *app, suites []evals.Suite) (run evals.Run, err error) {
	runner, err := c.runner(a)
	if err != nil {
		return run, err
	}
	if err := c.models(a, runner); err != nil {
		return run, err
	}
	defer func() { err = errors.Join(err, runner.Answers.Close()) }()
	if c.JSON == "" || c.JSON == "-" {
		return runner.Run(a.ctx, suites)
	}
	if runner.Journal, err = evals.OpenJournal(c.JSON+".partial", c.Resume); err != nil {
		return run, err
	}
	if run, err = runner.Run(a.ctx, suites); err != nil {
		return run, errors.Join(fmt.Errorf("%w\nthe finished cases are kept: the same command with --resume goes on", err), runner.Journal.Close())
	}
	if err = writeJSON(c.JSON, a.out, run); err != nil {
		return run, errors.Join(err, runner.Journal.Close())
	}
	return run, runner.Journal.Remove()
}

func (c evalRunCmd) runner(a *app) (*evals.Runner, error) {
	model, err := a.embedder()
	if err != nil {
		return nil, err
	}
	r := &evals.Runner{Embedder: model, NewVectors: vector.New, Count: tokens.Count, Modes: c.Modes, Limit: c.Limit, Search: c.Search10,
		Robustness: c.Robustness, Haystack: c.Haystack, Progress: a.stages(), Enforce: evals.EnforceWith(world.Play),
		NewDrafter: func(cat *catalog.Catalog) evals.Drafter {
			return composer.New(composer.Config{Finder: cat, MaxTools: a.opts.MaxTools})
		}}
	settings := map[string]string{"max-tools": fmt.Sprint(a.opts.MaxTools), "embeddings-url": a.opts.Embeddings.URL, "embeddings-model": a.opts.Embeddings.Model}
	raw, err := json.Marshal(settings) // sorted by name
	if err != nil {
		return nil, err
	}
	r.Setup = evals.Setup{Composer: composer.Version, Prompts: prompts.Digest(), Configuration: fmt.Sprintf("sha256:%x", sha256.Sum256(raw)),
		Settings: settings, Seed: c.Seed, Remit: version(), Parallel: c.Parallel}
	if model != nil {
		r.Setup.Model = model.Model()
	}
	if c.Parallel == 0 {
		r.Setup.Parallel = runtime.GOMAXPROCS(0)
	}
	return r, nil
}

// models adds the language models, each with the prompts in the binary and those of every folder.
func (c evalRunCmd) models(a *app, r *evals.Runner) (err error) {
	if len(c.Models) == 0 {
		return nil
	}
	m := a.opts.Model
	switch {
	case c.Offline:
		m.URL, m.Key = "http://offline.invalid/v1", "" // no answer depends on them
	case m.URL == "":
		return errors.New("--model needs the endpoint that has the model: set model.url, or take recorded answers with --answers FILE --offline")
	}
	sets := map[string]prompts.Set{"": {}}
	for _, dir := range c.Prompts {
		if sets[dir], err = prompts.ReadSet(dir); err != nil {
			return err
		}
	}
	if r.Answers, err = evals.NewAnswers(c.Answers, c.Offline); err != nil {
		return err
	}
	for _, name := range c.Models {
		m.Name, m.Needs.Name, m.Choose.Name, m.Critique.Name = name, "", "", ""
		asked, err := chat(m)
		if err != nil {
			return err
		}
		for _, dir := range append([]string{""}, c.Prompts...) {
			model := evals.Model{Name: name, Asked: askedWith(m), Prompts: sets[dir].Digest(), NewDrafter: func(cat *catalog.Catalog) evals.Drafter {
				return composer.New(composer.Config{Finder: cat, MaxTools: a.opts.MaxTools, Model: r.Answers.Of(asked), ModelTime: a.opts.Model.Wait, Prompts: sets[dir]})
			}}
			if dir != "" {
				model.Name += " with " + filepath.Clean(dir)
			}
			r.Models = append(r.Models, model)
		}
	}
	return nil
}

// askedWith says in words what of the settings can change an answer, or whether it comes in time.
func askedWith(m config.Model) string {
	text := fmt.Sprintf("%s, temperature %v, at most %d tokens, %s", m.Name, m.Temperature, m.MaxTokens, m.Wait)
	for _, t := range []struct {
		task string
		config.ModelTask
	}{{"needs", m.Needs}, {"choose", m.Choose}, {"critique", m.Critique}} {
		if t.Temperature != "" {
			text += fmt.Sprintf("; %s: temperature %s", t.task, t.Temperature)
		}
		if t.MaxTokens != 0 {
			text += fmt.Sprintf("; %s: at most %d tokens", t.task, t.MaxTokens)
		}
	}
	return text
}

// print shows the run on standard output, or its JSON when that was asked for there.
func (c evalRunCmd) print(a *app, run, before evals.Run) error {
	if c.JSON == "-" {
		return printJSON(a.out, run)
	}
	if err := printTables(a.out, run.Tables()); err != nil {
		return err
	}
	if c.Baseline == "" {
		return nil
	}
	found := evals.CompareRuns(before, run, c.Seed)
	if len(found) == 0 {
		fmt.Fprintf(a.err, "%s has no suite of this run\n", plain(c.Baseline))
	}
	for _, f := range found {
		if err := printTables(a.out, f.Tables()); err != nil {
			return err
		}
	}
	return nil
}

func (c evalRunCmd) hold(a *app, run evals.Run) error {
	limits, err := evals.Limits(c.Min, c.Max)
	if err != nil {
		return err
	}
	outcomes, err := run.Hold(limits)
	if err != nil {
		return err
	}
	if c.JUnit != "" {
		if err := evals.WriteFile(c.JUnit, a.out, func(out io.Writer) error { return run.WriteJUnit(out, outcomes) }); err != nil {
			return err
		}
	}
	for _, o := range outcomes {
		if o.Missed() {
			err = errors.Join(err, fmt.Errorf("%w: %s", evals.ErrMissed, o))
		}
	}
	return err
}

// stages shows the progress of one stage after the other.
func (a *app) stages() func(stage string, done, total int) {
	var of string
	var show func(done, total int)
	return func(stage string, done, total int) {
		if stage != of {
			of, show = stage, a.bar(plain(stage))
		}
		show(done, total)
	}
}
