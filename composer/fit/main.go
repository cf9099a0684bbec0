// Command fit trains the composer's models on a suite of jobs, and says how good drafts are on jobs that a model was not
// trained on: by cross-validation over the suite, and on another suite that nothing is fitted to.
//
//	go run ./composer/fit --suite evals/suites/persona-train.jsonl --catalog catalog.jsonl --test evals/suites/persona-dev.jsonl --out composer/trained
//
// Pairs of a need and a tool learn from the words of the job that a label names; candidates learn from pairs that were
// judged by a model of other jobs, as they will be for a job that nobody has seen.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"remit/catalog"
	"remit/catalog/embed"
	"remit/catalog/tokens"
	"remit/catalog/vector"
	"remit/composer"
	"remit/composer/trees"
	"remit/evals"
)

const folds = 5

func main() {
	suite := flag.String("suite", "evals/suites/persona-train.jsonl", "jobs to train on")
	tools := flag.String("catalog", "", "the tools that the labels are of, one a line")
	test := flag.String("test", "", "jobs to test on, which nothing is fitted to")
	out := flag.String("out", "", "folder to write the models to; empty writes none")
	wordsOnly := flag.Bool("words", false, "train for a catalog without vectors")
	flag.Parse()
	if err := run(context.Background(), *suite, *tools, *test, *out, *wordsOnly); err != nil {
		fmt.Fprintln(os.Stderr, "fit:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, suite, tools, test, out string, wordsOnly bool) error {
	data, err := load(ctx, tools, wordsOnly)
	if err != nil {
		return err
	}
	train, err := data.read(ctx, suite)
	if err != nil {
		return err
	}
	balance, err := data.crossValidate(ctx, train)
	if err != nil {
		return err
	}
	models := data.fit(train)
	models.Balance, models.Encoder = balance, data.encoder
	if test != "" {
		held, err := data.read(ctx, test)
		if err != nil {
			return err
		}
		mean, err := data.mean(ctx, held, balance, []composer.Models{models})
		if err != nil {
			return err
		}
		show("test", len(held), mean)
	}
	if out == "" {
		return nil
	}
	raw, err := json.Marshal(models)
	if err != nil {
		return err
	}
	name := "meaning.json"
	if wordsOnly {
		name = "words.json"
	}
	return os.WriteFile(filepath.Join(out, name), raw, 0o644)
}

// data is the catalog that labels are of.
type data struct {
	file     *evals.ToolFile
	encoder  string // empty for words only
	composer *composer.Composer
}

func load(ctx context.Context, path string, wordsOnly bool) (*data, error) {
	file, err := evals.LoadTools(path, tokens.Count)
	if err != nil {
		return nil, err
	}
	model, config, vectors := "", catalog.Config{}, map[catalog.ID]catalog.Embedding(nil)
	if !wordsOnly {
		encoder, err := embed.New()
		if err != nil {
			return nil, err
		}
		if vectors, err = evals.Embed(ctx, encoder, file.Tools, nil); err != nil {
			return nil, err
		}
		model = encoder.Model()
		config = catalog.Config{Embedder: encoder, NewVectors: vector.New}
	}
	cat := catalog.New(config)
	return &data{file, model, composer.New(composer.Config{Finder: cat, Encoder: model})}, cat.Replace(file.Tools, vectors)
}

// job is a case with its labels by the catalog's ids.
type job struct {
	evals.ComposeCase
	study      *composer.Study
	need, fine map[catalog.ID]bool
	forbidden  map[catalog.ID]bool
}

func (d *data) read(ctx context.Context, path string) ([]*job, error) {
	suite, err := evals.LoadSuite(path)
	if err != nil {
		return nil, err
	}
	var jobs []*job
	for _, c := range suite.Compose {
		j := &job{ComposeCase: c, need: map[catalog.ID]bool{}, fine: map[catalog.ID]bool{}, forbidden: map[catalog.ID]bool{}}
		if j.study, err = d.composer.Study(ctx, c.Job); err != nil {
			return nil, fmt.Errorf("case %s: %w", c.ID, err)
		}
		for _, n := range c.Needs {
			d.mark(j.need, n.AnyOf)
			d.mark(j.fine, n.AnyOf)
		}
		d.mark(j.fine, c.May)
		d.mark(j.forbidden, c.Forbidden)
		jobs = append(jobs, j)
	}
	return jobs, nil
}

func (d *data) mark(set map[catalog.ID]bool, names []string) {
	for _, name := range names {
		if id, ok := d.file.ID(name); ok {
			set[id] = true
		}
	}
}

// pairs are a tool and a need each: right where a label's words overlap those of the need and it lists the tool. A tool that
// the job needs elsewhere says nothing.
func (j *job) pairs(d *data) []trees.Example {
	var out []trees.Example
	for _, p := range j.study.Pairs() {
		right := false
		for _, n := range j.Needs {
			start := strings.Index(j.Job, n.Words)
			if n.Words != "" && start < p.Words.End && p.Words.Start < start+len(n.Words) {
				right = right || slices.Contains(n.AnyOf, d.file.Name(p.Tool))
			}
		}
		switch {
		case right:
			out = append(out, trees.Example{Row: p.Row, Yes: true, Weight: 1})
		case j.fine[p.Tool]:
		case j.forbidden[p.Tool]:
			out = append(out, trees.Example{Row: p.Row, Weight: 2})
		default:
			out = append(out, trees.Example{Row: p.Row, Weight: 1})
		}
	}
	return out
}

// candidates are the tools of a job whose pairs a model of other jobs has judged.
func (j *job) candidates(pair *trees.Model, fine bool) []trees.Example {
	var out []trees.Example
	for _, c := range j.study.Candidates(pair) {
		e := trees.Example{Row: c.Row, Weight: 1, Yes: j.need[c.Tool]}
		switch {
		case fine:
			e.Yes = j.fine[c.Tool]
		case j.fine[c.Tool] && !e.Yes:
			e.Weight = 0.5 // whether an extra is needed is a matter of taste
		}
		if j.forbidden[c.Tool] {
			e.Weight = 3
		}
		out = append(out, e)
	}
	return out
}

// fit trains on jobs. Their candidates are judged by models of the other parts of the jobs.
func (d *data) fit(jobs []*job) composer.Models {
	pairNames, names := composer.Features()
	var all, need, fine []trees.Example
	for part := range folds {
		var others []trees.Example
		for i, j := range jobs {
			if i%folds != part {
				others = append(others, j.pairs(d)...)
			}
		}
		pair := trees.Train(pairNames, others, trees.Config{})
		for i, j := range jobs {
			if i%folds == part {
				all = append(all, j.pairs(d)...)
				need, fine = append(need, j.candidates(pair, false)...), append(fine, j.candidates(pair, true)...)
			}
		}
	}
	return composer.Models{Pair: trees.Train(pairNames, all, trees.Config{}), Need: trees.Train(names, need, trees.Config{}), Fine: trees.Train(names, fine, trees.Config{})}
}

// crossValidate finds the balance that is best for jobs that the models were not trained on, and reports how good it is.
func (d *data) crossValidate(ctx context.Context, jobs []*job) (composer.Balance, error) {
	shuffled := slices.Clone(jobs)
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(shuffled), func(i, k int) { shuffled[i], shuffled[k] = shuffled[k], shuffled[i] })
	models := make([]composer.Models, folds)
	for part := range folds {
		var others []*job
		for i, j := range shuffled {
			if i%folds != part {
				others = append(others, j)
			}
		}
		models[part] = d.fit(others)
	}
	// Few numbers are searched for, and coarsely, so that they do not fit the noise of some hundred jobs.
	balance := composer.Balance{FineShare: 0.3, LeastFine: 0.25, LeastSafe: 0.3, LeftElsewhere: 0.3, LeftAlike: 0.8, LeftChange: 0.4}
	best, most := balance, -1.0
	for _, balance.LeastValue = range []float64{0.18, 0.22, 0.26} {
		mean, err := d.mean(ctx, shuffled, balance, models)
		if err != nil {
			return balance, err
		}
		show(fmt.Sprintf("cross-validated, least value %.2f", balance.LeastValue), len(jobs), mean)
		// What is within a hundredth is equal: of these, the one that leaves out least.
		if u := math.Round(100*worth(mean)) + mean["need_recall"]; u > most {
			best, most = balance, u
		}
	}
	balance = best
	mean, err := d.mean(ctx, shuffled, balance, models)
	if err != nil {
		return balance, err
	}
	fmt.Printf("balance %+v\n", balance)
	show("cross-validated", len(jobs), mean)
	for part := range folds { // how much the figures vary with the jobs
		var these []*job
		for i := part; i < len(shuffled); i += folds {
			these = append(these, shuffled[i])
		}
		mean, err := d.mean(ctx, these, balance, models[part:part+1])
		if err != nil {
			return balance, err
		}
		show(fmt.Sprintf("  part %d", part+1), len(these), mean)
	}
	return balance, nil
}

// worth is what a balance is chosen by: that the job can be done counts most; what is granted without need costs half of
// that, since a reviewer sees it and takes it out more easily than he finds what is missing.
func worth(mean map[string]float64) float64 {
	return mean["need_recall"] - 0.5*mean["over_privilege"] - 0.2*mean["forbidden"]
}

// mean is the metrics over jobs; the i-th job is drafted with the i-th of the models, in turns.
func (d *data) mean(ctx context.Context, jobs []*job, balance composer.Balance, models []composer.Models) (map[string]float64, error) {
	mean, cases := map[string]float64{}, map[string]float64{}
	for i, j := range jobs {
		m := models[i%len(models)]
		m.Balance = balance
		draft, err := j.study.Draft(ctx, m)
		if err != nil {
			return nil, err
		}
		for metric, v := range j.Score(draft, d.file) {
			mean[metric] += v
			cases[metric]++
		}
	}
	for metric := range mean {
		mean[metric] /= cases[metric]
	}
	return mean, nil
}

func show(name string, jobs int, mean map[string]float64) {
	fmt.Printf("%s, %d jobs:", name, jobs)
	for _, metric := range slices.Sorted(maps.Keys(mean)) {
		fmt.Printf("  %s %.3f", metric, mean[metric])
	}
	fmt.Println()
}
