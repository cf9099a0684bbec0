package usage_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"remit/audit"
	"remit/catalog"
	"remit/persona"
	"remit/persona/usage"
)

func TestUnused(t *testing.T) {
	s := newWorld(t)
	find := func(span time.Duration) usage.Unused {
		t.Helper()
		u, err := usage.FindUnused(t.Context(), s, "support", span, now)
		must(t, err)
		return u
	}
	if u := find(30 * day); len(u.Never) != 3 || u.Never[0].ID != "crm/delete" || !strings.HasPrefix(u.Proposal, "Nothing: no call") {
		t.Errorf("without a call: got %+v, want three tools, the most harmful first, and no proposal", u)
	}
	called(t, s, "crm/find", 20*day, audit.Allowed, "") // of an earlier revision
	called(t, s, "crm/send", 20*day, audit.Allowed, "")
	called(t, s, "crm/find", 3*day, audit.Allowed, "")
	called(t, s, "crm/find", 2*day, audit.Failed, "")
	called(t, s, "crm/send", day, audit.Refused, "policy/hours")
	called(t, s, "drop_all", day, audit.Refused, "find")
	called(t, s, "drop_all", time.Hour, audit.Refused, "find")
	called(t, s, "crm/delete", time.Hour, audit.Refused, "find") // a made-up name that reads like a grant

	got := find(30 * day)
	want := usage.Unused{Persona: "support", Revision: 1, LiveSince: now.Add(-10 * day), From: now.Add(-10 * day), Until: now, Short: true, Calls: 2,
		Called: []usage.Called{{Tool: usage.Tool{ID: "crm/find", Name: "find", Effect: catalog.Read, Words: []string{"delete them"}}, Count: 2, Last: now.Add(-2 * day)}},
		Never:  []usage.Idle{{Tool: usage.Tool{ID: "crm/delete", Name: "delete", Effect: catalog.Destructive, Words: []string{"delete them"}}, Since: now.Add(-10 * day)}},
		TooNew: []usage.Idle{}, Drop: []catalog.ID{"crm/delete"},
		Refused: []usage.Refused{{Tool: "drop_all", Rule: "find", Count: 2, Last: now.Add(-time.Hour)}, {Tool: "crm/delete", Rule: "find", Count: 1, Last: now.Add(-time.Hour)},
			{Tool: "crm/send", Granted: true, Rule: "policy/hours", Count: 1, Last: now.Add(-day)}},
		Proposal: "A revision with 2 of the 3 tools, without crm/delete (destructive). Ask first whether the job needs one of them more rarely than the window is long."}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("got other than want: %s", diff)
	}
	if u := find(day / 2); u.Short || u.Calls != 0 || !u.From.Equal(now.Add(-day/2)) {
		t.Errorf("a shorter window: got %+v", u)
	}
	called(t, s, "crm/delete", time.Hour, audit.Unknown, "")
	if u := find(30 * day); len(u.Never) != 0 || !strings.HasPrefix(u.Proposal, "Nothing: every granted tool") {
		t.Errorf("with all used: got %+v", u)
	}
	if _, err := usage.FindUnused(t.Context(), s, "none", day, now); !errors.Is(err, persona.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

// A tool is as old as the stretch of revisions that grant it: another revision beside it makes it no younger, a stretch without
// it does, and two hours say nothing.
func TestUnusedSince(t *testing.T) {
	w := newHistory(t)
	w.live(t, 60*day, "find", "delete")
	w.live(t, 50*day, "find", "delete", "send")
	w.live(t, 40*day, "find", "send")
	must(t, w.Rollback(t.Context(), w.reviewer(20*day), "support", 2))
	w.live(t, 2*time.Hour, "find", "delete", "send", "add")
	called(t, w.store, "crm/find", 30*day, audit.Allowed, "")
	find := func(span time.Duration) usage.Unused {
		t.Helper()
		u, err := usage.FindUnused(t.Context(), w.store, "support", span, now)
		must(t, err)
		return u
	}
	since := func(all []usage.Idle) (out []string) {
		for _, i := range all {
			out = append(out, i.Name+" "+now.Sub(i.Since).String())
		}
		return out
	}
	u := find(90 * day)
	if diff := cmp.Diff([]string{"delete 480h0m0s", "send 1200h0m0s"}, since(u.Never)); diff != "" {
		t.Errorf("never (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"add 2h0m0s"}, since(u.TooNew)); diff != "" {
		t.Errorf("too new (-want +got):\n%s", diff)
	}
	if !u.Short || !u.From.Equal(now.Add(-60*day)) || !u.LiveSince.Equal(now.Add(-2*time.Hour)) {
		t.Errorf("got the window from %v, live since %v", u.From, u.LiveSince)
	}
	if diff := cmp.Diff([]catalog.ID{"crm/delete", "crm/send"}, u.Drop); diff != "" {
		t.Errorf("drop (-want +got):\n%s", diff)
	}
	if u := find(30 * day); u.Short || len(u.Never) != 2 {
		t.Errorf("of 30 days: got %+v", u)
	}
	if err := u.Fits([]catalog.ID{"crm/send"}); err != nil {
		t.Errorf("what is unused: got %v", err)
	}
	called(t, w.store, "crm/send", time.Minute, audit.Allowed, "")
	for _, tool := range []catalog.ID{"crm/send", "crm/add", "crm/none"} {
		if err := find(90 * day).Fits([]catalog.ID{tool}); !errors.Is(err, persona.ErrState) {
			t.Errorf("%s: got %v, want ErrState", tool, err)
		}
	}
	w.live(t, time.Hour, "add")
	if u := find(90 * day); !u.Short || len(u.Drop) != 0 || len(u.Never) != 0 || len(u.TooNew) != 1 {
		t.Errorf("an hour old: got %+v", u)
	}
}

// What was removed from the record is no silence: the window begins where the record does.
func TestUnusedLooksBackNoFurtherThanTheRecord(t *testing.T) {
	s := newWorld(t)
	called(t, s, "crm/find", 9*day, audit.Allowed, "")
	removed, err := s.Head(t.Context())
	must(t, err)
	called(t, s, "crm/delete", 5*day, audit.Allowed, "")
	must(t, s.Append(t.Context(), audit.Cut{Last: removed, Count: removed.Seq, Time: now}.Entry()))
	if err := s.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	u, err := usage.FindUnused(t.Context(), s, "support", 8*day, now)
	must(t, err)
	if len(u.Never) != 0 || len(u.Drop) != 0 || len(u.TooNew) != 2 {
		t.Errorf("got %+v, want nothing called unused for five days of silence", u)
	}
	if !u.Short || !u.From.Equal(now.Add(-5*day)) || u.Calls != 1 {
		t.Errorf("got %d calls from %s on, short: %v; want one in the last five days, which is shorter than asked", u.Calls, u.From, u.Short)
	}
}
