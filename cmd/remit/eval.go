package main

import (
	"fmt"
	"io"

	"remit/evals"
)

type evalCmd struct {
	Run     evalRunCmd     `cmd:"" help:"Run suites and hold the results against minimums."`
	Compare evalCompareCmd `cmd:"" help:"Show what became otherwise from one run to another, case by case, with a significance test."`
	Schema  evalSchemaCmd  `cmd:"" nosettings:"" help:"Print the JSON Schema of suite files."`
	Draft   evalDraftCmd   `cmd:"" help:"Draft the jobs of a file, for a scorer outside of Remit."`
	Rank    evalRankCmd    `cmd:"" help:"Rank tools for the queries of a file, for a scorer outside of Remit."`
}

type evalSchemaCmd struct{}

// Run prints the schema.
func (evalSchemaCmd) Run(a *app) error {
	text, err := evals.Schema()
	if err != nil {
		return err
	}
	_, err = a.out.Write(text)
	return err
}

type evalCompareCmd struct {
	A    string `arg:"" help:"JSON report of the earlier run."`
	B    string `arg:"" help:"JSON report of the later run."`
	Seed uint64 `default:"1" placeholder:"N" help:"Seed of the permutation test (default: 1)."`
	JSON bool   `help:"Print JSON."`
}

// Run compares two reports.
func (c evalCompareCmd) Run(a *app) error {
	before, err := evals.LoadRun(c.A)
	if err != nil {
		return err
	}
	after, err := evals.LoadRun(c.B)
	if err != nil {
		return err
	}
	found := evals.CompareRuns(before, after, c.Seed)
	if len(found) == 0 {
		return fmt.Errorf("%s and %s have no suite in common", c.A, c.B)
	}
	if c.JSON {
		return printJSON(a.out, found)
	}
	for _, f := range found {
		if err := printTables(a.out, f.Tables()); err != nil {
			return err
		}
	}
	return nil
}

// printTables prints tables with an empty line after each.
func printTables(out io.Writer, tables []evals.Table) error {
	for _, t := range tables {
		fmt.Fprintln(out, plain(t.Title))
		if len(t.Rows) > 0 {
			if err := table(out, t.Head, t.Rows); err != nil {
				return err
			}
		}
		for _, n := range t.Notes {
			fmt.Fprintln(out, plain(n))
		}
		if _, err := fmt.Fprintln(out); err != nil {
			return err
		}
	}
	return nil
}

func writeJSON(path string, stdout io.Writer, value any) error {
	return evals.WriteFile(path, stdout, func(out io.Writer) error { return printJSON(out, value) })
}
