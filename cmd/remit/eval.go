package main

import (
	"errors"
	"fmt"

	"remit/catalog"
	"remit/catalog/vector"
	"remit/composer"
	"remit/evals"
)

type evalCmd struct {
	Retrieve evalRetrieveCmd `cmd:"" help:"Measure the search on suites of queries with known answers."`
	Compose  evalComposeCmd  `cmd:"" help:"Measure drafts on a suite of jobs with known tools."`
	Capture  evalCaptureCmd  `cmd:"" help:"List real servers from their packages and write a catalog of their tools."`
	Digests  evalDigestsCmd  `cmd:"" help:"Print the digest of every tool of a catalog file, to compare a capture with."`
	Draft    evalDraftCmd    `cmd:"" help:"Draft the jobs of a file, for a scorer outside of Remit."`
	Rank     evalRankCmd     `cmd:"" help:"Rank tools for the queries of a file, for a scorer outside of Remit."`
}

var errNeedsModel = errors.New("this measures meaning too and cannot run with embeddings off")

type evalRetrieveCmd struct {
	Dirs  []string `arg:"" name:"dir" help:"Folders with tools.jsonl and queries.jsonl."`
	Limit int      `placeholder:"N" help:"Run this many queries of each suite (default: all)."`
}

// Run prints one table for each way of searching.
func (c evalRetrieveCmd) Run(a *app) error {
	model, err := a.modelNeeded()
	if err != nil {
		return err
	}
	run := evals.RetrieveRun{Dirs: c.Dirs, Embedder: model, NewVectors: vector.New, Limit: c.Limit,
		Progress: func(set, mode string) { fmt.Fprintf(a.err, "%s, %s\n", set, mode) }}
	reports, err := run.Run(a.ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(a.out, evals.RetrieveTables(reports))
	return err
}

// modelNeeded returns a model or says that there has to be one.
func (a *app) modelNeeded() (catalog.Embedder, error) {
	model, err := a.embedder()
	if err == nil && model == nil {
		err = errNeedsModel
	}
	return model, err
}

type evalComposeCmd struct {
	Suite   string `arg:"" help:"File with one job a line."`
	Catalog string `required:"" placeholder:"FILE" help:"File with one tool a line."`
}

// Run prints a table: the composer against a plain search for the whole job.
func (c evalComposeCmd) Run(a *app) error {
	suite, err := evals.LoadCompose(c.Suite)
	if err != nil {
		return err
	}
	_, cat, err := a.loadTools(c.Catalog)
	if err != nil {
		return err
	}
	var reports evals.ComposeReports
	for _, selector := range []struct {
		name string
		evals.Drafter
	}{{"composer", composer.New(composer.Config{Finder: cat, MaxTools: a.opts.MaxTools})}, {"search, 10 tools", evals.SearchBaseline{Searcher: cat, K: 10}}} {
		report, err := evals.RunCompose(a.ctx, selector.name, suite, selector)
		if err != nil {
			return err
		}
		reports = append(reports, report)
	}
	_, err = fmt.Fprint(a.out, reports)
	return err
}
