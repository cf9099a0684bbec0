package main

import (
	"errors"
	"fmt"
	"time"

	"remit/identity"
	"remit/persona"
	"remit/store"
)

// dateFlags are dates as people write them.
type dateFlags struct {
	Expires   string         `placeholder:"DATE" help:"From when on everything is refused: 2027-02-01 (from that day on, UTC), 90d, or never."`
	Recertify string         `placeholder:"DATE" help:"By when a reviewer has to look again: a date as for --expires, or never."`
	Missed    persona.Missed `enum:",warn,refuse" default:"" placeholder:"WHAT" help:"What happens when nobody has looked again by then: warn (default) or refuse everything."`
}

// of is was with what the flags change.
func (f dateFlags) of(was persona.Dates) (persona.Dates, error) {
	for _, d := range []struct {
		name, text string
		date       *time.Time
	}{{"--expires", f.Expires, &was.Expires}, {"--recertify", f.Recertify, &was.Recertify}} {
		if d.text == "" {
			continue
		}
		at, err := persona.ParseDate(d.text, time.Now())
		if err != nil {
			return was, fmt.Errorf("%s: %w", d.name, err)
		}
		*d.date = at
	}
	if f.Missed != "" {
		was.Missed = f.Missed
	}
	return was, nil
}

type personaTermCmd struct {
	ID string `arg:"" name:"persona" help:"The persona's id."`
	dateFlags
}

// Run shows the dates, or sets them. Whoever can run it may do all that a reviewer may, but for what they wrote themselves.
func (c personaTermCmd) Run(a *app) error {
	if a.remote != nil {
		return c.remote(a)
	}
	return a.registryOn(func(s *store.Store, r *persona.Registry) error {
		p, err := s.Persona(a.ctx, persona.ID(c.ID))
		if err != nil {
			return explained(c.ID, err)
		}
		if c.Expires == "" && c.Recertify == "" && c.Missed == "" {
			return a.showTerm(p)
		}
		live, ok := p.Live()
		if !ok {
			return fmt.Errorf("persona %s has no live revision; its dates are set when one is approved", c.ID)
		}
		want, err := c.of(p.Term.Dates)
		if err != nil {
			return err
		}
		if err := r.SetTerm(a.ctx, identity.Operator(), p.ID, persona.Shown{Revision: live.Number, Dates: p.Term.Dates}, want); err != nil {
			return explained(c.ID, err)
		}
		return a.termNow(s, p.ID)
	})
}

// termNow shows the dates as they are stored.
func (a *app) termNow(s *store.Store, id persona.ID) error {
	p, err := s.Persona(a.ctx, id)
	if err != nil {
		return err
	}
	return a.showTerm(p)
}

func (a *app) showTerm(p persona.Persona) error {
	fmt.Fprintf(a.out, "%s: %s\nexpires: %s\na reviewer looks again by: %s", p.ID, plain(p.Title), dateOf(p.Term.Expires), dateOf(p.Term.Recertify))
	switch p.Term.Missed {
	case persona.Warn:
		fmt.Fprint(a.out, ", or people are warned")
	case persona.Refuse:
		fmt.Fprint(a.out, ", or everything is refused")
	}
	fmt.Fprintln(a.out)
	if o, over := p.Term.Over(time.Now()); over {
		fmt.Fprintf(a.out, "everything is refused: %s\n", o.Reason)
	}
	return nil
}

func dateOf(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return moment(t)
}

// dates is what a list says of a persona's dates: those that come near or have come.
func (a *app) dates(p persona.Persona) string {
	text := ""
	for _, r := range p.Reminders(time.Now(), a.opts.RemindBefore) {
		if text != "" {
			text += "; "
		}
		text += r.Text()
	}
	return orDash(text)
}

type personaRecertCmd struct {
	ID       string `arg:"" name:"persona" help:"The persona's id."`
	Revision int    `required:"" placeholder:"N" help:"The live revision that you looked at: remit persona show, unused and diff, remit tool frozen."`
	dateFlags
}

// Run confirms the live revision as it is offered now.
func (c personaRecertCmd) Run(a *app) error {
	if c.Recertify == "" {
		return errors.New("--recertify says when a reviewer has to look again next: a date, or never")
	}
	return a.registryOn(func(s *store.Store, r *persona.Registry) error {
		p, err := s.Persona(a.ctx, persona.ID(c.ID))
		if err != nil {
			return explained(c.ID, err)
		}
		next, err := c.of(p.Term.Dates)
		if err != nil {
			return err
		}
		live, _ := p.Revision(c.Revision)
		offered := persona.Digests{}
		for _, g := range live.Grants {
			now, ok := r.Current(g.Tool)
			if offered[g.Tool] = now.Digest; !ok || now.Digest != g.Digest {
				fmt.Fprintf(a.out, "%s is not what was approved now; calls of it are refused\n", plain(string(g.Tool)))
			}
		}
		if err := r.Recertify(a.ctx, identity.Operator(), p.ID, persona.Shown{Revision: c.Revision, Dates: p.Term.Dates}, offered, next); err != nil {
			return explained(c.ID, err)
		}
		fmt.Fprintf(a.out, "Revision %d of persona %s is confirmed.\n", c.Revision, p.ID)
		return a.termNow(s, p.ID)
	})
}
