// Package persona owns what an agent may do: personas, their numbered revisions, the pins that fix each granted tool, and
// the moves by which a revision is reviewed. It knows no technology; the Registry is the only way to change a persona.
package persona

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"remit/catalog"
	"remit/identity"
	"remit/policy"
)

// ID names a persona in paths: lower-case words with dashes.
type ID string

var validID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// Validate says what an id may look like.
func (id ID) Validate() error {
	if !validID.MatchString(string(id)) {
		return fmt.Errorf("a persona's id is 1 to 63 lower-case letters, digits and dashes, not %q", id)
	}
	return nil
}

// State of a revision:
//
//	draft → submitted → live → approved → retired
//	                  ↘ returned
//
// Approving makes a revision live at once; the one that was live before stays approved. A revision that was sent back
// stays as it was read; its author answers with the next number. Rolling back makes an approved revision live again;
// narrowing makes a new one live at once, with fewer tools and without review.
type State string

const (
	Draft     State = "draft"     // its author edits it
	Submitted State = "submitted" // fixed; waits for a reviewer
	Returned  State = "returned"  // sent back by a reviewer
	Live      State = "live"      // what the gateway serves; at most one a persona
	Approved  State = "approved"  // was live
	Retired   State = "retired"   // of a persona that is no longer used
)

// Persona is a job that agents do, with all its revisions, oldest first.
type Persona struct {
	ID        ID
	Title     string
	Team      string // that owns it; empty for none
	Created   time.Time
	Revisions []Revision
	Shadow    Shadow         // the zero Shadow is none
	Term      Term           // of whichever revision is live
	Users     identity.Users // who may use it with a client of their own; nobody by default
}

// Revision is one numbered answer to "which tools does this job need". From the moment it is submitted its content
// (everything but State and the review fields) never changes.
type Revision struct {
	Number  int // from 1
	State   State
	Job     string // in the author's words, valid UTF-8
	Grants  []Grant
	Notes   json.RawMessage // what the composer found beside the grants (near misses, gaps, …), as it encoded it
	Author  string          // who saved it last
	Authors []string        // everybody whose work is in it, in the order of their first; empty where only Author was kept
	Created time.Time

	SubmittedAt time.Time
	ReviewedBy  string // who approved it or sent it back
	ReviewedAt  time.Time
	Comment     string    // of the reviewer who sent it back
	SoloReview  bool      // approved by its own author, in single-operator mode
	FirstReview string    // who approved it first, where two reviewers must
	Comments    []Comment // on its tools, oldest first; they stay with a draft that is saved again
	Narrowed    string    // who made it by taking tools from the live revision; its review is that one's, it had none of its own
}

// Grant is one tool of a revision and why it is there.
type Grant struct {
	Pin
	Name       string // what the agent calls it; unique within the revision whatever the case, at most 64 characters
	Effect     catalog.Effect
	Words      []Span        // of the job, that ask for the tool
	Reason     string        // in words
	Confidence float64       // 0 to 1; 1 for a tool that a person added
	AddedBy    string        // person; empty for the composer
	Policy     policy.Policy `json:",omitzero"` // what a call needs beside the grant
}

// Pin fixes a tool: the definition the reviewer saw, byte for byte.
type Pin struct {
	Tool       catalog.ID
	Digest     catalog.Digest
	Definition json.RawMessage `json:"-"` // stored once per digest, apart from the revision
}

// Span is a half-open range of bytes of the job.
type Span struct{ Start, End int }

// Digests is what a reviewer had on the screen, by tool.
type Digests map[catalog.ID]catalog.Digest

var (
	ErrNotFound  = errors.New("there is no such persona or revision")
	ErrForbidden = errors.New("not allowed")
	ErrOwnWork   = errors.New("whoever worked on a revision cannot approve it; ask a reviewer who did not")
	ErrSecond    = errors.New("you approved it already; a second reviewer must, because its tools do more than read")
	ErrDrifted   = errors.New("a tool is no longer what was reviewed; read the difference and approve again")
	ErrFrozen    = errors.New("a tool is frozen: it once was something else than was approved, and nobody has confirmed it since")
	ErrState     = errors.New("the revision is not in a state that allows this")
	ErrInvalid   = errors.New("not valid")
)

