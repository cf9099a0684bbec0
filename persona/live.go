package persona

import (
	"context"
	"fmt"

	"remit/identity"
)

// Rollback makes a revision that was live before live again, at once. Who rolls back may be anyone with the role reviewer,
// an author of the revision too: another reviewer approved it before. ErrDrifted or ErrFrozen if one of its tools is not
// what was approved then.
func (r *Registry) Rollback(ctx context.Context, by identity.Principal, id ID, number int) error {
	return r.change(ctx, by, identity.Reviewer, id, "persona.rollback", func(p *Persona, d detail) (int, error) {
		at, ok := p.Revision(number)
		if !ok {
			return 0, ErrNotFound
		}
		if err := r.asApproved(*p, at); err != nil { // the store looks in the same transaction what is frozen
			return 0, err
		}
		if live, ok := p.Live(); ok {
			d["before"] = fmt.Sprint(live.Number)
		}
		p.stepDown()
		p.Revisions[number-1].State = Live
		return number, nil
	})
}

// Rollbackable returns why Rollback to the revision would be refused now, or nil.
func (r *Registry) Rollbackable(ctx context.Context, p Persona, at Revision) error {
	if err := r.asApproved(p, at); err != nil {
		return err
	}
	for _, g := range at.Grants {
		if _, frozen, err := r.Store.Frozen(ctx, p.ID, at.Number, g.Pin); err != nil {
			return err
		} else if frozen {
			return fmt.Errorf("%w: %s", ErrFrozen, g.Tool)
		}
	}
	return nil
}

// asApproved refuses a revision that was not live before, or whose tools are offered otherwise now.
func (r *Registry) asApproved(p Persona, at Revision) error {
	if p.Retired() {
		return fmt.Errorf("%w: the persona is retired", ErrState)
	}
	if at.State != Approved {
		return fmt.Errorf("%w: revision %d is %s, not one that was live before", ErrState, at.Number, at.State)
	}
	for _, g := range at.Grants {
		if now, ok := r.Current(g.Tool); !ok {
			return fmt.Errorf("%w: no upstream offers %s now", ErrDrifted, g.Tool)
		} else if now.Digest != g.Digest {
			return fmt.Errorf("%w: %s is %s now, revision %d pins %s", ErrDrifted, g.Tool, now.Digest.Short(), at.Number, g.Digest.Short())
		}
		if err := unconcealed(g); err != nil {
			return err
		}
	}
	return nil
}

// stepDown makes room for another live revision.
func (p *Persona) stepDown() {
	for i := range p.Revisions {
		if p.Revisions[i].State == Live {
			p.Revisions[i].State = Approved
		}
	}
}
