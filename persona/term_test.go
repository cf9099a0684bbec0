package persona_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"remit/audit"
	"remit/catalog"
	"remit/identity"
	"remit/persona"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// clocked is a world whose clock a test sets; ada wrote, and ravi approved, what is live.
func clocked(t *testing.T) (*world, *time.Time) {
	w, now := newWorld(t), noon
	w.Now = func() time.Time { return now }
	w.goLive(t, "crm/find", "billing/find")
	return w, &now
}

func (w *world) term(t *testing.T) persona.Term {
	t.Helper()
	p, err := w.store.Persona(t.Context(), "support")
	check(t, "read", err, nil)
	return p.Term
}

// SetTerm and Recertify are by somebody who sees the dates as they are.
func (w *world) SetTerm(ctx context.Context, by identity.Principal, id persona.ID, revision int, want persona.Dates) error {
	p, err := w.store.Persona(ctx, id)
	return errors.Join(err, w.Registry.SetTerm(ctx, by, id, persona.Shown{Revision: revision, Dates: p.Term.Dates}, want))
}

func (w *world) Recertify(ctx context.Context, by identity.Principal, id persona.ID, revision int, offered persona.Digests, next persona.Dates) error {
	p, err := w.store.Persona(ctx, id)
	return errors.Join(err, w.Registry.Recertify(ctx, by, id, persona.Shown{Revision: revision, Dates: p.Term.Dates}, offered, next))
}

func (w *world) lookout(t *testing.T) (*persona.Lookout, *[]string) {
	told := &[]string{}
	return &persona.Lookout{Registry: w.Registry, Looked: w.store.TermsSeen, Lead: 14 * day, Told: func(r persona.Reminder) { *told = append(*told, r.Text()) },
		Failed: func(err error) { *told = append(*told, "failed: "+err.Error()) }}, told
}

func TestOver(t *testing.T) {
	at := func(d time.Duration) time.Time { return noon.Add(d) }
	for name, tc := range map[string]struct {
		term persona.Term
		want string // rule; empty goes on
	}{
		"no dates":               {},
		"no dates, seen later":   {term: persona.Term{Seen: at(day)}},
		"before the expiry":      {term: persona.Term{Dates: persona.Dates{Expires: at(1)}}},
		"at the expiry":          {persona.Term{Dates: persona.Dates{Expires: at(0)}}, "term/expired"},
		"after the expiry":       {persona.Term{Dates: persona.Dates{Expires: at(-1)}}, "term/expired"},
		"overdue, warned of":     {term: persona.Term{Dates: persona.Dates{Recertify: at(-day), Missed: persona.Warn}}},
		"overdue, refused":       {persona.Term{Dates: persona.Dates{Recertify: at(0), Missed: persona.Refuse}}, "term/recertification"},
		"not due, refused then":  {term: persona.Term{Dates: persona.Dates{Recertify: at(1), Missed: persona.Refuse}}},
		"of a later version":     {persona.Term{Dates: persona.Dates{Recertify: at(day), Missed: "ask"}}, "term/unknown"},
		"seen within the slack":  {term: persona.Term{Dates: persona.Dates{Expires: at(day)}, Seen: at(time.Minute)}},
		"the clock went back":    {persona.Term{Dates: persona.Dates{Expires: at(day)}, Seen: at(time.Minute + 1)}, "term/clock"},
		"seen to be over":        {persona.Term{Dates: persona.Dates{Expires: at(day)}, Ended: at(2 * day)}, "term/expired"},
		"seen to be overdue":     {persona.Term{Dates: persona.Dates{Recertify: at(day), Missed: persona.Refuse}, Ended: at(2 * day)}, "term/recertification"},
		"over for no date there": {persona.Term{Ended: at(-day)}, "term/expired"},
	} {
		if got, over := tc.term.Over(noon); got.Rule != tc.want || over != (tc.want != "") {
			t.Errorf("%s: got %+v, %v, want %q", name, got, over, tc.want)
		}
	}
}

func TestParseDate(t *testing.T) {
	for text, want := range map[string]time.Time{"never": {}, "2027-02-01": time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC), " 90d ": noon.Add(90 * day),
		"2027-02-01T12:00:00+01:00": time.Date(2027, 2, 1, 11, 0, 0, 0, time.UTC)} {
		if got, err := persona.ParseDate(text, noon); err != nil || !got.Equal(want) {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0d", "-3d", "3661d", "d", "90", "tomorrow", "2027-02-30", "2027-2-1", "99999999999999999999d"} {
		if got, err := persona.ParseDate(text, noon); !errors.Is(err, persona.ErrInvalid) {
			t.Errorf("%q: got %v, %v, want ErrInvalid", text, got, err)
		}
	}
}

