package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"remit/catalog/crawl"
)

type crawlCmd struct {
	Server []string `arg:"" optional:"" help:"Only these servers; with --server URL before the command (default: all)."`
}

// Run lists every upstream once. It may run while remit serve does; that one sees the changes with its own next crawl.
func (c crawlCmd) Run(a *app) (err error) {
	if a.remote != nil {
		return c.remote(a)
	}
	if len(c.Server) > 0 {
		return errors.New("without --server URL before the command all servers are listed: name none")
	}
	log := a.logFrom(slog.LevelError) // the outcome of every server is printed anyway
	configs, err := a.upstreams(log)
	if err != nil {
		return err
	}
	s, err := a.assemble(configs, log)
	if err != nil {
		return err
	}
	var report crawl.Report
	if err = s.load(a.ctx); err == nil {
		report, err = s.crawler.Crawl(a.ctx, a.progress())
	}
	if err := errors.Join(err, s.close()); err != nil {
		return err
	}
	for server, tools := range report.Rejected {
		for _, why := range tools {
			fmt.Fprintf(a.out, "%s: left out: %s\n", server, plain(why))
		}
	}
	listed := report.Servers - len(report.Failed)
	fmt.Fprintf(a.out, "%d tools of %d servers: %d new, %d changed, %d gone, %d texts embedded, in %s\n", report.Tools, listed,
		report.Added, report.Changed, report.Gone, report.Embedded, report.Took.Round(10*time.Millisecond))
	if listed == 0 {
		return errors.New("no server could be listed: the lines above say why")
	}
	return nil
}

// progress shows a bar on a terminal, and a line for each server otherwise.
func (a *app) progress() func(crawl.Event) {
	line := func(e crawl.Event) {
		switch {
		case e.Phase != "list":
		case e.Err != "":
			fmt.Fprintf(a.out, "%s is unwell: %s\n", e.Server, plain(e.Err))
		default:
			fmt.Fprintf(a.out, "%s: %d tools\n", e.Server, e.Tools)
		}
	}
	if f, ok := a.err.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		return line
	}
	var bar *progressbar.ProgressBar
	phase := ""
	return func(e crawl.Event) {
		if e.Phase != phase {
			phase = e.Phase
			bar = progressbar.NewOptions(e.Total, progressbar.OptionSetWriter(a.err), progressbar.OptionSetDescription(phase),
				progressbar.OptionShowCount(), progressbar.OptionClearOnFinish())
		}
		_ = bar.Clear() // of the bar only the looks can fail
		line(e)
		_ = bar.Set(e.Done)
	}
}
