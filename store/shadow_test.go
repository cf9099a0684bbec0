package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"remit/audit"
	"remit/identity"
	"remit/persona"
)

// A reviewer runs a revision beside the live one: that holds over a restart and other changes, and ends when the revision may
// run no more. Each of these has its entry.
func shadows(t *testing.T, e engine) {
	s := e.open(t)
	find := tool(t, "crm", "find", "1")
	offer(t, s, find)
	p := golive(t, s, persona.Live, find)
	for number, state := range map[int]persona.State{2: persona.Returned, 3: persona.Submitted, 4: persona.Draft} {
		for len(p.Revisions) < number {
			p.Revisions = append(p.Revisions, p.Revisions[0])
		}
		p.Revisions[number-1].Number, p.Revisions[number-1].State = number, state
	}
	for i := range p.Revisions {
		p.Revisions[i].Number = i + 1
	}
	if err := s.Update(t.Context(), p.ID, save(p)); err != nil {
		t.Fatal(err)
	}
	at := time.Now().UTC().Truncate(time.Microsecond)
	r := &persona.Registry{Store: s, Now: func() time.Time { return at }}
	author := identity.Principal{Person: "ann", Roles: []identity.Role{identity.Author}}
	for name, tc := range map[string]struct {
		by     identity.Principal
		number int
		want   error
	}{
		"an author": {author, 3, persona.ErrForbidden}, "an agent": {identity.Principal{Agent: "bot", Persona: "support"}, 3, persona.ErrForbidden},
		"a draft": {reviewer, 4, persona.ErrState}, "the live one": {reviewer, 1, persona.ErrState}, "none": {reviewer, 5, persona.ErrNotFound},
	} {
		if err := r.StartShadow(t.Context(), tc.by, p.ID, tc.number); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
	}
	if err := r.StopShadow(t.Context(), reviewer, p.ID); !errors.Is(err, persona.ErrState) {
		t.Errorf("got %v, want that none runs", err)
	}
	for _, number := range []int{2, 3} { // the second takes the place of the first
		if err := r.StartShadow(t.Context(), reviewer, p.ID, number); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.StopShadow(t.Context(), author, p.ID); !errors.Is(err, persona.ErrForbidden) {
		t.Errorf("an author stops it: got %v", err)
	}
	if err := errors.Join(r.SendBack(t.Context(), reviewer, p.ID, 3, "no"), s.Close()); err != nil {
		t.Fatal(err)
	}
	s = e.open(t)
	defer s.Close()
	r.Store = s
	got, err := s.Persona(t.Context(), p.ID)
	if want := (persona.Shadow{Revision: 3, Person: "ravi", Since: at}); err != nil || got.Shadow != want {
		t.Errorf("got %+v, %v, want %+v", got.Shadow, err, want)
	}
	if beside, ok := got.Beside(); !ok || beside.Number != 3 {
		t.Errorf("got revision %d, %v beside the live one, want 3", beside.Number, ok)
	}
	if all, err := s.Personas(t.Context()); err != nil || all[0].Shadow != got.Shadow {
		t.Errorf("in the list: got %+v, %v", all, err)
	}
	if err := r.Retire(t.Context(), reviewer, p.ID); err != nil {
		t.Fatal(err)
	}
	if got, err = s.Persona(t.Context(), p.ID); err != nil || got.Shadow != (persona.Shadow{}) {
		t.Errorf("of a retired persona: got %+v, %v", got.Shadow, err)
	}
	last, err := s.Entries(t.Context(), audit.Query{Limit: 4})
	if err != nil || last[0].Detail["shadow ended"] != "3" || last[2].Kind != "shadow.start" || last[2].Revision != 3 || last[2].Person != "ravi" {
		t.Errorf("got %+v, %v", last, err)
	}
}

// What shadows would have decided is found and counted by columns, which the chain is held against.
func shadowDecisions(t *testing.T, e engine) {
	s := e.open(t)
	call := func(persona, tool string, d audit.Decision, rule string, shadow audit.Shadow) audit.Entry {
		return audit.Entry{Time: noon, Kind: audit.ToolCall, Persona: persona, Tool: tool, Decision: d, Policy: rule, Shadow: shadow}
	}
	hours := audit.Shadow{Revision: 2, Decision: audit.Refused, Policy: "policy/hours", Reason: "late"}
	for _, entry := range []audit.Entry{
		call("a", "s/t", audit.Allowed, "", audit.Shadow{}),
		call("a", "s/t", audit.Allowed, "", hours), call("a", "s/t", audit.Allowed, "", hours),
		call("a", "s/t", audit.Refused, "find", audit.Shadow{Revision: 2, Decision: audit.Allowed}),
		call("a", "s/t", audit.Allowed, "", audit.Shadow{Revision: 3, Decision: audit.Undecided, Reason: "it broke off"}),
		call("b", "s/t", audit.Allowed, "", hours),
	} {
		if err := s.Append(t.Context(), entry); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		q    audit.Query
		want []int64
	}{
		{audit.Query{Shadow: 2}, []int64{6, 4, 3, 2}}, {audit.Query{Shadow: 2, Persona: "a"}, []int64{4, 3, 2}}, {audit.Query{Shadow: 4}, nil},
		{audit.Query{ShadowDecision: audit.Undecided}, []int64{5}}, {audit.Query{ShadowPolicy: "policy"}, []int64{6, 3, 2}}, {audit.Query{ShadowPolicy: "policy/h"}, nil},
	} {
		if got, err := s.Entries(t.Context(), tc.q); err != nil || !cmp.Equal(numbers(got), tc.want) {
			t.Errorf("%+v: got %v, %v, want %v", tc.q, numbers(got), err, tc.want)
		}
	}
	hours.Reason = ""
	got, err := s.ShadowTallies(t.Context(), audit.Query{Persona: "a", Shadow: 2})
	want := []audit.ShadowTally{{Tool: "s/t", Decision: audit.Allowed, Shadow: hours, Count: 2, First: noon, Last: noon},
		{Tool: "s/t", Decision: audit.Refused, Policy: "find", Shadow: audit.Shadow{Revision: 2, Decision: audit.Allowed}, Count: 1, First: noon, Last: noon}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
	if _, err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
	s.Close()
	if _, err := e.raw(t).Exec("update audit set shadow_decision = 'allowed' where seq = 2"); err != nil {
		t.Fatal(err)
	}
	s = e.open(t)
	defer s.Close()
	if _, err := s.Verify(t.Context()); err == nil {
		t.Error("an edited column was not found")
	}
}
