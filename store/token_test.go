package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"remit/audit"
	"remit/identity"
)

// tokens: what is kept is what was made, with its entry; a name that somebody else has is not taken, also not after its end.
func tokens(t *testing.T, e engine) {
	s := e.open(t)
	defer s.Close()
	ctx, now := t.Context(), time.Now().UTC().Truncate(time.Microsecond)
	made := identity.Token{ID: "a", Hash: []byte{1}, Name: "ci", Roles: []identity.Role{identity.Author}, Created: now, By: "ann", Expires: now.Add(time.Hour)}
	entry := audit.Entry{Time: now, Kind: "token.issue", Decision: audit.Changed}
	if err := s.AddToken(ctx, made, entry); err != nil {
		t.Fatal(err)
	}
	taken := made
	taken.ID, taken.By = "b", "bob"
	for _, when := range []string{"while it lives", "after it was revoked"} {
		if err := s.AddToken(ctx, taken, entry); !errors.Is(err, identity.ErrTaken) {
			t.Errorf("somebody else's name %s: got %v", when, err)
		}
		if err := s.RevokeToken(ctx, "a", now, entry); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.RevokeToken(ctx, "a", now.Add(time.Hour), entry); err != nil {
		t.Fatal(err)
	}
	if err := s.TouchToken(ctx, "a", now.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := s.TouchToken(ctx, "a", now); err != nil {
		t.Fatal(err)
	}
	made.Revoked, made.LastUse = now, now.Add(time.Minute)
	got, err := s.Token(ctx, "a")
	if diff := cmp.Diff(made, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	next := made
	next.ID = "c"
	if err := s.AddToken(ctx, next, entry); err != nil {
		t.Errorf("one's own name again: %v", err)
	}
	all, err := s.Tokens(ctx)
	if err != nil || len(all) != 2 {
		t.Errorf("got %v, %v", all, err)
	}
	if _, err := s.Token(ctx, "b"); !errors.Is(err, identity.ErrNotFound) {
		t.Errorf("one that was refused: got %v", err)
	}
	entries, err := s.Entries(ctx, audit.Query{Limit: 100})
	if err != nil || len(entries) != 5 {
		t.Errorf("got %d entries, %v, want one of each change", len(entries), err)
	}
}
