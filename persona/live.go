package persona

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"remit/catalog"
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

// Narrow takes tools away from the live revision at once: it makes a new one, live without review, since it allows nothing
// that was not approved. Tools that stay are as they were, frozen ones frozen. While a newer revision is being written or
// waits for its review, ErrState: neither can be renumbered without losing what was said of it.
func (r *Registry) Narrow(ctx context.Context, by identity.Principal, id ID, remove []catalog.ID) error {
	return r.narrow(ctx, by, id, remove, func(_ Revision, d detail) error {
		d["removed"] = joined(remove)
		return nil
	})
}

// narrow takes tools away if may, which also says why in the entry, lets it.
func (r *Registry) narrow(ctx context.Context, by identity.Principal, id ID, remove []catalog.ID, may func(live Revision, d detail) error) error {
	role := identity.Author // it can only take away
	if by.Has(identity.Reviewer) {
		role = identity.Reviewer
	}
	return r.change(ctx, by, role, id, "persona.narrow", func(p *Persona, d detail) (int, error) {
		live, err := p.narrowable()
		if err == nil {
			err = may(live, d)
		}
		if err != nil {
			return 0, err
		}
		next, err := live.without(remove)
		if err != nil {
			return 0, err
		}
		next.Number, next.Created, next.Narrowed = len(p.Revisions)+1, r.now(), by.Person
		p.stepDown()
		p.Revisions = append(p.Revisions, next)
		return next.Number, nil
	})
}

// narrowable returns the live revision if none is in progress beside it.
func (p Persona) narrowable() (Revision, error) {
	if len(p.Revisions) == 0 {
		return Revision{}, ErrNotFound
	}
	live, ok := p.Live()
	if !ok {
		return live, fmt.Errorf("%w: no revision is live", ErrState)
	}
	if last := p.Latest(); last.State == Draft || last.State == Submitted {
		return live, fmt.Errorf("%w: revision %d is in progress (%s); have it reviewed or sent back first, or suspend the tool to stop it at once", ErrState, last.Number, last.State)
	}
	return live, nil
}

// without is r with fewer tools, all else as it was.
func (r Revision) without(remove []catalog.ID) (Revision, error) {
	if len(remove) == 0 {
		return r, fmt.Errorf("%w: name the tools to remove", ErrInvalid)
	}
	granted := r.Digests()
	for _, id := range remove {
		if _, ok := granted[id]; !ok {
			return r, fmt.Errorf("%w: revision %d does not grant %s", ErrInvalid, r.Number, id)
		}
	}
	r.Grants = slices.DeleteFunc(slices.Clone(r.Grants), func(g Grant) bool { return slices.Contains(remove, g.Tool) })
	if len(r.Grants) == 0 {
		return r, fmt.Errorf("%w: no tool would be left; retire or suspend the persona instead", ErrInvalid)
	}
	return r, nil
}

func joined(ids []catalog.ID) string {
	var out []string
	for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
		out = append(out, string(id))
	}
	return strings.Join(out, ", ")
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
