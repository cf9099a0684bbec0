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
		Never:  []usage.Tool{{ID: "crm/delete", Name: "delete", Effect: catalog.Destructive, Words: []string{"delete them"}}},
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

// What was removed from the record is no silence: the window begins where the record does.
func TestUnusedLooksBackNoFurtherThanTheRecord(t *testing.T) {
	s := newWorld(t)
	called(t, s, "crm/find", 9*day, audit.Allowed, "")
	removed, err := s.Head(t.Context())
	must(t, err)
	called(t, s, "crm/delete", 5*day, audit.Allowed, "")
	must(t, s.Append(t.Context(), audit.Cut{Last: removed, Count: removed.Seq, Time: now}.Entry()))
	if _, err := s.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	u, err := usage.FindUnused(t.Context(), s, "support", 8*day, now)
	must(t, err)
	if !u.Short || !u.From.Equal(now.Add(-5*day)) || u.Calls != 1 {
		t.Errorf("got %d calls from %s on, short: %v; want one in the last five days, which is shorter than asked", u.Calls, u.From, u.Short)
	}
}
