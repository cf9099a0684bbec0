package main

import (
	"fmt"
	"os"
	"path/filepath"

	"remit/evals"
	"remit/store"
)

type evalListCmd struct {
	N int `short:"n" default:"30" placeholder:"N" help:"The newest runs (default: 30)."`
}

// Run lists the runs that are kept, newest first, a line for each suite and variant.
func (c evalListCmd) Run(a *app) error {
	return a.withStore(func(s *store.Store) error {
		runs, err := s.Runs(a.ctx, max(1, c.N))
		if err != nil {
			return err
		}
		var rows [][]string
		for _, run := range runs {
			for _, r := range run.Reports {
				d := evals.Headline(r.Kind)
				value := "-"
				if m, ok := r.Metric(d.Name); ok {
					value = fmt.Sprintf("%.3f", m.Value)
					if in := m.Interval; in != nil {
						value += fmt.Sprintf(" (%.3f–%.3f)", in.Low, in.High)
					}
				}
				rows = append(rows, []string{run.ID, moment(run.At), r.Suite, r.Variant, d.Title, value, short(r.Setup.Catalog), r.Setup.Remit})
			}
		}
		return table(a.out, []string{"RUN", "SAVED", "SUITE", "VARIANT", "MEASURE", "VALUE", "CATALOG", "REMIT"}, rows)
	})
}

// short is a digest as people compare it.
func short(digest string) string {
	if len(digest) < 19 {
		return orDash(digest)
	}
	return digest[7:19]
}

// save keeps the run where Remit keeps everything, if there is such a place yet.
func (a *app) save(run evals.Run) error {
	if _, err := os.Stat(filepath.Join(a.opts.Data, "remit.db")); err != nil && a.opts.Database == "" {
		return nil // nothing was set up here: a run leaves nothing behind but its files
	}
	return a.withStore(func(s *store.Store) error {
		id, err := s.SaveRun(a.ctx, run)
		if err != nil {
			return fmt.Errorf("the run could not be kept: %w; --no-save leaves that out", err)
		}
		fmt.Fprintf(a.err, "kept as %s: remit eval list shows it, and so does the page Evaluations of remit serve\n", id)
		return nil
	})
}