// Shortening is for whoever may narrow, and at once; prolonging is reviewed like what it prolongs.
func TestSetTerm(t *testing.T) {
	in := func(d time.Duration) time.Time { return noon.Add(d) }
	month := persona.Dates{Expires: in(30 * day), Recertify: in(20 * day), Missed: persona.Refuse}
	author := identity.Principal{Person: "ada", Roles: []identity.Role{identity.Author, identity.Reviewer}}
	admin := identity.Principal{Person: "root", Roles: []identity.Role{identity.Admin}}
	with := func(change func(*persona.Dates)) persona.Dates { d := month; change(&d); return d }
	for name, tc := range map[string]struct {
		by     identity.Principal
		dates  persona.Dates
		before func(*persona.Registry)
		want   error
	}{
		"an author shortens":             {by: ada, dates: with(func(d *persona.Dates) { d.Expires = in(day) })},
		"an author asks earlier":         {by: ada, dates: with(func(d *persona.Dates) { d.Recertify = in(day) })},
		"an author changes nothing":      {by: ada, dates: month, want: persona.ErrInvalid},
		"an author prolongs":             {by: ada, dates: with(func(d *persona.Dates) { d.Expires = in(31 * day) }), want: persona.ErrForbidden},
		"an author takes the end away":   {by: ada, dates: with(func(d *persona.Dates) { d.Expires = time.Time{} }), want: persona.ErrForbidden},
		"an author asks later":           {by: ada, dates: with(func(d *persona.Dates) { d.Recertify = in(21 * day) }), want: persona.ErrForbidden},
		"an author asks for less":        {by: ada, dates: with(func(d *persona.Dates) { d.Missed = persona.Warn }), want: persona.ErrForbidden},
		"a reviewer prolongs":            {by: ravi, dates: with(func(d *persona.Dates) { d.Expires = in(60 * day) })},
		"a reviewer takes the end away":  {by: ravi, dates: persona.Dates{}},
		"its author, now a reviewer":     {by: author, dates: with(func(d *persona.Dates) { d.Expires = in(60 * day) }), want: persona.ErrOwnWork},
		"its author shortens, reviewer":  {by: author, dates: with(func(d *persona.Dates) { d.Expires = in(day) })},
		"the single operator":            {author, with(func(d *persona.Dates) { d.Expires = in(60 * day) }), func(r *persona.Registry) { r.SingleOperator = true }, nil},
		"an admin":                       {by: admin, dates: with(func(d *persona.Dates) { d.Expires = in(day) }), want: persona.ErrForbidden},
		"an agent":                       {by: agent, dates: with(func(d *persona.Dates) { d.Expires = in(day) }), want: persona.ErrForbidden},
		"into the past":                  {by: ravi, dates: with(func(d *persona.Dates) { d.Expires = in(-day) }), want: persona.ErrInvalid},
		"too far":                        {by: ravi, dates: with(func(d *persona.Dates) { d.Expires = in(4000 * day) }), want: persona.ErrInvalid},
		"an unknown answer to a miss":    {by: ravi, dates: with(func(d *persona.Dates) { d.Missed = "ask" }), want: persona.ErrInvalid},
		"of a revision that is not live": {ravi, month, func(r *persona.Registry) { _ = r.Narrow(t.Context(), ravi, "support", []catalog.ID{"crm/find"}) }, persona.ErrState},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := clocked(t)
			check(t, "first dates", w.SetTerm(t.Context(), ada, "support", 1, month), nil)
			if tc.before != nil {
				tc.before(w.Registry)
			}
			check(t, "set", w.SetTerm(t.Context(), tc.by, "support", 1, tc.dates), tc.want)
			want := tc.dates
			if tc.want != nil {
				want = month
			}
			if diff := cmp.Diff(want, w.term(t).Dates); diff != "" {
				t.Errorf("the dates (-want +got):\n%s", diff)
			}
			found, err := w.store.Entries(t.Context(), audit.Query{Kind: "persona.term"})
			check(t, "entries", err, nil)
			if (tc.want == nil) != (len(found) == 2) {
				t.Errorf("got %d entries", len(found))
			}
			if e := found[0]; tc.want == nil && (e.Person != tc.by.Person || e.Detail["before_expires"] != "2026-12-26T12:00:00Z" || e.Detail["single_operator"] != map[bool]string{true: "true"}[w.SingleOperator]) {
				t.Errorf("got entry %+v", e)
			}
		})
	}
}

