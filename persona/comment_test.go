package persona_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"remit/audit"
	"remit/catalog"
	"remit/identity"
	"remit/persona"
)

// TestComment: people who write or review say something of a tool; it is kept over saves, recorded, and decides nothing.
func TestComment(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	if err := w.Create(ctx, ada, "support", "Support", proposal("crm/find", "billing/find")); err != nil {
		t.Fatal(err)
	}
	const hostile = "<script>alert(1)</script>\u202e"
	token := identity.Principal{Person: "ravi", Token: "t", Roles: []identity.Role{identity.Reviewer}}
	for _, tc := range []struct {
		name string
		by   identity.Principal
		rev  int
		tool catalog.ID
		text string
		want error
	}{
		{"an author", ada, 1, "crm/find", "Why this one?", nil},
		{"a reviewer, with hostile text", ravi, 1, "crm/find", hostile, nil},
		{"an agent", agent, 1, "crm/find", "I am fine", persona.ErrForbidden},
		{"a token", token, 1, "crm/find", "I am fine", identity.ErrMachine},
		{"another role", identity.Principal{Person: "vic", Roles: []identity.Role{identity.Viewer}}, 1, "crm/find", "x", persona.ErrForbidden},
		{"no text", ravi, 1, "crm/find", " \n", persona.ErrInvalid},
		{"no UTF-8", ravi, 1, "crm/find", "\xff", persona.ErrInvalid},
		{"too much", ravi, 1, "crm/find", strings.Repeat("x", persona.MaxComment+1), persona.ErrInvalid},
		{"a tool that is not granted", ravi, 1, "crm/delete", "x", persona.ErrInvalid},
		{"no revision", ravi, 2, "crm/find", "x", persona.ErrNotFound},
	} {
		check(t, tc.name, w.Comment(ctx, tc.by, "support", tc.rev, tc.tool, tc.text), tc.want)
	}
	if err := w.Revise(ctx, ada, "support", proposal("crm/find")); err != nil {
		t.Fatal(err)
	}
	check(t, "submit", w.Submit(ctx, ada, "support", 1), nil)
	check(t, "a comment during the review", w.Comment(ctx, ravi, "support", 1, "crm/find", "Too much."), nil)
	check(t, "approve, after a comment of the reviewer's own", w.SendBack(ctx, ravi, "support", 1, "see the comments"), nil)
	check(t, "a comment on what was sent back", w.Comment(ctx, ravi, "support", 1, "crm/find", "x"), persona.ErrState)
	check(t, "the next draft", w.Revise(ctx, ada, "support", proposal("crm/find")), nil)
	check(t, "an answer", w.Comment(ctx, ada, "support", 2, "crm/find", "Done."), nil)

	p, err := w.store.Persona(ctx, "support")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range p.Said(2, "crm/find") {
		got = append(got, c.By+": "+c.Text)
	}
	if diff := cmp.Diff([]string{"ada: Why this one?", "ravi: " + hostile, "ravi: Too much.", "ada: Done."}, got); diff != "" {
		t.Error(diff)
	}
	check(t, "submit again", w.Submit(ctx, ada, "support", 2), nil)
	check(t, "approve by somebody who commented", w.Approve(ctx, ravi, "support", 2, w.revision(t, 2).Digests()), nil)
	check(t, "a comment on what is live", w.Comment(ctx, ravi, "support", 2, "crm/find", "x"), persona.ErrState)

	entries, err := w.store.Entries(ctx, audit.Query{Kind: "persona.comment", Limit: 100})
	if err != nil || len(entries) != 4 {
		t.Fatalf("got %d entries, %v, want one for each comment", len(entries), err)
	}
	want := map[string]string{"tool": "crm/find", "text": audit.Digest([]byte("Why this one?")), "state": "draft", "tools": "2"}
	if diff := cmp.Diff(want, entries[len(entries)-1].Detail, cmpopts.EquateEmpty()); diff != "" || entries[len(entries)-1].Actor.Person != "ada" {
		t.Errorf("the record: %s %+v", diff, entries[len(entries)-1].Actor)
	}
}

// TestCommentsAreBounded: a revision holds so many comments and no more.
func TestCommentsAreBounded(t *testing.T) {
	w := newWorld(t)
	if err := w.Create(t.Context(), ada, "support", "Support", proposal("crm/find")); err != nil {
		t.Fatal(err)
	}
	var err error
	for n := 0; err == nil && n <= 200; n++ {
		err = w.Comment(t.Context(), ada, "support", 1, "crm/find", "x")
	}
	if !errors.Is(err, persona.ErrInvalid) || len(w.revision(t, 1).Comments) != 200 {
		t.Errorf("got %d comments and %v", len(w.revision(t, 1).Comments), err)
	}
}

// TestSubmittedIsTold: whoever is to hear that a revision waits hears it once, and not of one that was refused.
func TestSubmittedIsTold(t *testing.T) {
	w := newWorld(t)
	var told []persona.Submission
	w.Submitted = func(s persona.Submission) { told = append(told, s) }
	check(t, "create", w.Create(t.Context(), ada, "support", "Support", proposal("crm/find")), nil)
	check(t, "submit by a reviewer", w.Submit(t.Context(), ravi, "support", 1), persona.ErrForbidden)
	check(t, "submit", w.Submit(t.Context(), ada, "support", 1), nil)
	check(t, "submit twice", w.Submit(t.Context(), ada, "support", 1), persona.ErrState)
	if len(told) != 1 || told[0].Persona != "support" || told[0].By != "ada" || told[0].Tools != 1 || told[0].Title != "Support" || told[0].At.IsZero() {
		t.Errorf("got %+v", told)
	}
	waiting, err := w.store.Submitted(t.Context())
	if err != nil || len(waiting) != 1 || waiting[0].ID != "support" || !waiting[0].Revisions[0].WrittenBy("ada") {
		t.Errorf("got %+v, %v", waiting, err)
	}
}
