package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"remit/audit"
	"remit/catalog"
	"remit/catalog/crawl"
	"remit/identity"
	"remit/persona"
	"remit/store"
)

var reviewer = identity.Principal{Person: "ravi", Roles: []identity.Role{identity.Reviewer}}

// offer saves a listing of server crm.
func offer(t *testing.T, s *store.Store, tools ...catalog.Tool) crawl.Changes {
	t.Helper()
	c, err := s.SaveListing(t.Context(), crawl.Turn{Server: "crm"}, tools, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// golive stores a persona with a revision that pins the tool. A revision that is live from the start was never reviewed here.
func golive(t *testing.T, s *store.Store, state persona.State, tools ...catalog.Tool) persona.Persona {
	t.Helper()
	p := sample(t)
	p.Revisions[0].State, p.Revisions[0].Grants = state, nil
	for _, tl := range tools {
		p.Revisions[0].Grants = append(p.Revisions[0].Grants, persona.Grant{Pin: persona.Pin{Tool: tl.ID, Digest: tl.Digest, Definition: tl.Definition}, Name: tl.Name})
	}
	if err := s.Update(t.Context(), p.ID, save(p)); err != nil {
		t.Fatal(err)
	}
	return p
}

func isFrozen(t *testing.T, s *store.Store, tl catalog.Tool) bool {
	t.Helper()
	_, frozen, err := s.Frozen(t.Context(), "support", 1, persona.Pin{Tool: tl.ID, Digest: tl.Digest})
	if err != nil {
		t.Fatal(err)
	}
	return frozen
}

func frozenPins(t *testing.T, e engine) {
	s := e.open(t)
	approved, other, harmless := tool(t, "crm", "find", "approved"), tool(t, "crm", "find", "poisoned"), tool(t, "crm", "drop", "1")
	offer(t, s, approved, harmless)
	golive(t, s, persona.Live, approved, harmless)
	offer(t, s, other, harmless)
	offer(t, s, approved, harmless)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = e.open(t)
	defer s.Close()
	if !isFrozen(t, s, approved) || isFrozen(t, s, harmless) {
		t.Error("a tool that changed and changed back must stay frozen after a restart, and no other")
	}
	agent := identity.Principal{Agent: "bot", User: "zoe", Persona: "support", Key: "k"}
	for name, tc := range map[string]struct {
		by   identity.Principal
		id   catalog.ID
		seen catalog.Digest
		want error
	}{
		"an agent":       {agent, approved.ID, approved.Digest, persona.ErrForbidden},
		"other bytes":    {reviewer, approved.ID, other.Digest, persona.ErrNotFrozen},
		"what never was": {reviewer, harmless.ID, harmless.Digest, persona.ErrNotFrozen},
	} {
		if err := s.Thaw(t.Context(), tc.by, tc.id, tc.seen, time.Now()); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
	}
	offer(t, s, other, harmless)
	if err := s.Thaw(t.Context(), reviewer, approved.ID, approved.Digest, time.Now()); !errors.Is(err, persona.ErrDrifted) {
		t.Errorf("while it differs: got %v, want ErrDrifted", err)
	}
	offer(t, s, approved, harmless)
	if err := s.Thaw(t.Context(), reviewer, approved.ID, approved.Digest, time.Now()); err != nil || isFrozen(t, s, approved) {
		t.Errorf("a person's confirmation: got %v", err)
	}
	entries, err := s.Entries(t.Context(), audit.Query{Kind: "tool.thaw"})
	if err != nil || len(entries) != 1 || entries[0].Person != "ravi" || entries[0].Digest != string(approved.Digest) || entries[0].Detail["pins"] != "support/1" {
		t.Errorf("got entries %+v, %v", entries, err)
	}
	offer(t, s, harmless)
	offer(t, s, approved, harmless)
	if !isFrozen(t, s, approved) {
		t.Error("a tool that was gone and came back is not frozen")
	}
	if pins, err := s.FrozenPins(t.Context()); err != nil || len(pins) != 1 || !pins[0].Confirmable() || pins[0].Tool != approved.ID {
		t.Errorf("got %+v, %v", pins, err)
	}
}

// What a reviewer approves is what is offered then: a drift during the review is no drift of what went live.
func approvalThaws(t *testing.T, e engine) {
	s := e.open(t)
	defer s.Close()
	approved, other := tool(t, "crm", "find", "approved"), tool(t, "crm", "find", "poisoned")
	offer(t, s, approved)
	p := golive(t, s, persona.Submitted, approved)
	offer(t, s, other)
	for _, step := range []struct {
		offered catalog.Tool
		want    bool
	}{{other, true}, {approved, false}} {
		offer(t, s, step.offered)
		p.Revisions[0].State = persona.Submitted
		if err := s.Update(t.Context(), p.ID, save(p)); err != nil {
			t.Fatal(err)
		}
		p.Revisions[0].State = persona.Live
		if err := s.Update(t.Context(), p.ID, save(p)); err != nil {
			t.Fatal(err)
		}
		if got := isFrozen(t, s, approved); got != step.want {
			t.Errorf("approved while %q was offered: frozen %v, want %v", step.offered.Description, got, step.want)
		}
	}
}

// Rolling back is no look at what is offered: what drifted since it was approved is refused with the change, whatever the
// caller's catalog says.
func rollbackKeepsFrozen(t *testing.T, e engine) {
	s := e.open(t)
	defer s.Close()
	approved, other := tool(t, "crm", "find", "approved"), tool(t, "crm", "find", "poisoned")
	offer(t, s, approved)
	p := golive(t, s, persona.Live, approved)
	offer(t, s, other)
	offer(t, s, approved)
	for _, step := range []struct {
		state persona.State
		want  error
	}{{persona.Approved, nil}, {persona.Live, persona.ErrFrozen}} {
		p.Revisions[0].State = step.state
		if err := s.Update(t.Context(), p.ID, save(p)); !errors.Is(err, step.want) {
			t.Errorf("%s: got %v, want %v", step.state, err, step.want)
		}
	}
	if got, err := s.Persona(t.Context(), p.ID); err != nil || got.Revisions[0].State != persona.Approved || !isFrozen(t, s, approved) {
		t.Errorf("got %v, %v, want it approved and its pin frozen", got.Revisions[0].State, err)
	}
}

// A narrowed revision is made from the live one unseen: what is frozen of it stays frozen, and thaws together with it.
func narrowingKeepsFrozen(t *testing.T, e engine) {
	s := e.open(t)
	approved, other, harmless := tool(t, "crm", "find", "approved"), tool(t, "crm", "find", "poisoned"), tool(t, "crm", "drop", "1")
	offer(t, s, approved, harmless)
	golive(t, s, persona.Live, approved, harmless)
	offer(t, s, other, harmless)
	offer(t, s, approved, harmless)
	r := persona.Registry{Store: s}
	if err := r.Narrow(t.Context(), reviewer, "support", []catalog.ID{harmless.ID}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = e.open(t)
	defer s.Close()
	p, err := s.Persona(t.Context(), "support")
	if live, _ := p.Live(); err != nil || live.Number != 2 || live.Narrowed != "ravi" || len(live.Grants) != 1 || len(live.Grants[0].Definition) == 0 {
		t.Errorf("got %+v, %v, want revision 2 with one tool, narrowed by ravi", p, err)
	}
	pins, err := s.FrozenPins(t.Context())
	if err != nil || len(pins) != 1 || pins[0].Revision != 2 || pins[0].Tool != approved.ID || pins[0].Since.IsZero() {
		t.Errorf("got frozen pins %+v, %v", pins, err)
	}
	if err := s.Thaw(t.Context(), reviewer, approved.ID, approved.Digest, time.Now()); err != nil || isFrozen(t, s, approved) {
		t.Errorf("a person's confirmation: got %v", err)
	}
}

// A server that is taken out of the configuration and put back did not change.
func forgottenServer(t *testing.T, e engine) {
	s := e.open(t)
	defer s.Close()
	approved := tool(t, "crm", "find", "approved")
	offer(t, s, approved)
	golive(t, s, persona.Live, approved)
	if err := s.Forget(t.Context(), "crm", time.Now()); err != nil {
		t.Fatal(err)
	}
	if tools, err := s.Tools(t.Context()); err != nil || len(tools) != 1 || !tools[0].Gone {
		t.Errorf("got %+v, %v, want the pinned tool as gone", tools, err)
	}
	if offer(t, s, approved); isFrozen(t, s, approved) {
		t.Error("the pin is frozen")
	}
	if _, err := s.Freeze(t.Context(), "crm", []catalog.Tool{tool(t, "crm", "find", "poisoned")}, time.Now(), "the server is unsteady"); err != nil || !isFrozen(t, s, approved) {
		t.Errorf("Freeze: got %v, want a frozen pin", err)
	}
	if tools, err := s.Tools(t.Context()); err != nil || len(tools) != 1 || tools[0].Description != "approved" {
		t.Errorf("Freeze kept more than it should: %+v, %v", tools, err)
	}
}

// However often a server changes, only what it offers and what is pinned is kept.
func sweptDefinitions(t *testing.T, e engine) {
	s := e.open(t)
	defer s.Close()
	pinned := tool(t, "crm", "find", "approved")
	offer(t, s, pinned)
	golive(t, s, persona.Live, pinned)
	for i := range 20 {
		offer(t, s, tool(t, "crm", "find", time.Duration(i).String()), tool(t, "crm", time.Duration(i).String(), "new each time"))
	}
	count := map[string]int{}
	for _, table := range []string{"definition", "tool", "frozen"} {
		var n int
		if err := e.raw(t).QueryRow("select count(*) from " + table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		count[table] = n
	}
	if diff := cmp.Diff(map[string]int{"definition": 3, "tool": 2, "frozen": 1}, count); diff != "" {
		t.Errorf("rows (-want +got): %s", diff)
	}
}

// A pin that was drifted from when Remit was upgraded stays frozen as well.
func frozenByUpgrade(t *testing.T, e engine) {
	s := e.open(t)
	approved, other, harmless := tool(t, "crm", "find", "approved"), tool(t, "crm", "find", "poisoned"), tool(t, "crm", "drop", "1")
	offer(t, s, approved, harmless)
	golive(t, s, persona.Live, approved, harmless)
	offer(t, s, other, harmless)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	downgrade(t, e, 2)
	s = e.open(t)
	defer s.Close()
	if offer(t, s, approved, harmless); !isFrozen(t, s, approved) || isFrozen(t, s, harmless) {
		t.Error("only the tool that was drifted from must be frozen")
	}
}
