package persona

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"remit/audit"
	"remit/catalog"
	"remit/identity"
	"remit/internal/invalid"
	"remit/policy"
)

// Store keeps personas.
type Store interface {
	Persona(ctx context.Context, id ID) (Persona, error) // ErrNotFound
	Personas(ctx context.Context) ([]Persona, error)     // by id, without definitions
	// Update runs change in a transaction on the persona (one without revisions when there is none yet) and writes the new
	// persona and the entry together: a change without a record cannot be expressed. What becomes live again is not frozen
	// (ErrFrozen); what is made live as a new revision inherits what is frozen of the one before.
	Update(ctx context.Context, id ID, change func(Persona) (Persona, audit.Entry, error)) error

	// Frozen says whether, and since when, a revision's pin is refused because its tool once was something else.
	Frozen(ctx context.Context, id ID, revision int, pin Pin) (since time.Time, frozen bool, err error)

	Suspensions(ctx context.Context) ([]Suspension, error)                 // by kind and name
	Suspend(ctx context.Context, s Suspension, entry audit.Entry) error    // ErrNoTarget, ErrSuspended
	Resume(ctx context.Context, ended Suspension, entry audit.Entry) error // its Target counts; ErrNotSuspended
}

// Registry is the only way to change a persona.
type Registry struct {
	Store Store
	// Current returns the catalog's definition of a tool now; false when it is not offered.
	Current func(catalog.ID) (catalog.Tool, bool)
	// MaxTools bounds a revision; 0 means 100.
	MaxTools int
	// SingleOperator lets authors approve their own work. The record says so each time.
	SingleOperator bool
	// TwoReviewers lets a revision whose tools do more than read go live only when two reviewers approved it.
	TwoReviewers bool
	// Changed, if set, is called after every committed change.
	Changed func(ID)
	// Submitted, if set, is called when a revision waits for its review. It must not block.
	Submitted func(Submission)
	Now       func() time.Time // nil means time.Now
}

// Submission is a revision that waits for its review, as people are told of it.
type Submission struct {
	Persona  ID
	Title    string
	Revision int
	By       string
	Tools    int
	At       time.Time
}

// Proposal is what an author wants a revision to be.
type Proposal struct {
	Job    string
	Grants []Grant // pins need a Tool only: the digest and definition are taken from the catalog
	Notes  json.RawMessage
	Team   string // that owns a new persona, empty for none; who owns one that is there, a proposal does not change
	// Seen is what the author looked at, for tools of which they said so: ErrDrifted when one is another now.
	Seen Digests
	// Onto is when the draft was saved that this one is written from: ErrState when there is another by now. Zero means
	// whatever there is.
	Onto time.Time
}

// MaxJob is the longest job, in bytes.
const MaxJob = 20_000

// Create makes a persona with one draft revision.
func (r *Registry) Create(ctx context.Context, by identity.Principal, id ID, title string, p Proposal) error {
	if title = strings.TrimSpace(title); title == "" || len(title) > 200 {
		return invalid.At("title", fmt.Errorf("%w: a title has 1 to 200 characters", ErrInvalid))
	}
	if err := id.Validate(); err != nil {
		return invalid.At("id", fmt.Errorf("%w: %w", ErrInvalid, err))
	}
	taken := invalid.At("id", fmt.Errorf("%w: there is a persona %q already; choose another id", ErrInvalid, id))
	err := r.change(ctx, by, identity.Author, id, "persona.create", func(old *Persona, d detail) (int, error) {
		if len(old.Revisions) > 0 {
			return 0, taken
		}
		if err := mayOwn(by, p.Team); err != nil {
			return 0, invalid.At("team", err)
		}
		if old.ID, old.Title, old.Team, old.Created = id, title, p.Team, r.now(); p.Team != "" {
			d["team"] = p.Team
		}
		return r.addDraft(old, by, p)
	})
	if errors.Is(err, ErrNotFound) { // by does not see whose it is
		return taken
	}
	return err
}

// Revise adds a draft revision to a persona, or replaces its latest revision when that is still a draft.
func (r *Registry) Revise(ctx context.Context, by identity.Principal, id ID, p Proposal) error {
	return r.change(ctx, by, identity.Author, id, "persona.revise", func(old *Persona, _ detail) (int, error) {
		if len(old.Revisions) == 0 {
			return 0, ErrNotFound
		}
		switch old.Latest().State {
		case Submitted:
			return 0, fmt.Errorf("%w: revision %d waits for its review; it can be answered after its review", ErrState, old.Latest().Number)
		case Retired:
			return 0, fmt.Errorf("%w: the persona is retired", ErrState)
		}
		return r.addDraft(old, by, p)
	})
}

