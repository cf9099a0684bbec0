package main

import (
	"fmt"

	"remit/persona"
	"remit/store"
	"remit/web/api"
)

type personaDiffCmd struct {
	ID   string `arg:"" name:"persona" help:"The persona's id."`
	From int    `arg:"" name:"a" help:"The revision to compare from."`
	To   int    `arg:"" name:"b" help:"The revision to compare to."`
}

// Run says in a reviewer's words what the second revision changes.
func (c personaDiffCmd) Run(a *app) error {
	if a.remote != nil {
		return c.remote(a)
	}
	return a.withStore(func(db *store.Store) error {
		p, err := db.Persona(a.ctx, persona.ID(c.ID))
		if err != nil {
			return explained(c.ID, err)
		}
		from, known := p.Revision(c.From)
		to, also := p.Revision(c.To)
		if !known || !also {
			return fmt.Errorf("persona %s has the revisions 1 to %d", c.ID, len(p.Revisions))
		}
		a.revisions(string(p.ID), p.Title, from.State, to.State, api.DifferenceOf(from, to))
		return nil
	})
}

func (a *app) revisions(id, title string, from, to persona.State, d api.Difference) {
	fmt.Fprintf(a.out, "%s: %s, from revision %d (%s) to %d (%s)\n", id, plain(title), d.From, from, d.To, to)
	a.difference(d)
}

func (a *app) difference(d api.Difference) {
	say := func(format string, args ...any) { fmt.Fprintln(a.out, plain(fmt.Sprintf(format, args...))) }
	if !d.SameJob {
		say("the job's text differs")
	}
	if len(d.Changes) == 0 {
		say("the same tools with the same definitions and rules")
	}
	for _, c := range d.Changes {
		if c.Kind == "changed" {
			say("changed %s", c.Tool)
		} else {
			say("%s %s (%s)", c.Kind, c.Tool, c.Effect)
		}
		for _, w := range c.Words {
			say("  %s", w)
		}
	}
}
