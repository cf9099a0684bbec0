package persona

import (
	"context"
	"errors"
	"fmt"
	"time"

	"remit/audit"
)

// Due says how near a date is.
type Due string

const (
	NotDue  Due = ""
	Soon    Due = "soon"    // it comes within the lead of reminders
	Overdue Due = "overdue" // it has come
)

func due(date, now time.Time, lead time.Duration) Due {
	switch {
	case date.IsZero(), now.Add(lead).Before(date):
		return NotDue
	case now.Before(date):
		return Soon
	}
	return Overdue
}

// Reminder is a date of a persona that comes near or has come.
type Reminder struct {
	Persona ID
	Title   string
	Expiry  bool // else it is that of a recertification
	Date    time.Time
	Due     Due
	Stops   bool // everything is refused from the date on
}

// Text is a clause: "expires at …".
func (r Reminder) Text() string {
	switch {
	case r.Expiry && r.Due == Overdue:
		return "expired at " + spoken(r.Date)
	case r.Expiry:
		return "expires at " + spoken(r.Date)
	case r.Due == Overdue && r.Stops:
		return "had to be recertified by " + spoken(r.Date) + "; everything is refused until a reviewer has looked again"
	case r.Due == Overdue:
		return "had to be recertified by " + spoken(r.Date)
	case r.Stops:
		return "has to be recertified by " + spoken(r.Date) + ", or everything is refused from then on"
	}
	return "has to be recertified by " + spoken(r.Date)
}

// Reminders are the dates of a live persona that come within lead or have come, the expiry first.
func (p Persona) Reminders(now time.Time, lead time.Duration) (out []Reminder) {
	if _, live := p.Live(); !live {
		return nil
	}
	at := now
	if at.Before(p.Term.Ended) {
		at = p.Term.Ended
	}
	if d := due(p.Term.Expires, at, lead); d != NotDue {
		out = append(out, Reminder{p.ID, p.Title, true, p.Term.Expires, d, true})
	}
	if d := due(p.Term.Recertify, at, lead); d != NotDue {
		out = append(out, Reminder{p.ID, p.Title, false, p.Term.Recertify, d, p.Term.Missed == Refuse})
	}
	return out
}

// Lookout looks at the dates of all personas now and then: it reminds once of each that comes near and once of each that has
// come, in the record and to Told, and keeps what is over from being undone by a clock.
type Lookout struct {
	Registry *Registry
	// Looked keeps that the dates were looked at. A store.Store's TermsSeen is one.
	Looked func(ctx context.Context, at time.Time) error
	Lead   time.Duration    // how long before a date
	Every  time.Duration    // 0 means a minute
	Told   func(Reminder)   // after the record has it
	Failed func(what error) // what only an operator can put right; it is tried again
	behind bool             // the clock, and Failed knows
}

// Run looks at once and then every so often, until ctx ends.
func (l *Lookout) Run(ctx context.Context) error {
	every := l.Every
	if every == 0 {
		every = time.Minute
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := l.Look(ctx); err != nil && ctx.Err() == nil {
			l.Failed(fmt.Errorf("the dates of personas could not be looked at: %w", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// errNothing leaves a persona as it is.
var errNothing = errors.New("there is nothing to remind of")

// Look looks once.
func (l *Lookout) Look(ctx context.Context) error {
	all, err := l.Registry.Store.Personas(ctx)
	if err != nil {
		return err
	}
	now, behind := l.Registry.now(), false
	for _, p := range all {
		if o, over := p.Term.Over(now); over && o.Rule == "term/clock" {
			behind = true
			if !l.behind {
				l.Failed(fmt.Errorf("persona %s is refused: %s; set the clock right, or have a reviewer set its dates anew", p.ID, o.Reason))
			}
		}
		if failed := l.remind(ctx, p); failed != nil {
			err = errors.Join(err, fmt.Errorf("persona %s: %w", p.ID, failed)) // the others go on
		}
	}
	l.behind = behind
	return errors.Join(err, l.Looked(ctx, kept(now)))
}

// remind writes what was not told yet, one entry each.
func (l *Lookout) remind(ctx context.Context, p Persona) error {
	for range 2 {
		if _, more := l.next(&p); !more {
			return nil
		}
		var told Reminder
		err := l.Registry.Store.Update(ctx, p.ID, func(now Persona) (Persona, audit.Entry, error) {
			r, more := l.next(&now)
			if !more {
				return now, audit.Entry{}, errNothing // another process was quicker
			}
			told, p = r, now
			return now, r.entry(l.Registry.now()), nil
		})
		if errors.Is(err, errNothing) {
			return nil
		}
		if err != nil {
			return err
		}
		if l.Told != nil {
			l.Told(told)
		}
		if told.Stops && told.Due == Overdue && l.Registry.Changed != nil {
			l.Registry.Changed(p.ID)
		}
	}
	return nil
}

// next notes in p the first reminder that was not told yet.
func (l *Lookout) next(p *Persona) (Reminder, bool) {
	now := l.Registry.now()
	for _, r := range p.Reminders(now, l.Lead) {
		told := &p.Term.ToldRecertification
		if r.Expiry {
			told = &p.Term.ToldExpiry
		}
		over := r.Stops && r.Due == Overdue && p.Term.Ended.IsZero()
		if (*told == r.Due || *told == Overdue) && !over { // a clock that goes back reminds of nothing twice
			continue
		}
		if *told = r.Due; over {
			p.Term.Ended = kept(now)
		}
		return r, true
	}
	return Reminder{}, false
}

// entry has no actor: Remit reminds by itself.
func (r Reminder) entry(now time.Time) audit.Entry {
	what := "recertification"
	if r.Expiry {
		what = "expiry"
	}
	return audit.Entry{Time: now, Kind: "persona.remind", Persona: string(r.Persona), Decision: audit.Changed, Reason: r.Text(),
		Detail: map[string]string{"date": what, "due": string(r.Due)}}
}