// addDraft puts a draft in the place of the newest revision if that is one, else after it.
func (r *Registry) addDraft(old *Persona, by identity.Principal, p Proposal) (int, error) {
	if n := len(old.Revisions); !p.Onto.IsZero() && (n == 0 || old.Revisions[n-1].State != Draft || !old.Revisions[n-1].Created.Equal(p.Onto)) {
		return 0, fmt.Errorf("%w: the draft was changed meanwhile; what was changed stays", ErrState)
	}
	grants, err := r.pin(p)
	if err != nil {
		return 0, err
	}
	authors := old.authors(by.Hands())
	var comments []Comment
	if n := len(old.Revisions); n > 0 && old.Revisions[n-1].State == Draft {
		comments = old.Revisions[n-1].Comments
		old.Revisions = old.Revisions[:n-1]
	}
	number := len(old.Revisions) + 1
	old.Revisions = append(old.Revisions, Revision{Number: number, State: Draft, Job: p.Job, Grants: grants, Notes: p.Notes,
		Author: by.Person, Authors: authors, Created: r.now(), Comments: comments})
	return number, nil
}

// Preview returns the draft that the proposal would be, without making it.
func (r *Registry) Preview(by identity.Principal, p Proposal) (Revision, error) {
	if !by.Has(identity.Author) {
		return Revision{}, fmt.Errorf("%w: this needs the role %s", ErrForbidden, identity.Author)
	}
	grants, err := r.pin(p)
	return Revision{State: Draft, Job: p.Job, Grants: grants, Notes: p.Notes, Author: by.Person, Created: r.now()}, err
}

// pin checks a proposal and fixes its tools as they are offered now.
func (r *Registry) pin(p Proposal) ([]Grant, error) {
	if strings.TrimSpace(p.Job) == "" || len(p.Job) > MaxJob || !utf8.ValidString(p.Job) {
		return nil, invalid.At("job", fmt.Errorf("%w: a job has 1 to %d bytes of UTF-8 text", ErrInvalid, MaxJob))
	}
	limit := r.MaxTools
	if limit == 0 {
		limit = 100
	}
	if len(p.Grants) > limit {
		return nil, invalid.At("tools", fmt.Errorf("%w: %d tools are over the limit of %d", ErrInvalid, len(p.Grants), limit))
	}
	seen := map[catalog.ID]bool{}
	grants := make([]Grant, 0, len(p.Grants))
	for i, g := range p.Grants {
		at := fmt.Sprintf("tools/%d", i)
		if seen[g.Tool] {
			return nil, invalid.At(at, fmt.Errorf("%w: tool %s is granted twice", ErrInvalid, g.Tool))
		}
		seen[g.Tool] = true
		tool, ok := r.Current(g.Tool)
		if !ok {
			return nil, invalid.At(at, fmt.Errorf("%w: no upstream offers tool %s now", ErrInvalid, g.Tool))
		}
		if seen, ok := p.Seen[g.Tool]; ok && tool.Digest != seen {
			return nil, invalid.At(at+"/digest", fmt.Errorf("%w: %s is %s now, not %s", ErrDrifted, g.Tool, tool.Digest, seen))
		}
		for _, w := range g.Words {
			if w.Start < 0 || w.Start >= w.End || w.End > len(p.Job) {
				return nil, fmt.Errorf("%w: tool %s cites words outside the job", ErrInvalid, g.Tool)
			}
		}
		g.Digest, g.Definition, g.Effect = tool.Digest, tool.Definition, tool.Effect.Effect
		grants = append(grants, g)
	}
	NameGrants(grants)
	for i, g := range grants {
		if _, _, err := g.Served(); errors.Is(err, policy.ErrInvalid) {
			return nil, invalid.At(fmt.Sprintf("tools/%d/policy", i), fmt.Errorf("%w: %w", ErrInvalid, err))
		}
	}
	return grants, nil
}

// detail is what an entry says beside the revision's state and size.
type detail map[string]string

// change checks the role and the team, runs move on a copy of the persona, and records the move with the revision it returns.
func (r *Registry) change(ctx context.Context, by identity.Principal, role identity.Role, id ID, kind string,
	move func(*Persona, detail) (revision int, err error)) error {
	if !by.Has(role) {
		return fmt.Errorf("%w: this needs the role %s", ErrForbidden, role)
	}
	err := r.Store.Update(ctx, id, func(p Persona) (Persona, audit.Entry, error) {
		if err := p.within(by); err != nil {
			return p, audit.Entry{}, err
		}
		p.Revisions = append([]Revision(nil), p.Revisions...)
		d := detail{}
		number, err := move(&p, d)
		if err != nil {
			return p, audit.Entry{}, err
		}
		p.endShadow(d)
		e := audit.Entry{Time: r.now(), Kind: kind, Actor: by.Actor(), Persona: string(id), Revision: number, Decision: audit.Changed}
		if rev, ok := p.Revision(number); ok {
			d["state"], d["tools"] = string(rev.State), fmt.Sprint(len(rev.Grants))
			if rev.SoloReview {
				d["single_operator"] = "true"
			}
			if rev.FirstReview != "" {
				d["first_review"] = rev.FirstReview
			}
			e.Detail = d
		}
		return p, e, nil
	})
	if err == nil && r.Changed != nil {
		r.Changed(id)
	}
	return err
}

func (r *Registry) now() time.Time {
	if r.Now != nil {
		return r.Now().UTC()
	}
	return time.Now().UTC()
}