// Attack: what is live expires, and its author looks for a way on that no reviewer sees: another revision, narrowing, and
// rolling back keep the dates, and an approval gives new ones only if it says so.
func TestNothingProlongsUnseen(t *testing.T) {
	w, now := clocked(t)
	ctx := t.Context()
	check(t, "expire", w.SetTerm(ctx, ada, "support", 1, persona.Dates{Expires: noon.Add(day)}), nil)
	over := func(what string, want bool) {
		t.Helper()
		if _, got := w.term(t).Over(*now); got != want {
			t.Errorf("%s: got over %v, want %v", what, got, want)
		}
	}
	*now = noon.Add(day)
	over("expired", true)
	check(t, "narrow", w.Narrow(ctx, ada, "support", []catalog.ID{"crm/find"}), nil)
	over("narrowed", true)
	w.goLive(t, "crm/find")
	over("approved without a word of it", true)
	check(t, "roll back", w.Rollback(ctx, ravi, "support", 1), nil)
	over("rolled back", true)
	check(t, "ada shortens what is over", w.SetTerm(ctx, ada, "support", 1, persona.Dates{Expires: noon}), persona.ErrForbidden)
	check(t, "revise", w.Revise(ctx, ada, "support", proposal("crm/find")), nil)
	check(t, "submit", w.Submit(ctx, ada, "support", 4), nil)
	seen, was := w.revision(t, 4).Digests(), w.term(t).Dates
	check(t, "approve dates that were others", w.ApproveUntil(ctx, ravi, "support", 4, seen, persona.Dates{}, persona.Dates{Expires: noon.Add(9 * day)}), persona.ErrState)
	check(t, "approve until yesterday", w.ApproveUntil(ctx, ravi, "support", 4, seen, was, persona.Dates{Expires: noon}), persona.ErrInvalid)
	check(t, "approve until", w.ApproveUntil(ctx, ravi, "support", 4, seen, was, persona.Dates{Expires: noon.Add(9 * day)}), nil)
	over("approved until", false)
	found, err := w.store.Entries(ctx, audit.Query{Kind: "persona.approve", Limit: 1})
	if err != nil || found[0].Detail["expires"] != "2026-12-05T12:00:00Z" || found[0].Detail["before_expires"] != "2026-11-27T12:00:00Z" {
		t.Errorf("got entry %+v, %v", found, err)
	}
}

// Attack: while a reviewer has the dates on the screen, somebody shortens them. The click does not prolong them unseen.
func TestDatesAreBoundToTheScreen(t *testing.T) {
	w, _ := clocked(t)
	ctx, shown := t.Context(), persona.Shown{Revision: 1}
	check(t, "ada shortens", w.SetTerm(ctx, ada, "support", 1, persona.Dates{Expires: noon.Add(day)}), nil)
	later := persona.Dates{Expires: noon.Add(90 * day)}
	check(t, "ravi sets", w.Registry.SetTerm(ctx, ravi, "support", shown, later), persona.ErrState)
	check(t, "ravi looks again", w.Registry.Recertify(ctx, ravi, "support", shown, w.revision(t, 1).Digests(), later), persona.ErrState)
	if got := w.term(t).Expires; !got.Equal(noon.Add(day)) {
		t.Errorf("got the expiry %v", got)
	}
}

// A reviewer who looks again is bound to what the page showed, and is not one of the authors.
func TestRecertify(t *testing.T) {
	w, now := clocked(t)
	ctx := t.Context()
	check(t, "first", w.SetTerm(ctx, ada, "support", 1, persona.Dates{Recertify: noon.Add(day), Missed: persona.Refuse}), nil)
	*now = noon.Add(2 * day)
	next := persona.Dates{Recertify: now.Add(90 * day), Missed: persona.Refuse}
	offered := w.revision(t, 1).Digests()
	check(t, "an author", w.Recertify(ctx, ada, "support", 1, offered, next), persona.ErrForbidden)
	check(t, "an agent", w.Recertify(ctx, agent, "support", 1, offered, next), persona.ErrForbidden)
	check(t, "its author, a reviewer", w.Recertify(ctx, identity.Principal{Person: "ada", Roles: ravi.Roles}, "support", 1, offered, next), persona.ErrOwnWork)
	check(t, "another revision", w.Recertify(ctx, ravi, "support", 2, offered, next), persona.ErrState)
	check(t, "a tool that was not shown", w.Recertify(ctx, ravi, "support", 1, persona.Digests{"crm/find": offered["crm/find"]}, next), persona.ErrDrifted)
	w.offer(t, "crm", "find", "Reads keys")
	check(t, "a tool that moved meanwhile", w.Recertify(ctx, ravi, "support", 1, offered, next), persona.ErrDrifted)
	delete(w.tools, "crm/find")
	check(t, "a tool that went meanwhile", w.Recertify(ctx, ravi, "support", 1, offered, next), persona.ErrDrifted)
	check(t, "the date that passed", w.Recertify(ctx, ravi, "support", 1, persona.Digests{"crm/find": "", "billing/find": offered["billing/find"]}, persona.Dates{Recertify: noon.Add(day)}), persona.ErrInvalid)
	check(t, "as it is", w.Recertify(ctx, ravi, "support", 1, persona.Digests{"crm/find": "", "billing/find": offered["billing/find"]}, next), nil)
	if _, over := w.term(t).Over(*now); over || !w.term(t).Recertify.Equal(next.Recertify) {
		t.Errorf("got %+v", w.term(t))
	}
	found, err := w.store.Entries(ctx, audit.Query{Kind: "persona.recertify"})
	if err != nil || len(found) != 1 || found[0].Person != "ravi" || found[0].Revision != 1 {
		t.Errorf("got entries %+v, %v", found, err)
	}
}

