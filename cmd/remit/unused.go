package main

import (
	"fmt"
	"time"

	"remit/persona"
	"remit/persona/usage"
	"remit/store"
)

type personaUnusedCmd struct {
	ID   string `arg:"" name:"persona" help:"The persona's id."`
	Days int    `default:"30" placeholder:"N" help:"How many days to look back, 1 to 3650 (default: 30)."`
	JSON bool   `help:"Print JSON."`
}

// Run compares what the live revision grants with what was called. It changes nothing.
func (c personaUnusedCmd) Run(a *app) error {
	if c.Days < 1 || c.Days > 3650 {
		return fmt.Errorf("--days is 1 to 3650, not %d", c.Days)
	}
	return a.withStore(func(s *store.Store) error {
		u, err := usage.FindUnused(a.ctx, s, persona.ID(c.ID), time.Duration(c.Days)*24*time.Hour, time.Now().UTC())
		if err != nil {
			return fmt.Errorf("persona %q: %w; remit persona list shows them", c.ID, err)
		}
		if c.JSON {
			return printJSON(a.out, u)
		}
		return a.showUnused(u, c.Days)
	})
}

func (a *app) showUnused(u usage.Unused, days int) error {
	fmt.Fprintf(a.out, "%s, revision %d, live since %s\n", u.Persona, u.Revision, moment(u.LiveSince))
	fmt.Fprintf(a.out, "window: %s to %s", moment(u.From), moment(u.Until))
	if u.Short {
		fmt.Fprintf(a.out, ", which is shorter than the %d days asked for: the revision was not live before, or the record was removed", days)
	}
	fmt.Fprintf(a.out, "\n%d calls were forwarded\n\n", u.Calls)
	var rows [][]string
	for _, t := range u.Never {
		rows = append(rows, []string{string(t.ID), string(t.Effect), asked(t)})
	}
	if err := section(a, "never called", []string{"TOOL", "EFFECT", "WORDS OF THE JOB"}, rows); err != nil {
		return err
	}
	rows = nil
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
