package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"remit/audit"
	"remit/catalog"
	"remit/identity"
	"remit/persona"
	"remit/store"
)

// A person stops a persona, a server and a tool. That holds over a restart, over new revisions and over what the crawler
// finds, until a person resumes it; each of both has its entry, and what is refused has none.
func suspensions(t *testing.T, e engine) {
	s := e.open(t)
	find, drop := tool(t, "crm", "find", "1"), tool(t, "crm", "drop", "1")
	offer(t, s, find, drop)
	golive(t, s, persona.Live, find)
	at := time.Now().UTC().Truncate(time.Microsecond)
	registry := func(s *store.Store) *persona.Registry {
		return &persona.Registry{Store: s, Now: func() time.Time { return at }}
	}
	author := identity.Principal{Person: "ann", Roles: []identity.Role{identity.Author}}
	admin := identity.Principal{Person: "root", Roles: []identity.Role{identity.Admin}}
	agent := identity.Principal{Agent: "bot", User: "zoe", Persona: "support", Key: "k"}
	one := func(k persona.Kind, name string) persona.Target { return persona.Target{Kind: k, Name: name} }
	for name, tc := range map[string]struct {
		by     identity.Principal
		target persona.Target
		reason string
		want   error
	}{
		"an author":     {author, one(persona.OneTool, "crm/find"), "r", persona.ErrForbidden},
		"an agent":      {agent, one(persona.OneTool, "crm/find"), "r", persona.ErrForbidden},
		"no reason":     {reviewer, one(persona.OneTool, "crm/find"), " \n", persona.ErrInvalid},
		"long reason":   {reviewer, one(persona.OneTool, "crm/find"), string(make([]byte, 501)), persona.ErrInvalid},
		"other kind":    {reviewer, one("key", "k"), "r", persona.ErrInvalid},
		"no such tool":  {reviewer, one(persona.OneTool, "crm/fin"), "r", persona.ErrNoTarget},
		"no server":     {reviewer, one(persona.OneServer, "crm/find"), "r", persona.ErrNoTarget},
		"no persona":    {reviewer, one(persona.OnePersona, ""), "r", persona.ErrNoTarget},
		"another case":  {reviewer, one(persona.OneServer, "CRM"), "r", persona.ErrNoTarget},
		"other's kind":  {reviewer, one(persona.OnePersona, "crm"), "r", persona.ErrNoTarget},
		"invalid UTF-8": {reviewer, one(persona.OneServer, "crm"), "\xff", persona.ErrInvalid},
	} {
		if err := registry(s).Suspend(t.Context(), tc.by, tc.target, tc.reason); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
	}
	want := []persona.Suspension{
		{Target: one(persona.OnePersona, "support"), Person: "ravi", Reason: "an incident", At: at},
		{Target: one(persona.OneServer, "crm"), Person: "root", Reason: "an incident", At: at},
		{Target: one(persona.OneTool, "crm/find"), Person: "ravi", Reason: "an incident", At: at},
	}
	for _, v := range want {
		by := map[string]identity.Principal{"ravi": reviewer, "root": admin}[v.Person]
		if err := registry(s).Suspend(t.Context(), by, v.Target, "  an incident "); err != nil {
			t.Fatalf("%s: %v", v.Target, err)
		}
		if err := registry(s).Suspend(t.Context(), by, v.Target, "again"); !errors.Is(err, persona.ErrSuspended) {
			t.Errorf("%s again: got %v, want ErrSuspended", v.Target, err)
		}
	}
	offer(t, s) // the server takes its tools back
	offer(t, s, find, drop)
	if err := errors.Join(s.Forget(t.Context(), "crm", at), s.Close()); err != nil {
		t.Fatal(err)
	}
	s = e.open(t)
	defer s.Close()
	p, err := s.Persona(t.Context(), "support")
	if err != nil {
		t.Fatal(err)
	}
	next := p.Revisions[0]
	next.Number, p.Revisions[0].State = 2, persona.Approved
	p.Revisions = append(p.Revisions, next)
	if err := s.Update(t.Context(), p.ID, save(p)); err != nil {
		t.Fatal(err)
	}
	got, err := s.Suspensions(t.Context())
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("after a restart and another revision: %v (-want +got):\n%s", err, diff)
	}
	for _, v := range want {
		if err := registry(s).Resume(t.Context(), author, v.Target); !errors.Is(err, persona.ErrForbidden) {
			t.Errorf("an author resumes %s: got %v", v.Target, err)
		}
		if err := registry(s).Resume(t.Context(), reviewer, v.Target); err != nil {
			t.Errorf("%s: %v", v.Target, err)
		}
		if err := registry(s).Resume(t.Context(), reviewer, v.Target); !errors.Is(err, persona.ErrNotSuspended) {
			t.Errorf("%s again: got %v, want ErrNotSuspended", v.Target, err)
		}
	}
	if got, err := s.Suspensions(t.Context()); err != nil || len(got) > 0 {
		t.Errorf("got %v, %v, want none", got, err)
	}
	suspensionEntries(t, s)
}

func suspensionEntries(t *testing.T, s *store.Store) {
	t.Helper()
	var got []string
	for _, kind := range []string{"persona.suspend", "server.suspend", "tool.suspend", "persona.resume", "server.resume", "tool.resume"} {
		entries, err := s.Entries(t.Context(), audit.Query{Kind: kind})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			got = append(got, e.Kind+" "+e.Person+" "+e.Persona+e.Detail["server"]+e.Tool+" "+e.Reason)
		}
	}
	want := []string{"persona.suspend ravi support an incident", "server.suspend root crm an incident", "tool.suspend ravi crm/find an incident",
		"persona.resume ravi support ", "server.resume ravi crm ", "tool.resume ravi crm/find "}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

// A tool that its server took back, and whose definition nobody pins any more, can be stopped while a revision grants it.
func suspendedWhileGone(t *testing.T, e engine) {
	s := e.open(t)
	defer s.Close()
	approved := tool(t, "crm", "find", "approved")
	offer(t, s, approved)
	golive(t, s, persona.Live, approved)
	offer(t, s, tool(t, "crm", "find", "poisoned"))
	offer(t, s)
	if tools, err := s.Tools(t.Context()); err != nil || len(tools) != 0 {
		t.Fatalf("got %v, %v, want no tool", tools, err)
	}
	r := persona.Registry{Store: s}
	if err := r.Suspend(t.Context(), reviewer, persona.Target{Kind: persona.OneTool, Name: string(approved.ID)}, "it comes and goes"); err != nil {
		t.Error(err)
	}
	all, err := s.Suspensions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[catalog.ID]bool{approved.ID: true, "crm/find2": false, "": false} {
		if _, got := persona.Stopped(all, "support", id); got != want {
			t.Errorf("%q: got %v, want %v", id, got, want)
		}
	}
}
