package store_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"remit/audit"
	"remit/identity"
	"remit/persona"
	"remit/policy"
	"remit/store"
)

var sameNetwork = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })

// A key is rotated: the new one is for the same with the same bounds, the old one goes on for the overlap and no longer than it
// would have, each names the other, and both are recorded, together or not at all.
func rotation(t *testing.T, e engine) {
	s := e.open(t)
	defer s.Close()
	ctx, now := t.Context(), time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	var told []string
	d := &identity.Directory{Store: s, Now: func() time.Time { return now }, Revoked: func(of string) { told = append(told, of) }}
	bounds := identity.Bounds{Tools: []string{"crm/count", "crm/find"}, Limits: []policy.Limit{{Calls: 3, Per: policy.Hour}},
		Addresses: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}}
	inside := netip.MustParseAddr("203.0.113.9")
	issue := func(life time.Duration) (string, identity.Key) {
		t.Helper()
		spec := identity.KeySpec{Agent: "bot", User: "zoe", Persona: "support", Bounds: bounds}
		if life > 0 {
			spec.Expires = now.Add(life)
		}
		secret, key, err := d.IssueKey(ctx, identity.Operator(), spec)
		if err != nil {
			t.Fatal(err)
		}
		return secret, key
	}
	for name, tc := range map[string]struct {
		life, age, overlap time.Duration // life of 0 is never
		old, next          time.Duration // from the rotation until each ends; 0 is never
	}{
		"in time":            {90 * 24 * time.Hour, 80 * 24 * time.Hour, 24 * time.Hour, 24 * time.Hour, 90 * 24 * time.Hour},
		"just before it end": {2 * time.Hour, time.Hour, 24 * time.Hour, time.Hour, 2 * time.Hour},
		"of one for ever":    {0, time.Hour, time.Hour, time.Hour, 0},
	} {
		oldSecret, old := issue(tc.life)
		now = now.Add(tc.age)
		nextSecret, next, err := d.RotateKey(ctx, identity.Operator(), old.ID, tc.overlap, nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		keys := map[string]identity.Key{}
		for _, id := range []string{old.ID, next.ID} {
			if keys[id], err = s.Key(ctx, id); err != nil {
				t.Fatal(err)
			}
		}
		if got := keys[next.ID]; !cmp.Equal(got.Bounds, bounds, sameNetwork) || got.Agent != "bot" || got.User != "zoe" || got.Persona != "support" || got.Replaces != old.ID {
			t.Errorf("%s: the new key is %+v", name, got)
		}
		if got := keys[old.ID].ReplacedBy; got != next.ID {
			t.Errorf("%s: the old key is replaced by %q, want %q", name, got, next.ID)
		}
		until := func(k identity.Key) time.Duration {
			if k.Expires.IsZero() {
				return 0
			}
			return k.Expires.Sub(now)
		}
		if got := until(keys[old.ID]); got != tc.old {
			t.Errorf("%s: the old key goes on for %s, want %s", name, got, tc.old)
		}
		if got := until(keys[next.ID]); got != tc.next {
			t.Errorf("%s: the new key is for %s, want %s", name, got, tc.next)
		}
		works := func(secret string) bool {
			_, err := d.Authenticate(ctx, secret, inside)
			return err == nil
		}
		if !works(oldSecret) || !works(nextSecret) {
			t.Errorf("%s: not both keys work", name)
		}
		if now = now.Add(tc.old); works(oldSecret) || !works(nextSecret) {
			t.Errorf("%s: after the overlap not the new key alone works", name)
		}
		if _, _, err := d.RotateKey(ctx, identity.Operator(), old.ID, 0, nil); !errors.Is(err, identity.ErrInvalid) || !strings.Contains(err.Error(), next.ID) {
			t.Errorf("%s, again: got %v, want that it names %s", name, err, next.ID)
		}
	}
	if told != nil {
		t.Errorf("told %v, want nothing while keys go on", told)
	}
	_, last := issue(0)
	author := identity.Principal{Person: "ann", Roles: []identity.Role{identity.Author}}
	before, err := s.Entries(ctx, audit.Query{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	past := now.Add(-time.Hour)
	for name, err := range map[string]error{
		"an author": rotateError(ctx, d, author, last.ID, 0, nil), "nobody's key": rotateError(ctx, d, identity.Operator(), "nope", 0, nil),
		"backwards": rotateError(ctx, d, identity.Operator(), last.ID, -1, nil), "into the past": rotateError(ctx, d, identity.Operator(), last.ID, 0, &past),
	} {
		if err == nil {
			t.Errorf("%s: a key was rotated", name)
		}
	}
	after, err := s.Entries(ctx, audit.Query{Limit: 1000})
	if k, keyErr := s.Key(ctx, last.ID); err != nil || keyErr != nil || len(after) != len(before) || k.ReplacedBy != "" || !k.Expires.IsZero() {
		t.Errorf("rotations that failed left %d entries more and the key %+v", len(after)-len(before), k)
	}
	_, next, err := d.RotateKey(ctx, identity.Operator(), last.ID, 0, nil)
	if err != nil || !cmp.Equal(told, []string{"support"}) {
		t.Errorf("ended at once: got %v and told %v", err, told)
	}
	entries, err := s.Entries(ctx, audit.Query{Limit: 2})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range slices.Backward(entries) {
		got = append(got, e.Kind+" "+e.Key+" "+e.Detail["replaced_by"]+e.Detail["replaces"]+" "+e.Detail["tools"]+", "+e.Detail["limits"]+", "+e.Detail["addresses"])
	}
	const narrow = " crm/count, crm/find, at most 3 an hour, 203.0.113.0/24"
	want := []string{"key.rotate " + last.ID + " " + next.ID + narrow, "key.issue " + next.ID + " " + last.ID + narrow}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func rotateError(ctx context.Context, d *identity.Directory, by identity.Principal, id string, overlap time.Duration, expires *time.Time) error {
	_, _, err := d.RotateKey(ctx, by, id, overlap, expires)
	return err
}

// The use of a key is noted with its address, at most once a minute however many ask, and never that of a refused request.
func lastUse(t *testing.T, e engine) {
	s := e.open(t)
	defer s.Close()
	ctx, now := t.Context(), time.Date(2026, 11, 26, 12, 0, 30, 0, time.UTC)
	cache, err := store.NewCache(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	d := &identity.Directory{Store: cache, Now: func() time.Time { return now }}
	secret, key, err := d.IssueKey(ctx, identity.Operator(), identity.KeySpec{Agent: "bot", User: "zoe", Persona: "support",
		Bounds: identity.Bounds{Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		after time.Duration
		from  string
		want  string // time and address of the last use
	}{
		{0, "192.0.2.1", "0001-01-01T00:00:00Z "},
		{0, "10.0.0.1", "2026-11-26T12:00:30Z 10.0.0.1"},
		{40 * time.Second, "10.0.0.2", "2026-11-26T12:00:30Z 10.0.0.1"},
		{20 * time.Second, "10.0.0.3", "2026-11-26T12:01:30Z 10.0.0.3"},
		{time.Hour, "192.0.2.1", "2026-11-26T12:01:30Z 10.0.0.3"},
		{-2 * time.Hour, "10.0.0.4", "2026-11-26T12:01:30Z 10.0.0.3"}, // a clock that steps back
	} {
		now = now.Add(step.after)
		who, err := d.Authenticate(ctx, secret, netip.MustParseAddr(step.from))
		refused, isRefused := errors.AsType[*identity.KeyRefused](err)
		if inside := step.from[:3] == "10."; (err == nil) != inside || isRefused == inside {
			t.Fatalf("%s: got %+v, %v", step.from, who, err)
		}
		if isRefused && (!errors.Is(err, identity.ErrCredential) || refused.Of.Key != key.ID || who.Key != "") {
			t.Errorf("%s: got %+v, %v", step.from, who, err)
		}
		k, err := s.Key(ctx, key.ID)
		if got := k.LastUse.Format(time.RFC3339) + " " + k.LastFrom; err != nil || got != step.want {
			t.Errorf("%s: got %s, %v, want %s", step.from, got, err, step.want)
		}
		if remembered, err := cache.Key(ctx, key.ID); err != nil || !remembered.LastUse.Equal(k.LastUse) {
			t.Errorf("%s: the cache says %s, %v", step.from, remembered.LastUse, err)
		}
	}
}

// Bounds that cannot be read, or that a later version wrote, are not taken for none.
func unreadableBounds(t *testing.T, e engine) {
	s := e.open(t)
	defer s.Close()
	d := &identity.Directory{Store: s}
	secret, _, err := d.IssueKey(t.Context(), identity.Operator(), identity.KeySpec{Agent: "bot", User: "zoe", Persona: "support"})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "x", "[]", `{"tools":"crm/find"}`, `{"hours":[]}`, `{"addresses":["10.0.0.0"]}`} {
		if _, err := e.raw(t).Exec("update access_key set bounds = $1", text); err != nil {
			t.Fatal(err)
		}
		if who, err := d.Authenticate(t.Context(), secret, netip.Addr{}); err == nil || errors.Is(err, identity.ErrCredential) {
			t.Errorf("%s: got %+v, %v", text, who, err)
		}
	}
}

// Keys that were made before they could have bounds have none.
func keysByUpgrade(t *testing.T, e engine) {
	s := e.open(t)
	secret, key, err := (&identity.Directory{Store: s}).IssueKey(t.Context(), identity.Operator(), identity.KeySpec{Agent: "bot", User: "zoe", Persona: "support"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	downgrade(t, e, 13)
	s = e.open(t)
	defer s.Close()
	who, err := (&identity.Directory{Store: s}).Authenticate(t.Context(), secret, netip.Addr{})
	if want := (identity.Principal{Agent: "bot", User: "zoe", Persona: "support", Key: key.ID}); err != nil || !cmp.Equal(who, want) {
		t.Errorf("got %+v, %v, want %+v", who, err, want)
	}
}

// moving gives the persona away in the moment in which a key for it is added.
type moving struct{ *store.Store }

func (m moving) AddKey(ctx context.Context, k identity.Key, may func(string) (audit.Entry, error)) error {
	err := m.Update(ctx, "support", func(p persona.Persona) (persona.Persona, audit.Entry, error) {
		p.Team = "theirs"
		return p, entry("persona.team"), nil
	})
	return errors.Join(err, m.Store.AddKey(ctx, k, may))
}

// Nobody has a key for a persona that moves to another team at the same time.
func TestKeyOfAPersonaThatMoves(t *testing.T) {
	for _, e := range engines(t) {
		s := e.open(t)
		defer s.Close()
		p := sample(t)
		p.Team = "ours"
		if err := s.Update(t.Context(), "support", save(p)); err != nil {
			t.Fatal(err)
		}
		by := identity.Principal{Person: "rita", Roles: []identity.Role{identity.Reviewer}, Teams: []string{"ours"}}
		spec := identity.KeySpec{Agent: "bot", User: "zoe", Persona: "support"}
		if _, _, err := (&identity.Directory{Store: s}).IssueKey(t.Context(), by, spec); err != nil {
			t.Errorf("%s: before it moves: %v", e.name, err)
		}
		if _, _, err := (&identity.Directory{Store: moving{s}}).IssueKey(t.Context(), by, spec); !errors.Is(err, identity.ErrNotFound) {
			t.Errorf("%s: got %v, want that there is no such persona", e.name, err)
		}
		if keys, err := s.Keys(t.Context(), "support"); err != nil || len(keys) != 1 {
			t.Errorf("%s: got %d keys, %v, want 1", e.name, len(keys), err)
		}
	}
}
