package persona

import (
	"context"
	"fmt"
	"time"

	"remit/identity"
)

// Shadow is a revision that runs beside the live one: it is asked about every call of the persona, what it would have decided
// is recorded, and it decides nothing. It ends by itself when its revision becomes live or the persona is retired.
type Shadow struct {
	Revision int    // 0 means none
	Person   string // who started it
	Since    time.Time
}

// Beside returns the revision that runs as the shadow; false when there is none, or none that may.
func (p Persona) Beside() (Revision, bool) {
	r, ok := p.Revision(p.Shadow.Revision)
	return r, ok && r.Shadowable() == nil
}

// Shadowable says why the revision cannot run beside the live one, or nil. A draft cannot: its rules look at the arguments of
// real calls, and what they find would be in the record before anybody else has read the rules.
func (r Revision) Shadowable() error {
	switch r.State {
	case Submitted, Returned, Approved:
		return nil
	}
	return fmt.Errorf("%w: revision %d is %s; what can run beside the live one is submitted, returned or was live before", ErrState, r.Number, r.State)
}

// StartShadow runs a revision beside the live one from the next call on, in the place of any that did.
func (r *Registry) StartShadow(ctx context.Context, by identity.Principal, id ID, number int) error {
	return r.review(ctx, by, identity.Reviewer, id, number, "shadow.start", func(p *Persona, at *Revision, _ detail) error {
		if err := at.Shadowable(); err != nil {
			return err
		}
		if _, ok := p.Live(); !ok {
			return fmt.Errorf("%w: no revision is live, so there is nothing to run beside", ErrState)
		}
		if p.Shadow.Revision == number {
			return fmt.Errorf("%w: revision %d runs as the shadow already", ErrState, number)
		}
		p.Shadow = Shadow{Revision: number, Person: by.Person, Since: r.now()}
		return nil
	})
}

// StopShadow ends it. What it would have decided stays in the record.
func (r *Registry) StopShadow(ctx context.Context, by identity.Principal, id ID) error {
	return r.change(ctx, by, identity.Reviewer, id, "shadow.stop", func(p *Persona, _ detail) (int, error) {
		if len(p.Revisions) == 0 {
			return 0, ErrNotFound
		}
		number := p.Shadow.Revision
		if number == 0 {
			return 0, fmt.Errorf("%w: no revision runs as a shadow", ErrState)
		}
		p.Shadow = Shadow{}
		return number, nil
	})
}

// endShadow ends the shadow of a revision that may be none any more, because it is live now or retired.
func (p *Persona) endShadow(d detail) {
	if p.Shadow.Revision == 0 {
		return
	}
	if _, ok := p.Beside(); !ok {
		d["shadow ended"] = fmt.Sprint(p.Shadow.Revision)
		p.Shadow = Shadow{}
	}
}
