package persona

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"remit/catalog"
	"remit/identity"
)

// Dates say until when what is live may be used.
type Dates struct {
	Expires   time.Time // from then on everything is refused; zero means never
	Recertify time.Time // by then a reviewer has to have looked again; zero means never
	Missed    Missed    // what happens when nobody has; empty without a Recertify
}

// Missed is what happens when nobody has looked again in time.
type Missed string

const (
	Warn   Missed = "warn"   // pages, the log and the record say so, and the agent goes on
	Refuse Missed = "refuse" // everything is refused until a reviewer has looked
)

// Term is the dates of a persona and what Remit saw of them. It belongs to the persona: another revision, a rollback and a
// narrowing leave it as it is.
type Term struct {
	Dates
	Seen  time.Time // latest time at which Remit looked at the dates
	Ended time.Time // when they were first seen to be over; kept, so that no clock can undo it, until a reviewer sets them anew

	ToldExpiry, ToldRecertification Due // the last reminder of each
}

// clockSlack is how far a clock may be behind the time at which the dates were looked at last. Clocks of several processes
// differ, and are set by small steps.
const clockSlack = time.Minute

// Over is why everything of a persona is refused.
type Over struct {
	Rule   string // for the record
	Reason string // for agents and people, a clause
}

// Over says whether everything is refused at the time, and why.
func (t Term) Over(now time.Time) (Over, bool) {
	at := now
	if at.Before(t.Ended) {
		at = t.Ended
	}
	switch {
	case t.Missed != "" && t.Missed != Warn && t.Missed != Refuse:
		return Over{"term/unknown", "its dates are of a kind that this version of Remit does not know"}, true
	case passed(t.Expires, at):
		return Over{"term/expired", "it expired at " + spoken(t.Expires)}, true
	case t.Missed == Refuse && passed(t.Recertify, at):
		return Over{"term/recertification", "a reviewer had to look at it again by " + spoken(t.Recertify)}, true
	case !t.Ended.IsZero():
		return Over{"term/expired", "it was seen to be over at " + spoken(t.Ended)}, true
	case t.dated() && now.Add(clockSlack).Before(t.Seen):
		return Over{"term/clock", "the clock went back to before " + spoken(t.Seen) + ", so nobody knows whether it expired"}, true
	}
	return Over{}, false
}

func (d Dates) dated() bool { return !d.Expires.IsZero() || !d.Recertify.IsZero() }

// passed says that a date is set and has come.
func passed(date, now time.Time) bool { return !date.IsZero() && !now.Before(date) }