// Each date is reminded of once when it comes near and once when it has come, by whichever process sees it first.
func TestReminders(t *testing.T) {
	w, now := clocked(t)
	ctx := t.Context()
	check(t, "dates", w.SetTerm(ctx, ada, "support", 1, persona.Dates{Expires: noon.Add(30 * day), Recertify: noon.Add(20 * day), Missed: persona.Warn}), nil)
	l, told := w.lookout(t)
	var changed []persona.ID
	w.Changed = func(id persona.ID) { changed = append(changed, id) }
	var got []string
	for _, d := range []int{0, 6, 7, 16, 20, 29, 30, 31} {
		*now = noon.Add(time.Duration(d) * day)
		for range 2 {
			check(t, "look", l.Look(ctx), nil)
		}
		second, _ := w.lookout(t) // another process
		check(t, "look too", second.Look(ctx), nil)
		got = append(got, *told...)
		*told = nil
	}
	want := []string{"has to be recertified by 16 Dec 2026, 12:00 UTC", "expires at 26 Dec 2026, 12:00 UTC", "had to be recertified by 16 Dec 2026, 12:00 UTC", "expired at 26 Dec 2026, 12:00 UTC"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	if !slices.Equal(changed, []persona.ID{"support"}) {
		t.Errorf("got %v told of the end, want support once", changed)
	}
	found, err := w.store.Entries(ctx, audit.Query{Kind: "persona.remind"})
	if err != nil || len(found) != 4 || found[0].Reason != want[3] || found[0].Persona != "support" || found[0].Person != "" {
		t.Errorf("got entries %+v, %v", found, err)
	}
	check(t, "prolong", w.SetTerm(ctx, ravi, "support", 1, persona.Dates{Expires: now.Add(day)}), nil)
	check(t, "look", l.Look(ctx), nil)
	if len(*told) != 1 || !strings.HasPrefix((*told)[0], "expires at") {
		t.Errorf("after it was prolonged: got %v", *told)
	}
	check(t, "retire", w.Retire(ctx, ravi, "support"), nil)
	*now = now.Add(3 * day)
	check(t, "look", l.Look(ctx), nil)
	if len(*told) != 1 {
		t.Errorf("of a retired persona: got %v", *told)
	}
}

// Attack: somebody sets the machine's clock back, so that what expired goes on. What was seen to be over stays over; before
// that, a clock behind what was seen refuses. A reviewer who sets the dates anew vouches for the clock.
func TestClockThatGoesBack(t *testing.T) {
	w, now := clocked(t)
	ctx := t.Context()
	check(t, "dates", w.SetTerm(ctx, ada, "support", 1, persona.Dates{Expires: noon.Add(30 * day)}), nil)
	l, told := w.lookout(t)
	rule := func() string {
		o, _ := w.term(t).Over(*now)
		return o.Rule
	}
	*now = noon.Add(2 * day)
	check(t, "look", l.Look(ctx), nil)
	*now = noon.Add(day)
	for range 2 {
		check(t, "look back", l.Look(ctx), nil)
	}
	if rule() != "term/clock" || len(*told) != 1 || !strings.Contains((*told)[0], "the clock went back") {
		t.Errorf("got %q and told %v, want it refused and said once", rule(), *told)
	}
	*now = noon.Add(2 * day)
	if rule() != "" {
		t.Errorf("the clock is right again: got %q", rule())
	}
	*now = noon.Add(5000 * day) // far ahead by mistake
	check(t, "look ahead", l.Look(ctx), nil)
	*now = noon.Add(3 * day)
	check(t, "look again", l.Look(ctx), nil)
	if rule() != "term/expired" {
		t.Errorf("seen to be over: got %q", rule())
	}
	check(t, "the same dates anew", w.SetTerm(ctx, ravi, "support", 1, persona.Dates{Expires: noon.Add(30 * day)}), nil)
	if rule() != "" || !w.term(t).Seen.Equal(*now) {
		t.Errorf("after a reviewer: got %q, %+v", rule(), w.term(t))
	}
}
