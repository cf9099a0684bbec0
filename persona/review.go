package persona

import (
	"context"
	"fmt"

	"remit/catalog"
	"remit/identity"
)

// Submit fixes a draft and asks for its review.
func (r *Registry) Submit(ctx context.Context, by identity.Principal, id ID, rev int) error {
	var told Submission
	err := r.review(ctx, by, identity.Author, id, rev, "persona.submit", func(p *Persona, at *Revision, _ detail) error {
		if at.State != Draft {
			return fmt.Errorf("%w: revision %d is %s, not a draft", ErrState, rev, at.State)
		}
		if len(at.Grants) == 0 {
			return fmt.Errorf("%w: a revision without tools gives an agent nothing; add one", ErrInvalid)
		}
		for _, g := range at.Grants {
			if now, ok := r.Current(g.Tool); !ok || now.Digest != g.Digest {
				return fmt.Errorf("%w: %s", ErrDrifted, g.Tool)
			}
			if err := unconcealed(g); err != nil {
				return err
			}
		}
		at.State, at.SubmittedAt = Submitted, r.now()
		told = Submission{Persona: id, Title: p.Title, Revision: rev, By: by.Person, Tools: len(at.Grants), At: at.SubmittedAt}
		return nil
	})
	if err == nil && r.Submitted != nil {
		r.Submitted(told)
	}
	return err
}

// Approve makes a submitted revision live. ErrOwnWork if by is one of its authors, ErrDrifted if a tool is no longer what
// was reviewed (the digests that the reviewer saw are an argument, so a definition that moved meanwhile is refused). Until
// when the persona may be used stays as it is. With TwoReviewers the first approval of what does more than read is only noted,
// and ErrSecond refuses the same reviewer again.
func (r *Registry) Approve(ctx context.Context, by identity.Principal, id ID, rev int, seen Digests) error {
	return r.approve(ctx, by, id, rev, seen, nil)
}

// ApproveUntil approves a revision and sets until when the persona may be used. was is what the reviewer saw of that: ErrState
// if it moved meanwhile.
func (r *Registry) ApproveUntil(ctx context.Context, by identity.Principal, id ID, rev int, seen Digests, was, until Dates) error {
	return r.approve(ctx, by, id, rev, seen, func(p *Persona, d detail) error {
		if err := p.datesAs(was); err != nil {
			return err
		}
		return r.setTerm(p, until, true, d)
	})
}

func (r *Registry) approve(ctx context.Context, by identity.Principal, id ID, rev int, seen Digests, also func(*Persona, detail) error) error {
	return r.review(ctx, by, identity.Reviewer, id, rev, "persona.approve", func(p *Persona, at *Revision, d detail) error {
		if at.State != Submitted {
			return fmt.Errorf("%w: revision %d is %s, not submitted", ErrState, rev, at.State)
		}
		if by.Machine() {
			return identity.ErrMachine
		}
		own := at.WrittenBy(by.Person)
		if own && !r.SingleOperator {
			return ErrOwnWork
		}
		if len(seen) != len(at.Grants) {
			return fmt.Errorf("%w: the page showed %d tools, the revision has %d", ErrDrifted, len(seen), len(at.Grants))
		}
		for _, g := range at.Grants {
			if now, ok := r.Current(g.Tool); !ok || seen[g.Tool] != g.Digest || now.Digest != g.Digest {
				return fmt.Errorf("%w: %s", ErrDrifted, g.Tool)
			}
			if err := unconcealed(g); err != nil { // it may have been submitted before there was this rule
				return err
			}
		}
		if r.TwoReviewers && at.NeedsTwo() {
			switch at.FirstReview {
			case "":
				at.FirstReview = by.Person
				return nil
			case by.Person:
				return ErrSecond
			}
		}
		p.stepDown()
		at.State, at.ReviewedBy, at.ReviewedAt, at.SoloReview = Live, by.Person, r.now(), own
		if also != nil {
			return also(p, d)
		}
		return nil
	})
}

// unconcealed refuses a definition with text that a model reads and no reviewer can see.
func unconcealed(g Grant) error {
	for _, f := range catalog.Scan(g.Definition) {
		if f.Blocking {
			return fmt.Errorf("%w: tool %s cannot be approved: %s; remove it, or have its server mended", ErrInvalid, g.Tool, f.Text)
		}
	}
	return nil
}

// SendBack refuses a submitted revision with a comment for its author.
func (r *Registry) SendBack(ctx context.Context, by identity.Principal, id ID, rev int, comment string) error {
	return r.review(ctx, by, identity.Reviewer, id, rev, "persona.send-back", func(p *Persona, at *Revision, _ detail) error {
		if at.State != Submitted {
			return fmt.Errorf("%w: revision %d is %s, not submitted", ErrState, rev, at.State)
		}
		if len(comment) > 2000 {
			return fmt.Errorf("%w: a comment has at most 2,000 bytes", ErrInvalid)
		}
		at.State, at.ReviewedBy, at.ReviewedAt, at.Comment = Returned, by.Person, r.now(), comment
		return nil
	})
}

// Retire ends a persona: no revision is live, the gateway refuses its keys from the next call on.
func (r *Registry) Retire(ctx context.Context, by identity.Principal, id ID) error {
	return r.change(ctx, by, identity.Reviewer, id, "persona.retire", func(p *Persona, _ detail) (int, error) {
		if len(p.Revisions) == 0 {
			return 0, ErrNotFound
		}
		for i := range p.Revisions {
			p.Revisions[i].State = Retired
		}
		return len(p.Revisions), nil
	})
}

func (r *Registry) review(ctx context.Context, by identity.Principal, role identity.Role, id ID, rev int, kind string,
	move func(*Persona, *Revision, detail) error) error {
	return r.change(ctx, by, role, id, kind, func(p *Persona, d detail) (int, error) {
		if _, ok := p.Revision(rev); !ok {
			return 0, ErrNotFound
		}
		return rev, move(p, &p.Revisions[rev-1], d)
	})
}
