package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"remit/catalog"
	"remit/identity"
	"remit/persona"
	"remit/persona/usage"
	"remit/store"
)

type personaUnusedCmd struct {
	ID      string   `arg:"" name:"persona" help:"The persona's id."`
	Days    int      `default:"30" placeholder:"N" help:"How many days to look back, 1 to 3650 (default: 30)."`
	Narrow  bool     `xor:"move" help:"Take the tools that the proposal names away at once, without review, since nothing is added."`
	Propose bool     `xor:"move" help:"Make a draft without them, to be edited on its page, submitted and reviewed."`
	Keep    []string `placeholder:"SERVER/TOOL" help:"Tools that stay although nobody called them, with --narrow or --propose."`
	JSON    bool     `help:"Print JSON."`
}

// Run compares what the live revision grants with what was called, and changes what it is asked to.
func (c personaUnusedCmd) Run(a *app) error {
	switch {
	case c.Days < 1 || c.Days > 3650:
		return fmt.Errorf("--days is 1 to 3650, not %d", c.Days)
	case len(c.Keep) > 0 && !c.Narrow && !c.Propose:
		return errors.New("--keep says what --narrow or --propose leaves; give one of them")
	}
	if a.remote != nil {
		return c.remote(a)
	}
	return a.registryOn(func(s *store.Store, r *persona.Registry) error {
		u, err := usage.FindUnused(a.ctx, s, persona.ID(c.ID), time.Duration(c.Days)*24*time.Hour, time.Now().UTC())
		if err != nil {
			return fmt.Errorf("persona %q: %w; remit persona list shows them", c.ID, err)
		}
		if c.JSON {
			err = printJSON(a.out, u)
		} else {
			err = a.showUnused(u, c.Days)
		}
		if err != nil || !c.Narrow && !c.Propose {
			return err
		}
		return c.change(a, r, u)
	})
}

// change takes away what the proposal names but for what is kept.
func (c personaUnusedCmd) change(a *app, r *persona.Registry, u usage.Unused) error {
	remove := u.Drop
	for _, id := range c.Keep {
		if !slices.Contains(u.Drop, catalog.ID(id)) {
			return fmt.Errorf("--keep %s: the proposal does not take it away; nothing was changed", id)
		}
		remove = slices.DeleteFunc(slices.Clone(remove), func(t catalog.ID) bool { return string(t) == id })
	}
	if len(remove) == 0 {
		return errors.New("there is nothing to take away; nothing was changed")
	}
	names := make([]string, len(remove))
	for i, id := range remove {
		names[i] = plain(string(id))
	}
	if c.Narrow {
		if err := r.NarrowUnused(a.ctx, identity.Operator(), u.Persona, remove, u.Evidence()); err != nil {
			return explained(c.ID, err)
		}
		_, err := fmt.Fprintf(a.err, "Persona %s is live without %s from the next request on.\n", c.ID, strings.Join(names, ", "))
		return err
	}
	if err := r.DraftWithout(a.ctx, identity.Operator(), u.Persona, remove, u.Evidence()); err != nil {
		return explained(c.ID, err)
	}
	_, err := fmt.Fprintf(a.err, "Persona %s has a draft without %s; an author submits it on its page, and another person approves it.\n", c.ID, strings.Join(names, ", "))
	return err
}

func (a *app) showUnused(u usage.Unused, days int) error {
	fmt.Fprintf(a.out, "%s, revision %d, live since %s\n", u.Persona, u.Revision, moment(u.LiveSince))
	fmt.Fprintf(a.out, "window: %s to %s", moment(u.From), moment(u.Until))
	if u.Short {
		fmt.Fprintf(a.out, ", which is shorter than the %d days asked for: none of its tools was granted before, or the record was removed", days)
	}
	fmt.Fprintf(a.out, "\n%d calls were forwarded\n\n", u.Calls)
	idle := []string{"TOOL", "EFFECT", "GRANTED SINCE", "WORDS OF THE JOB"}
	if err := section(a, "never called", idle, idleRows(u.Never)); err != nil {
		return err
	}
	if len(u.TooNew) > 0 {
		if err := section(a, "granted, or recorded, too short to say", idle, idleRows(u.TooNew)); err != nil {
			return err
		}
	}
	var rows [][]string
	for _, t := range u.Called {
		rows = append(rows, []string{string(t.ID), string(t.Effect), fmt.Sprint(t.Count), moment(t.Last)})
	}
	if err := section(a, "called", []string{"TOOL", "EFFECT", "CALLS", "LAST"}, rows); err != nil {
		return err
	}
	if err := section(a, "tried and refused", []string{"TOOL", "GRANTED", "REFUSED BY", "CALLS", "LAST"}, refusedRows(u.Refused)); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.out, "proposal: %s\n", plain(u.Proposal))
	return err
}

func idleRows(all []usage.Idle) (rows [][]string) {
	for _, t := range all {
		rows = append(rows, []string{string(t.ID), string(t.Effect), moment(t.Since), asked(t.Tool)})
	}
	return rows
}

// maxRefusedRows bounds what an agent that makes up names can put on a terminal.
const maxRefusedRows = 50

func refusedRows(all []usage.Refused) (rows [][]string) {
	for i, r := range all {
		if i == maxRefusedRows {
			return append(rows, []string{fmt.Sprintf("and %d more; --json prints all", len(all)-i)})
		}
		granted := "no"
		if r.Granted {
			granted = "yes"
		}
		rows = append(rows, []string{r.Tool, granted, orDash(r.Rule), fmt.Sprint(r.Count), moment(r.Last)})
	}
	return rows
}

// section prints a table under its heading, and says when it is empty.
func section(a *app, heading string, head []string, rows [][]string) error {
	if len(rows) == 0 {
		_, err := fmt.Fprintf(a.out, "%s: none\n\n", heading)
		return err
	}
	fmt.Fprintf(a.out, "%s:\n", heading)
	if err := table(a.out, head, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintln(a.out)
	return err
}
