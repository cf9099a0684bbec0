package persona

import (
	"context"
	"fmt"
	"slices"
	"time"

	"remit/catalog"
	"remit/identity"
)

// Evidence is what a proposal to take unused tools away rests on. The record keeps it with the change.
type Evidence struct {
	Revision    int // that was live when the record was read
	From, Until time.Time
}

func (e Evidence) describe(d detail, remove []catalog.ID) {
	d["removed"], d["unused_from"], d["unused_until"] = joined(remove), stamp(e.From), stamp(e.Until)
}

// NarrowUnused is Narrow of what the evidence says nobody used. ErrState if another revision is live by now.
func (r *Registry) NarrowUnused(ctx context.Context, by identity.Principal, id ID, remove []catalog.ID, e Evidence) error {
	return r.narrow(ctx, by, id, remove, func(live Revision, d detail) error {
		e.describe(d, remove)
		return e.isOf(live)
	})
}

// DraftWithout makes a draft of the live revision without the tools, for its author to edit and a reviewer to approve. Tools
// that no server offers now are left out, too. ErrState beside a draft, which it would replace, or a submitted revision.
func (r *Registry) DraftWithout(ctx context.Context, by identity.Principal, id ID, remove []catalog.ID, e Evidence) error {
	return r.change(ctx, by, identity.Author, id, "persona.revise", func(p *Persona, d detail) (int, error) {
		live, err := p.narrowable()
		if err == nil {
			err = e.isOf(live)
		}
		if err != nil {
			return 0, err
		}
		e.describe(d, remove)
		next, err := live.without(remove)
		if err != nil {
			return 0, err
		}
		next.Grants = slices.DeleteFunc(next.Grants, func(g Grant) bool { return r.offered(g.Tool) == "" })
		return r.addDraft(p, by, Proposal{Job: next.Job, Grants: next.Grants, Notes: next.Notes})
	})
}

func (e Evidence) isOf(live Revision) error {
	if live.Number != e.Revision {
		return fmt.Errorf("%w: revision %d is live now, not %d; look at what is unused again", ErrState, live.Number, e.Revision)
	}
	return nil
}
