package main

import (
	"fmt"
	"slices"

	"remit/persona"
	"remit/store"
)

type personaDiffCmd struct {
	ID   string `arg:"" name:"persona" help:"The persona's id."`
	From int    `arg:"" name:"a" help:"The revision to compare from."`
	To   int    `arg:"" name:"b" help:"The revision to compare to."`
}

// Run says in a reviewer's words what the second revision changes.
func (c personaDiffCmd) Run(a *app) error {
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
		fmt.Fprintf(a.out, "%s: %s, from revision %d (%s) to %d (%s)\n", p.ID, plain(p.Title), from.Number, from.State, to.Number, to.State)
		a.difference(persona.Compare(from, to))
		return nil
	})
}

func (a *app) difference(d persona.Difference) {
	say := func(format string, args ...any) { fmt.Fprintln(a.out, plain(fmt.Sprintf(format, args...))) }
	if !d.SameJob {
		say("the job's text differs")
	}
	if d.None() {
		say("the same tools with the same definitions and rules")
	}
	for _, g := range d.Added {
		say("added %s (%s)", g.Tool, g.Effect)
		for _, w := range g.Policy.Words() {
			say("  rule: %s", w)
		}
	}
	for _, g := range d.Removed {
		say("removed %s (%s)", g.Tool, g.Effect)
	}
	for _, c := range d.Changed {
		say("changed %s", c.Is.Tool)
		for _, w := range c.Definition {
			say("  %s: %s", w.Severity, w.Text)
		}
		for _, w := range lacking(c.Was.Policy.Words(), c.Is.Policy.Words()) {
			say("  rule no longer: %s", w)
		}
		for _, w := range lacking(c.Is.Policy.Words(), c.Was.Policy.Words()) {
			say("  rule now: %s", w)
		}
	}
}

// lacking returns which of the words others do not have.
func lacking(words, others []string) []string {
	return slices.DeleteFunc(slices.Clone(words), func(w string) bool { return slices.Contains(others, w) })
}
