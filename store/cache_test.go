package store_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"remit/audit"
	"remit/identity"
	"remit/persona"
	"remit/store"
)

// Whatever an agent's request is decided by, a change of it holds on the next read from memory, also when another process made it.
func cache(t *testing.T, e engine) {
	mine, theirs := e.open(t), e.open(t)
	defer mine.Close()
	defer theirs.Close()
	c, err := store.NewCache(t.Context(), mine)
	if err != nil {
		t.Fatal(err)
	}
	approved, other := tool(t, "crm", "find", "approved"), tool(t, "crm", "find", "poisoned")
	offer(t, theirs, approved)
	p := golive(t, theirs, persona.Live, approved)
	pin := persona.Pin{Tool: approved.ID, Digest: approved.Digest}
	key := func(change func(*identity.Key)) error {
		return theirs.UpdateKey(t.Context(), "k", func(k identity.Key) (identity.Key, audit.Entry, error) {
			k.ID, k.Hash, k.Persona, k.User, k.Expires = "k", []byte("hash"), "support", "zoe", time.Now().Add(time.Hour)
			change(&k)
			return k, entry("key.change"), nil
		})
	}
	people := &identity.Directory{Store: theirs}
	now := time.Now()
	suspension := persona.Suspension{Target: persona.Target{Kind: persona.OnePersona, Name: "support"}, Person: "ravi", Reason: "r", At: time.Now()}
	type state struct {
		key                                 string
		live, suspended, isFrozen, shadowed bool
		term                                string // that refuses
		groups, users                       string
	}
	read := func() (got state) {
		t.Helper()
		for range 2 { // the second time from memory
			k, keyErr := c.Key(t.Context(), "k")
			p, personaErr := c.Persona(t.Context(), "support")
			known, personErr := c.PersonOf(t.Context(), "https://id.example", "s1")
			if errors.Is(personErr, identity.ErrNotFound) {
				personErr = nil
			}
			stopped, stoppedErr := c.Suspensions(t.Context())
			_, frozen, frozenErr := c.Frozen(t.Context(), "support", 1, pin)
			if errors.Is(keyErr, identity.ErrNotFound) {
				keyErr = nil
			}
			if err := errors.Join(keyErr, personErr, personaErr, stoppedErr, frozenErr); err != nil {
				t.Fatal(err)
			}
			got = state{suspended: len(stopped) > 0, isFrozen: frozen, shadowed: p.Shadow.Revision != 0}
			over, _ := p.Term.Over(now)
			got.term, got.groups, got.users = over.Rule, strings.Join(known.Groups, " "), strings.Join(append(p.Users.People, p.Users.Groups...), " ")
			if _, got.live = p.Live(); k.ID != "" {
				got.key = string(k.State(time.Now())) + strings.Join(k.Bounds.Tools, ", ")
			}
		}
		return got
	}
	shadow := func(revision int) error {
		p := p
		p.Shadow = persona.Shadow{Revision: revision}
		return theirs.Update(t.Context(), p.ID, save(p))
	}
	person := func(groups ...string) error {
		return theirs.UpdatePerson(t.Context(), "lea", identity.Ends{}, func(p identity.Person) (identity.Person, audit.Entry, error) {
			p.Name, p.Issuer, p.Subject, p.Groups = "lea", "https://id.example", "s1", groups
			return p, entry("person.groups"), nil
		})
	}
	used := p
	used.Users = identity.Users{People: []string{"lea"}, Groups: []string{"g"}}
	stepped := p
	stepped.Revisions = slices.Clone(p.Revisions)
	stepped.Revisions[0].State = persona.Approved
	dated := p
	dated.Term.Expires = now.Add(time.Hour)
	expired := p
	expired.Term.Expires = now
	for _, step := range []struct {
		name   string
		change func() error
		want   state
	}{
		{"nothing yet", func() error { return nil }, state{live: true}},
		{"a key", func() error { return key(func(*identity.Key) {}) }, state{key: "expiring", live: true}},
		{"a person", func() error { return person("g", "h") }, state{key: "expiring", live: true, groups: "g h"}},
		{"fewer groups", func() error { return person() }, state{key: "expiring", live: true}},
		{"users", func() error { return theirs.Update(t.Context(), p.ID, save(used)) }, state{key: "expiring", live: true, users: "lea g"}},
		{"no users", func() error { return theirs.Update(t.Context(), p.ID, save(p)) }, state{key: "expiring", live: true}},
		{"suspended", func() error { return theirs.Suspend(t.Context(), suspension, entry("persona.suspend")) }, state{key: "expiring", live: true, suspended: true}},
		{"resumed", func() error { return theirs.Resume(t.Context(), suspension, entry("persona.resume")) }, state{key: "expiring", live: true}},
		{"drifted", func() error { offer(t, theirs, other); offer(t, theirs, approved); return nil }, state{key: "expiring", live: true, isFrozen: true}},
		{"thawed", func() error { return theirs.Thaw(t.Context(), reviewer, approved.ID, approved.Digest, time.Now()) }, state{key: "expiring", live: true}},
		{"shadowed", func() error { return shadow(1) }, state{key: "expiring", live: true, shadowed: true}},
		{"shadow ended", func() error { return shadow(0) }, state{key: "expiring", live: true}},
		{"dated", func() error { return theirs.Update(t.Context(), p.ID, save(dated)) }, state{key: "expiring", live: true}},
		{"seen later", func() error { return theirs.TermsSeen(t.Context(), now.Add(time.Minute*30)) }, state{key: "expiring", live: true, term: "term/clock"}},
		{"expired", func() error { return theirs.Update(t.Context(), p.ID, save(expired)) }, state{key: "expiring", live: true, term: "term/expired"}},
		{"stepped down", func() error { return theirs.Update(t.Context(), p.ID, save(stepped)) }, state{key: "expiring"}},
		{"a user", func() error { return people.AddPerson(t.Context(), identity.Operator(), "zoe", nil, "") }, state{key: "expiring"}},
		{"disabled", func() error { return people.SetDisabled(t.Context(), identity.Operator(), "zoe", true) }, state{key: "stopped"}},
		{"enabled", func() error { return people.SetDisabled(t.Context(), identity.Operator(), "zoe", false) }, state{key: "expiring"}},
		{"narrowed by hand", func() error {
			_, err := e.raw(t).Exec(`update access_key set bounds = '{"tools":[" of crm/find"]}'`)
			return err
		}, state{key: "expiring of crm/find"}},
		{"revoked", func() error { return key(func(k *identity.Key) { k.Revoked = time.Now().Add(-time.Second) }) }, state{key: "revoked of crm/find"}},
	} {
		if err := step.change(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if got := read(); got != step.want {
			t.Errorf("%s: got %+v, want %+v", step.name, got, step.want)
		}
	}
	at := time.Now().UTC().Truncate(time.Minute)
	if err := c.TouchKey(t.Context(), "k", at, "203.0.113.9"); err != nil {
		t.Fatal(err)
	}
	if k, err := c.Key(t.Context(), "k"); err != nil || !k.LastUse.Equal(at) {
		t.Errorf("a use: got %v, %v", k.LastUse, err)
	}
}
