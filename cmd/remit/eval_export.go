package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"remit/evals"
	"remit/persona"
	"remit/store"
)

type evalExportCmd struct {
	Persona []string `placeholder:"ID" help:"Export these personas (default: all)."`
	Out     string   `required:"" placeholder:"FILE" help:"Where the suite is written, one case a line; - is standard output."`
	Tools   string   `placeholder:"FILE" help:"Write the catalog as it is now too, one tool a line, to run the suite with anywhere."`
}

// Help is what remit eval export --help adds.
func (evalExportCmd) Help() string {
	return `What people approved becomes a suite of jobs: each tool of a persona's live revision is a need, and a tool that the composer
drafted and a person took out is forbidden. Run it with remit eval run FILE --catalog TOOLS: it shows whether a change of
the composer, the model or the catalog would have drafted these personas better or worse.`
}

// Run writes the suite.
func (c evalExportCmd) Run(a *app) error {
	return a.withStore(func(s *store.Store) error {
		all, err := s.Personas(a.ctx)
		if err != nil {
			return err
		}
		cases, err := c.cases(all)
		if err != nil {
			return err
		}
		header := evals.Header{Suite: "approved", Kind: evals.Compose, Description: "Personas as people approved them"}
		if err := evals.WriteFile(c.Out, a.out, func(out io.Writer) error {
			e := json.NewEncoder(out)
			e.SetEscapeHTML(false)
			err := e.Encode(header)
			for _, one := range cases {
				err = errors.Join(err, e.Encode(one))
			}
			return err
		}); err != nil {
			return err
		}
		if c.Out != "-" {
			fmt.Fprintf(a.out, "%d approved personas written to %s\n", len(cases), c.Out)
		}
		return c.writeTools(a, s)
	})
}

func (c evalExportCmd) cases(all []persona.Persona) ([]evals.ComposeCase, error) {
	for _, id := range c.Persona {
		if !slices.ContainsFunc(all, func(p persona.Persona) bool { return string(p.ID) == id }) {
			return nil, fmt.Errorf("there is no persona %q; remit persona list shows them", id)
		}
	}
	var cases []evals.ComposeCase
	for _, p := range all {
		live, ok := p.Live()
		if !ok || len(c.Persona) > 0 && !slices.Contains(c.Persona, string(p.ID)) {
			continue
		}
		if one, ok := evals.Exported(p, live); ok {
			cases = append(cases, one)
		}
	}
	if len(cases) == 0 {
		return nil, errors.New("no persona is approved yet: a reviewer approves them on the pages of remit serve")
	}
	return cases, nil
}

func (c evalExportCmd) writeTools(a *app, s *store.Store) error {
	if c.Tools == "" {
		return nil
	}
	tools, err := s.Tools(a.ctx)
	if err != nil {
		return err
	}
	return evals.WriteFile(c.Tools, a.out, func(out io.Writer) error {
		for _, t := range tools {
			line, err := evals.ToolLine(t)
			if err != nil {
				return fmt.Errorf("tool %s: %w", t.ID, err)
			}
			if _, err := out.Write(append(line, '\n')); err != nil {
				return err
			}
		}
		return nil
	})
}
