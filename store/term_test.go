package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"remit/audit"
	"remit/persona"
)

// A persona's dates, and what was seen of them, survive a restart and another revision; that they were looked at is only
// kept forward, and only of personas that have dates.
func terms(t *testing.T, e engine) {
	s := e.open(t)
	at := time.Date(2026, 11, 26, 12, 0, 0, 1000, time.UTC)
	want := persona.Term{Dates: persona.Dates{Expires: at.Add(time.Hour), Recertify: at.Add(time.Minute), Missed: persona.Refuse},
		Seen: at, Ended: at.Add(time.Second), ToldExpiry: persona.Soon, ToldRecertification: persona.Overdue}
	p := sample(t)
	p.Term = want
	other := sample(t)
	other.ID = "other"
	if err := errors.Join(s.Update(t.Context(), p.ID, save(p)), s.Update(t.Context(), other.ID, save(other)), s.Close()); err != nil {
		t.Fatal(err)
	}
	s = e.open(t)
	defer s.Close()
	same := func(what string, want persona.Term) {
		t.Helper()
		got, err := s.Persona(t.Context(), p.ID)
		all, err2 := s.Personas(t.Context())
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.Term) + cmp.Diff(persona.Term{}, all[0].Term) + cmp.Diff(want, all[1].Term); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	same("after a restart", want)
	title := func(p persona.Persona) (persona.Persona, audit.Entry, error) {
		p.Title = "Another"
		return p, entry("persona.test"), nil
	}
	if err := errors.Join(s.Update(t.Context(), p.ID, title), s.TermsSeen(t.Context(), at.Add(time.Minute)), s.TermsSeen(t.Context(), at)); err != nil {
		t.Fatal(err)
	}
	want.Seen = at.Add(time.Minute)
	same("after another change, seen later and then earlier", want)
	none := func(p persona.Persona) (persona.Persona, audit.Entry, error) {
		p.Term = persona.Term{}
		return p, entry("persona.test"), errors.New("no")
	}
	if err := s.Update(t.Context(), p.ID, none); err == nil {
		t.Error("a change that failed: got no error")
	}
	same("after a change that failed", want)
}