// stamp is a time for machines, spoken one for people and agents.
func stamp(t time.Time) string  { return t.UTC().Format(time.RFC3339) }
func spoken(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") }

// within says that d allows nothing that old does not.
func (d Dates) within(old Dates) bool {
	earlier := func(a, b time.Time) bool { return b.IsZero() || !a.IsZero() && !a.After(b) }
	return earlier(d.Expires, old.Expires) && earlier(d.Recertify, old.Recertify) && (old.Missed != Refuse || d.Missed == Refuse)
}

// equal compares times, not their zones.
func (d Dates) equal(o Dates) bool {
	return d.Expires.Equal(o.Expires) && d.Recertify.Equal(o.Recertify) && d.Missed == o.Missed
}

// maxTerm is how far ahead a date may be.
const maxTerm = 10 * 366 * 24 * time.Hour

// valid returns d as it is kept. Only a date that was so before may lie in the past.
func (d Dates) valid(was Dates, now time.Time) (Dates, error) {
	for _, f := range []struct {
		name     string
		date, as time.Time
	}{{"expiry", d.Expires, was.Expires}, {"recertification", d.Recertify, was.Recertify}} {
		if f.date.IsZero() || f.date.Equal(f.as) {
			continue
		}
		if !f.date.After(now) {
			return d, fmt.Errorf("%w: the date of %s, %s, has passed; give a later one, or suspend the persona to stop it at once", ErrInvalid, f.name, spoken(f.date))
		}
		if f.date.After(now.Add(maxTerm)) {
			return d, fmt.Errorf("%w: the date of %s is more than ten years away", ErrInvalid, f.name)
		}
	}
	switch {
	case d.Recertify.IsZero():
		d.Missed = ""
	case d.Missed == "":
		d.Missed = Warn
	case d.Missed != Warn && d.Missed != Refuse:
		return d, fmt.Errorf("%w: what happens when nobody has looked again is %s or %s, not %q", ErrInvalid, Warn, Refuse, d.Missed)
	}
	return d, nil
}

// kept is a time as stores keep it.
func kept(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// ParseDate reads a date as people write it: a day in UTC, from whose beginning it counts ("2027-02-01"), in so many days
// ("90d"), a time ("2027-02-01T12:00:00Z"), or "never". Nothing at all is no date: that there is none has to be said.
func ParseDate(text string, now time.Time) (time.Time, error) {
	text = strings.TrimSpace(text)
	if text == "never" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 1 && n <= 3660 {
			return now.UTC().Add(time.Duration(n) * 24 * time.Hour).Truncate(time.Second), nil
		}
	}
	return time.Time{}, fmt.Errorf("%w: %q is no date: write a day such as 2027-02-01, in how many days such as 90d, or never", ErrInvalid, text)
}

// Shown is what somebody had on the screen: the live revision and its dates. What moved meanwhile is ErrState.
type Shown struct {
	Revision int
	Dates    Dates
}

// SetTerm changes until when the persona may be used. Shortening applies at
// once and is for authors and reviewers. Prolonging, which is all that lets an agent do something longer, and everything
// once the persona is over, is reviewed: for reviewers who did not work on what is live (ErrOwnWork).
func (r *Registry) SetTerm(ctx context.Context, by identity.Principal, id ID, seen Shown, want Dates) error {
	role := identity.Author
	if by.Has(identity.Reviewer) {
		role = identity.Reviewer
	}
	return r.change(ctx, by, role, id, "persona.term", func(p *Persona, d detail) (int, error) {
		live, err := p.liveAs(seen)
		if err != nil {
			return 0, err
		}
		_, over := p.Term.Over(r.now())
		want.Expires, want.Recertify = kept(want.Expires), kept(want.Recertify)
		prolongs := over || !want.within(p.Term.Dates)
		d["change"] = "shortened"
		if prolongs {
			d["change"] = "prolonged"
			if err := r.mayReview(by, live, d); err != nil {
				return 0, err
			}
		}
		return live.Number, r.setTerm(p, want, prolongs, d)
	})
}

// Recertify records that a reviewer has looked again at what is live, and sets the next dates. offered is what the
// reviewer's page showed as offered now: the digest of each granted tool, empty for one that is gone. ErrDrifted if that
// moved meanwhile.
func (r *Registry) Recertify(ctx context.Context, by identity.Principal, id ID, seen Shown, offered Digests, next Dates) error {
	return r.change(ctx, by, identity.Reviewer, id, "persona.recertify", func(p *Persona, d detail) (int, error) {
		live, err := p.liveAs(seen)
		if err != nil {
			return 0, err
		}
		if err := r.mayReview(by, live, d); err != nil {
			return 0, err
		}
		for _, g := range live.Grants {
			if digest, shown := offered[g.Tool]; !shown || digest != r.offered(g.Tool) {
				return 0, fmt.Errorf("%w: %s changed since the page was shown", ErrDrifted, g.Tool)
			}
		}
		return live.Number, r.setTerm(p, next, true, d)
	})
}

// offered is the digest of the tool as it is offered now; empty when it is not.
func (r *Registry) offered(id catalog.ID) catalog.Digest {
	now, ok := r.Current(id)
	if !ok {
		return ""
	}
	return now.Digest
}

// liveAs returns the live revision if it and the dates are what was shown.
func (p Persona) liveAs(seen Shown) (Revision, error) {
	live, ok := p.Live()
	switch {
	case len(p.Revisions) == 0:
		return live, ErrNotFound
	case !ok:
		return live, fmt.Errorf("%w: no revision is live", ErrState)
	case live.Number != seen.Revision:
		return live, fmt.Errorf("%w: revision %d is live now, not %d; look at it again", ErrState, live.Number, seen.Revision)
	}
	return live, p.datesAs(seen.Dates)
}

func (p Persona) datesAs(seen Dates) error {
	if !p.Term.Dates.equal(seen) {
		return fmt.Errorf("%w: its dates were changed meanwhile; look at them again", ErrState)
	}
	return nil
}

// mayReview holds whoever reviews apart from whoever wrote, and lets people alone do it.
func (r *Registry) mayReview(by identity.Principal, work Revision, d detail) error {
	if !by.Has(identity.Reviewer) {
		return fmt.Errorf("%w: to prolong needs the role %s", ErrForbidden, identity.Reviewer)
	}
	if by.Machine() {
		return identity.ErrMachine
	}
	if work.WrittenBy(by.Person) {
		if !r.SingleOperator {
			return ErrOwnWork
		}
		d["single_operator"] = "true"
	}
	return nil
}

// setTerm puts the dates in place. Only a review ends what is over, and vouches for the clock of now.
func (r *Registry) setTerm(p *Persona, want Dates, reviewed bool, d detail) error {
	was, now := p.Term.Dates, r.now()
	allowed := was
	if reviewed {
		allowed = Dates{}
	}
	want.Expires, want.Recertify = kept(want.Expires), kept(want.Recertify)
	next, err := want.valid(allowed, now)
	if err != nil {
		return err
	}
	if next.equal(was) && !reviewed {
		return fmt.Errorf("%w: these are its dates already", ErrInvalid)
	}
	if next.dated() || was.dated() {
		next.describe(d, "")
		was.describe(d, "before_")
	}
	t := &p.Term
	t.Dates = next
	if !next.Expires.Equal(was.Expires) {
		t.ToldExpiry = NotDue
	}
	if !next.Recertify.Equal(was.Recertify) {
		t.ToldRecertification = NotDue
	}
	if reviewed || t.Seen.IsZero() {
		t.Seen = kept(now)
	}
	if reviewed {
		t.Ended = time.Time{}
	}
	return nil
}

// describe writes the dates into an entry.
func (d Dates) describe(into detail, prefix string) {
	into[prefix+"expires"], into[prefix+"recertify"] = "never", "never"
	if !d.Expires.IsZero() {
		into[prefix+"expires"] = stamp(d.Expires)
	}
	if !d.Recertify.IsZero() {
		into[prefix+"recertify"], into[prefix+"missed"] = stamp(d.Recertify), string(d.Missed)
	}
}