// Revision returns the revision with the number.
func (p Persona) Revision(number int) (Revision, bool) {
	if number < 1 || number > len(p.Revisions) {
		return Revision{}, false
	}
	return p.Revisions[number-1], true
}

// Live returns the revision that the gateway serves.
func (p Persona) Live() (Revision, bool) {
	for i := range p.Revisions {
		if p.Revisions[i].State == Live {
			return p.Revisions[i], true
		}
	}
	return Revision{}, false
}

// Granted returns the ids of tools that a key shall be narrowed to, each given by its id or as the agent calls it. They have
// to be granted by the live revision; while there is none, by the newest.
func (p Persona) Granted(tools []string) ([]string, error) {
	of, ok := p.Live()
	if !ok {
		of = p.Latest()
	}
	var ids []string
	for _, text := range tools {
		i := slices.IndexFunc(of.Grants, func(g Grant) bool { return string(g.Tool) == text || g.Name == text })
		if i < 0 {
			return nil, fmt.Errorf("%w: persona %s does not grant %q; its tools are %s", ErrInvalid, p.ID, text, of.names())
		}
		ids = append(ids, string(of.Grants[i].Tool))
	}
	return ids, nil
}

func (r Revision) names() string {
	var ids []catalog.ID
	for _, g := range r.Grants {
		ids = append(ids, g.Tool)
	}
	return joined(ids)
}

// Latest returns the newest revision; every persona has one.
func (p Persona) Latest() Revision { return p.Revisions[len(p.Revisions)-1] }

// Basis is what a further revision is written from: the newest one, unless that was rolled back, then the live one.
func (p Persona) Basis() Revision {
	if live, ok := p.Live(); ok && p.Latest().State == Approved {
		return live
	}
	return p.Latest()
}

// Retired says that the persona is no longer used.
func (p Persona) Retired() bool { return p.Latest().State == Retired }

// WrittenBy says that some of r is the person's work: none of its authors may approve it.
func (r Revision) WrittenBy(person string) bool {
	return r.Author == person || slices.Contains(r.Authors, person) ||
		slices.ContainsFunc(r.Grants, func(g Grant) bool { return g.AddedBy == person })
}

// Cited is the words of the job that spans cover.
func (r Revision) Cited(words []Span) []string {
	var out []string
	for _, w := range words {
		if w.Start >= 0 && w.Start < w.End && w.End <= len(r.Job) {
			out = append(out, r.Job[w.Start:w.End])
		}
	}
	return out
}

// NeedsTwo says that some tool of r does more than read: with the two-reviewer rule one approval is not enough for it.
func (r Revision) NeedsTwo() bool {
	return slices.ContainsFunc(r.Grants, func(g Grant) bool { return g.Effect != catalog.Read })
}

// authors is whose work a revision that by makes from p's newest holds: everybody's since the last one that a reviewer
// approved. Who saves somebody else's draft again does not take its authorship over.
func (p Persona) authors(by []string) []string {
	var all []string
	for _, r := range p.Revisions {
		if r.Narrowed != "" {
			continue // nobody wrote or approved anything
		}
		if r.State == Live || r.State == Approved {
			all = nil
			continue
		}
		all = append(append(all, r.Authors...), r.Author)
	}
	var each []string
	for _, name := range append(all, by...) {
		if !slices.Contains(each, name) {
			each = append(each, name)
		}
	}
	return each
}

// Digests is what a page that shows r has on the screen.
func (r Revision) Digests() Digests {
	d := Digests{}
	for _, g := range r.Grants {
		d[g.Tool] = g.Digest
	}
	return d
}
