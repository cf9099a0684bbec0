package persona

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"remit/audit"
	"remit/catalog"
	"remit/identity"
)

// Comment is what a person says of a tool of a revision, for whoever writes and reviews it. Nothing is decided by it.
type Comment struct {
	Tool catalog.ID
	By   string
	At   time.Time
	Text string
}

// Bounds of comments.
const (
	MaxComment  = 2000 // bytes of one
	maxComments = 200  // of one revision
)

// Comment adds a comment on a tool that the revision grants. Authors and reviewers may, people only, while it is a draft or waits for
// its review. The record has who, on what, and the digest of the text.
func (r *Registry) Comment(ctx context.Context, by identity.Principal, id ID, rev int, tool catalog.ID, text string) error {
	role := identity.Author
	if by.Has(identity.Reviewer) {
		role = identity.Reviewer
	}
	return r.review(ctx, by, role, id, rev, "persona.comment", func(_ *Persona, at *Revision, d detail) error {
		if by.Machine() {
			return identity.ErrMachine
		}
		if at.State != Draft && at.State != Submitted {
			return fmt.Errorf("%w: revision %d is %s, and comments are for drafts and reviews", ErrState, rev, at.State)
		}
		if text = strings.TrimSpace(text); text == "" || len(text) > MaxComment || !utf8.ValidString(text) {
			return fmt.Errorf("%w: a comment has 1 to %d bytes of text", ErrInvalid, MaxComment)
		}
		if !slices.ContainsFunc(at.Grants, func(g Grant) bool { return g.Tool == tool }) {
			return fmt.Errorf("%w: revision %d does not grant %s, so nothing can be said of it there", ErrInvalid, rev, tool)
		}
		if len(at.Comments) >= maxComments {
			return fmt.Errorf("%w: a revision has at most %d comments", ErrInvalid, maxComments)
		}
		at.Comments = append(slices.Clone(at.Comments), Comment{Tool: tool, By: by.Person, At: r.now(), Text: text})
		d["tool"], d["text"] = string(tool), audit.Digest([]byte(text))
		return nil
	})
}

// Said is what was said of a tool up to the revision since the last one that was approved before it, oldest first, with the
// revision that it was said of.
func (p Persona) Said(upTo int, tool catalog.ID) []RevisionComment {
	var out []RevisionComment
	for _, r := range p.Revisions[:min(max(upTo, 0), len(p.Revisions))] {
		if r.Number < upTo && (r.State == Live || r.State == Approved) {
			out = nil
			continue
		}
		for _, c := range r.Comments {
			if c.Tool == tool {
				out = append(out, RevisionComment{c, r.Number})
			}
		}
	}
	return out
}

// RevisionComment is a comment and the revision that it was made on.
type RevisionComment struct {
	Comment
	Revision int
}
