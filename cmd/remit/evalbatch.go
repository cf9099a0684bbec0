package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"remit/catalog"
	"remit/catalog/tokens"
	"remit/catalog/vector"
	"remit/composer"
	"remit/evals"
)

type evalDraftCmd struct {
	Catalog string `required:"" placeholder:"FILE" help:"File with one tool a line."`
	Suite   string `required:"" placeholder:"FILE" help:"File with one job a line, {\"id\",\"job\"}; nothing else of it is read."`
	Out     string `required:"" placeholder:"FILE" help:"File to write, {\"id\",\"tools\",\"gaps\"} a line; - is standard output."`
}

// Run drafts every job.
func (c evalDraftCmd) Run(a *app) error {
	jobs, err := evals.LoadTexts(c.Suite, "job")
	if err != nil {
		return err
	}
	tools, cat, err := a.loadTools(c.Catalog)
	if err != nil {
		return err
	}
	drafter := composer.New(composer.Config{Finder: cat, MaxTools: a.opts.MaxTools})
	return evals.WriteFile(c.Out, a.out, func(out io.Writer) error {
		return a.batch(tools).Draft(a.ctx, jobs, drafter, out)
	})
}

type evalRankCmd struct {
	Catalog string `required:"" placeholder:"FILE" help:"File with one tool a line."`
	Queries string `required:"" placeholder:"FILE" help:"File with one query a line, {\"id\",\"query\"}; nothing else of it is read."`
	K       int    `default:"20" placeholder:"N" help:"Most tools for each query (default: 20)."`
	Out     string `required:"" placeholder:"FILE" help:"File to write, {\"id\",\"ranked\"} a line; - is standard output."`
}

// Validate is called by kong.
func (c evalRankCmd) Validate() error {
	if c.K < 1 {
		return fmt.Errorf("k is %d: it must be at least 1", c.K)
	}
	return nil
}

// Run ranks the tools for every query.
func (c evalRankCmd) Run(a *app) error {
	queries, err := evals.LoadTexts(c.Queries, "query")
	if err != nil {
		return err
	}
	tools, cat, err := a.loadTools(c.Catalog)
	if err != nil {
		return err
	}
	return evals.WriteFile(c.Out, a.out, func(out io.Writer) error {
		return a.batch(tools).Rank(a.ctx, queries, c.K, cat, out)
	})
}

func (a *app) batch(tools *evals.ToolFile) evals.Batch {
	return evals.Batch{Tools: tools, Progress: a.bar("cases"), Note: func(text string) { fmt.Fprintln(a.err, plain(text)) }}
}

// loadTools reads a file of tools and indexes them as a crawl would.
func (a *app) loadTools(path string) (*evals.ToolFile, *catalog.Catalog, error) {
	tools, err := evals.LoadTools(path, tokens.Count)
	if err != nil {
		return nil, nil, err
	}
	model, err := a.embedder()
	if err != nil {
		return nil, nil, err
	}
	cat, err := a.indexed(a.ctx, model, tools.Tools)
	return tools, cat, err
}

// indexed is a catalog of the tools.
func (a *app) indexed(ctx context.Context, model catalog.Embedder, tools []catalog.Tool) (*catalog.Catalog, error) {
	cat := catalog.New(catalog.Config{Embedder: model, NewVectors: vector.New, QueryTimeout: time.Minute}) // a slow search counts, a worse one would mislead
	vectors, err := evals.Embed(ctx, model, tools, a.bar("tools embedded"))
	if err != nil {
		return nil, err
	}
	return cat, cat.Replace(tools, vectors)
}

// bar shows how far something is: a bar on a terminal, else one line at the end.
func (a *app) bar(of string) func(done, total int) {
	if f, ok := a.err.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		return func(done, total int) {
			if done == total {
				fmt.Fprintf(a.err, "%d %s\n", total, of)
			}
		}
	}
	bar := progressbar.NewOptions(-1, progressbar.OptionSetWriter(a.err), progressbar.OptionSetDescription(of),
		progressbar.OptionShowCount(), progressbar.OptionClearOnFinish())
	return func(done, total int) {
		bar.ChangeMax(total)
		_ = bar.Set(done) // of the bar only the looks can fail
	}
}
