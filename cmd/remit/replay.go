package main

import (
	"fmt"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"remit/audit"
	"remit/gateway/replay"
	"remit/persona"
	"remit/store"
)

type replayCmd struct {
	Persona      string `required:"" placeholder:"ID" help:"Whose calls."`
	Revision     int    `placeholder:"N" help:"Which revision decides, also a draft (default: the newest)."`
	Since        string `placeholder:"TIME" help:"Only calls from this day or time on (UTC), or from so long ago: 2026-11-25, 2026-11-25T08:00:00Z or 36h."`
	Until        string `placeholder:"TIME" help:"Only calls before this day or time, or before so long ago."`
	JSON         bool   `help:"Print JSON."`
	FailOnChange bool   `help:"Exit with 3 when a call would have come out otherwise."`
}

// Run replays. It changes nothing and calls nothing.
func (c replayCmd) Run(a *app) error {
	now := time.Now()
	since, err := audit.ParseTime(c.Since, now)
	if err != nil {
		return fmt.Errorf("--since: %w", err)
	}
	until, err := audit.ParseTime(c.Until, now)
	if err != nil {
		return fmt.Errorf("--until: %w", err)
	}
	return a.withStore(func(db *store.Store) error {
		progress, done := a.counter("calls read")
		r, err := replay.Run(a.ctx, db, replay.Question{Persona: persona.ID(c.Persona), Revision: c.Revision, Since: since, Until: until, Progress: progress})
		done()
		switch {
		case a.ctx.Err() != nil:
			return fmt.Errorf("the replay was interrupted, and what it had counted is not printed: %w", a.ctx.Err())
		case err != nil:
			return explained(c.Persona, err)
		case c.JSON:
			err = printJSON(a.out, r)
		default:
			err = a.showReplay(r)
		}
		if err == nil && c.FailOnChange && r.Changes() {
			err = errWouldChange
		}
		return err
	})
}

// counter shows on a terminal how far something without a known end has come.
func (a *app) counter(what string) (progress func(int), done func()) {
	if f, ok := a.err.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		return nil, func() {}
	}
	bar := progressbar.NewOptions(-1, progressbar.OptionSetWriter(a.err), progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(), progressbar.OptionClearOnFinish())
	return func(n int) { _ = bar.Set(n) }, func() { _ = bar.Finish() } // of the bar only the looks can fail
}

func (a *app) showReplay(r replay.Report) error {
	fmt.Fprintf(a.out, "%s: %d calls against revision %d (%s)", r.Persona, r.Calls, r.Revision, r.State)
	if r.Calls > 0 {
		fmt.Fprintf(a.out, ", %s to %s", moment(r.From), moment(r.To))
	}
	fmt.Fprintf(a.out, "\n%d the same, %d would be refused, %d would be allowed, %d cannot be told\n", r.Same, r.WouldRefuse, r.WouldAllow, r.CannotTell)
	var rows [][]string
	for _, row := range r.Rows {
		if row.Change == audit.Same {
			break // the last of them
		}
		if len(rows) == maxRefusedRows {
			rows = append(rows, []string{"and more; --json prints all"})
			break
		}
		was := "allowed"
		if row.Was != "" {
			was = "refused by " + row.Was
		}
		rows = append(rows, []string{inWords[row.Change], row.Tool, was, orDash(row.Rule), orDash(row.Reason), fmt.Sprint(row.Count), entryRange(row)})
	}
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintln(a.out)
	return table(a.out, []string{"CHANGE", "TOOL", "WAS", "RULE", "REASON", "CALLS", "ENTRIES"}, rows)
}

// entryRange names the first and the last entry of a row.
func entryRange(r replay.Row) string {
	if r.First == r.Last {
		return fmt.Sprint(r.First)
	}
	return fmt.Sprintf("%d to %d", r.First, r.Last)
}
