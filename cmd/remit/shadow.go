package main

import (
	"errors"
	"fmt"

	"remit/audit"
	"remit/identity"
	"remit/persona"
	"remit/persona/usage"
	"remit/store"
)

type shadowCmd struct {
	Start shadowStartCmd `cmd:"" help:"Run a revision beside the live one: it records what it would decide, and decides nothing."`
	Stop  shadowStopCmd  `cmd:"" help:"End it. What it would have decided stays in the record."`
	Show  shadowShowCmd  `cmd:"" help:"What it would have refused and allowed, by tool and rule."`
}

// errWouldChange is for scripts: the answer is printed, and it is not "nothing".
var errWouldChange = errors.New("calls would come out otherwise than they did, and --fail-on-change was given")

type shadowStartCmd struct {
	ID       string `arg:"" name:"persona" help:"The persona's id."`
	Revision int    `arg:"" help:"Which revision; it is submitted, was sent back, or was live before."`
}

// Run starts the shadow. A running server asks it from the next call on.
func (c shadowStartCmd) Run(a *app) error {
	return a.registry(func(r *persona.Registry) error {
		if err := r.StartShadow(a.ctx, identity.Operator(), persona.ID(c.ID), c.Revision); err != nil {
			return explained(c.ID, err)
		}
		_, err := fmt.Fprintf(a.out, "Revision %d of persona %s runs beside the live one from the next call on; remit shadow show %s says what it would change.\n", c.Revision, c.ID, c.ID)
		return err
	})
}

type shadowStopCmd struct {
	ID string `arg:"" name:"persona" help:"The persona's id."`
}

// Run ends the shadow.
func (c shadowStopCmd) Run(a *app) error {
	return a.registry(func(r *persona.Registry) error {
		if err := r.StopShadow(a.ctx, identity.Operator(), persona.ID(c.ID)); err != nil {
			return explained(c.ID, err)
		}
		_, err := fmt.Fprintf(a.out, "No revision of persona %s runs as a shadow any more.\n", c.ID)
		return err
	})
}

type shadowShowCmd struct {
	ID           string `arg:"" name:"persona" help:"The persona's id."`
	Revision     int    `placeholder:"N" help:"A revision that ran as the shadow before (default: the one that does now)."`
	JSON         bool   `help:"Print JSON."`
	FailOnChange bool   `help:"Exit with 3 when a call would have come out otherwise."`
}

// Run counts what the shadow would have changed.
func (c shadowShowCmd) Run(a *app) error {
	return a.withStore(func(db *store.Store) error {
		s, err := usage.FindShadow(a.ctx, db, persona.ID(c.ID), c.Revision)
		if err != nil {
			if errors.Is(err, persona.ErrState) {
				err = fmt.Errorf("%w; remit shadow start %s REVISION starts one, --revision shows an earlier one", err, c.ID)
			}
			return explained(c.ID, err)
		}
		if c.JSON {
			err = printJSON(a.out, s)
		} else {
			err = a.showShadow(s)
		}
		if err == nil && c.FailOnChange && s.Changes() {
			err = errWouldChange
		}
		return err
	})
}

func (a *app) showShadow(s usage.Shadow) error {
	fmt.Fprintf(a.out, "%s: revision %d (%s) ", s.Persona, s.Revision, s.State)
	if s.Running {
		fmt.Fprintf(a.out, "runs beside revision %d since %s, started by %s\n", s.Live, moment(s.Since), plain(s.By))
	} else {
		fmt.Fprint(a.out, "ran beside live ones, and does not now\n")
	}
	fmt.Fprintf(a.out, "%d calls: %d the same, %d would be refused, %d would be allowed, %d undecided\n", s.Calls, s.Same, s.WouldRefuse, s.WouldAllow, s.Undecided)
	var rows [][]string
	for _, r := range s.Rows {
		if len(rows) == maxRefusedRows {
			rows = append(rows, []string{fmt.Sprintf("and %d more; --json prints all", len(s.Rows)-maxRefusedRows)})
			break
		}
		rows = append(rows, []string{inWords[r.Change], r.Tool, outcome(r.Decision, r.Was), outcome(r.Shadow, r.Rule), fmt.Sprint(r.Count), moment(r.First), moment(r.Last)})
	}
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintln(a.out)
	if err := table(a.out, []string{"CHANGE", "TOOL", "LIVE", "SHADOW", "CALLS", "FIRST", "LAST"}, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.out, "\nremit audit --persona %s --shadow %d --shadow-decision refused --decision allowed lists entries of them\n", s.Persona, s.Revision)
	return err
}

var inWords = map[audit.Change]string{audit.Same: "same", audit.Refuses: "would be refused", audit.Allows: "would be allowed", audit.CannotTell: "cannot tell"}

// outcome is a decision, with the rule where one refused.
func outcome(d audit.Decision, rule string) string {
	if d == audit.Refused && rule != "" {
		return string(d) + " by " + rule
	}
	return string(d)
}
