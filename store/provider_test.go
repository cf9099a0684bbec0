package store_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"remit/audit"
	"remit/identity"
)

// What a provider vouches for: one person a subject, keys that stop and go on with them, flows and logouts that count once.
func provided(t *testing.T, e engine) {
	s := e.open(t)
	defer s.Close()
	now := time.Now()
	ctx, d := t.Context(), &identity.Directory{Store: s, Now: func() time.Time { return now }, Rules: identity.ProviderRules{Create: true, VouchFor: time.Hour}}
	const issuer = "https://id.example"
	ada := identity.Provided{Issuer: issuer, Subject: "s1", Names: []string{"ada"}, Roles: []identity.Role{identity.Author}, Mapped: true, Session: "one"}
	secret, _, err := d.IssueKey(ctx, identity.Operator(), identity.KeySpec{Agent: "bot", User: "ada", Persona: "support"})
	if err != nil {
		t.Fatal(err)
	}
	token, err := d.SignInByProvider(ctx, ada)
	if err != nil {
		t.Fatal(err)
	}
	same := ada
	same.Subject, same.Session = "s2", "one" // another person with the name, and a session that is called alike
	other, err := d.SignInByProvider(ctx, same)
	if err != nil {
		t.Fatal(err)
	}
	who := func(token string) string {
		p, err := d.Session(ctx, token)
		if err != nil && !errors.Is(err, identity.ErrCredential) {
			t.Error(err)
		}
		return p.Person
	}
	works := func() bool { _, err := d.Authenticate(ctx, secret, netip.Addr{}); return err == nil }
	if got := []string{who(token), who(other)}; !cmp.Equal(got, []string{"ada", "ada-2"}) || !works() {
		t.Errorf("got %v; the key works: %v", got, works())
	}
	if _, err := s.PersonOf(ctx, "https://other.example", "s1"); !errors.Is(err, identity.ErrNotFound) {
		t.Errorf("the subject of another issuer: got %v", err)
	}
	if _, err := s.PersonOf(ctx, "", ""); !errors.Is(err, identity.ErrNotFound) {
		t.Errorf("no subject: got %v", err)
	}
	now = now.Add(time.Hour)
	if who(token) != "" || works() {
		t.Error("an hour after the last sign-in something goes on")
	}
	if token, err = d.SignInByProvider(ctx, ada); err != nil || !works() {
		t.Fatalf("after another sign-in: %v", err)
	}
	logout := func(l identity.Logout) error {
		l.Issuer, l.Expires = issuer, now.Add(time.Minute)
		return d.ProviderLogout(ctx, l)
	}
	if err := logout(identity.Logout{Session: "one", Subject: "s1", Token: "t1"}); err != nil || who(token) != "" || !works() {
		t.Errorf("logout of one session: got %v", err)
	}
	if token, err = d.SignInByProvider(ctx, ada); err != nil {
		t.Fatal(err)
	}
	if err := logout(identity.Logout{Session: "one", Subject: "s1", Token: "t1"}); !errors.Is(err, identity.ErrCredential) || who(token) != "ada" {
		t.Errorf("the same message again: got %v", err)
	}
	if err := logout(identity.Logout{Subject: "nobody", Token: "t2"}); err != nil {
		t.Errorf("logout of nobody: got %v", err)
	}
	if err := logout(identity.Logout{Subject: "s1", Token: "t3"}); err != nil || who(token) != "" || works() {
		t.Errorf("logout of the subject: got %v", err)
	}
	if head, err := s.Verify(ctx); err != nil || head.Seq == 0 {
		t.Errorf("the record: %v", err)
	}
}

func flows(t *testing.T, e engine) {
	s := e.open(t)
	defer s.Close()
	now := time.Now()
	ctx, d := t.Context(), &identity.Directory{Store: s, Now: func() time.Time { return now }}
	begin := func() (string, string) {
		state, browser, err := d.BeginFlow(ctx, "/next")
		if err != nil {
			t.Fatal(err)
		}
		return state, browser
	}
	state, browser := begin()
	if next, err := d.EndFlow(ctx, state, browser); err != nil || next != "/next" {
		t.Errorf("got %q, %v", next, err)
	}
	if _, err := d.EndFlow(ctx, state, browser); !errors.Is(err, identity.ErrFlow) {
		t.Errorf("a second time: got %v", err)
	}
	state, _ = begin()
	if _, err := d.EndFlow(ctx, state, browser); !errors.Is(err, identity.ErrFlow) {
		t.Errorf("another browser: got %v", err)
	}
	state, browser = begin()
	now = now.Add(identity.FlowMax)
	if _, err := d.EndFlow(ctx, state, browser); !errors.Is(err, identity.ErrFlow) {
		t.Errorf("too late: got %v", err)
	}
	begin()
	now = now.Add(identity.FlowMax)
	begin() // forgets the one before
	var left int
	if err := e.raw(t).QueryRow("select count(*) from sign_in_flow").Scan(&left); err != nil || left != 1 {
		t.Errorf("%d flows are kept, %v, want 1", left, err)
	}
}

// A flood of sign-ins that are not finished is refused before it fills the disk.
func tooManyFlows(t *testing.T, e engine) {
	s := e.open(t)
	defer s.Close()
	tx, err := e.raw(t).Begin()
	for i := 0; i < 10000 && err == nil; i++ {
		_, err = tx.Exec("insert into sign_in_flow (state, browser, next, expires) values ($1, $2, '/', $3)", fmt.Append(nil, i), []byte{}, time.Now().Add(time.Hour).UnixMicro())
	}
	if err := errors.Join(err, tx.Commit()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := (&identity.Directory{Store: s}).BeginFlow(t.Context(), "/"); !errors.Is(err, identity.ErrBusy) {
		t.Errorf("got %v, want ErrBusy", err)
	}
}

func ownSessions(t *testing.T, e engine) {
	s := e.open(t)
	defer s.Close()
	ctx, d := t.Context(), &identity.Directory{Store: s}
	open := func(name string) string {
		link, err := d.NewLink(ctx, identity.Operator(), name)
		if err != nil {
			t.Fatal(err)
		}
		token, err := d.SignInByLink(ctx, link)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	for _, name := range []string{"ada", "bob"} {
		if err := d.AddPerson(ctx, identity.Operator(), name, nil, ""); err != nil {
			t.Fatal(err)
		}
	}
	here, there, bobs := open("ada"), open("ada"), open("bob")
	ada := identity.Principal{Person: "ada"}
	if err := d.Describe(ctx, here, "Browser\x00 1\u202e", "127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	all, err := d.Sessions(ctx, ada)
	if err != nil || len(all) != 2 {
		t.Fatalf("got %d sessions, %v", len(all), err)
	}
	for _, each := range all {
		if each.Is(here) && (each.Browser != "Browser 1" || each.Address != "127.0.0.1") {
			t.Errorf("got %q from %q", each.Browser, each.Address)
		}
		if each.Is(bobs) {
			t.Error("bob's session is in ada's list")
		}
	}
	theirs, err := d.Sessions(ctx, identity.Principal{Person: "bob"})
	if err != nil || len(theirs) != 1 {
		t.Fatal(err)
	}
	if err := d.EndSession(ctx, ada, theirs[0].ID()); !errors.Is(err, identity.ErrNotFound) {
		t.Errorf("ending bob's session as ada: got %v", err)
	}
	before, err := s.Verify(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.EndOtherSessions(ctx, ada, here); err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]bool{here: true, there: false, bobs: true} {
		if _, err := d.Session(ctx, token); (err == nil) != want {
			t.Errorf("after ending the others: got %v, want it open: %v", err, want)
		}
	}
	entries, err := s.Entries(ctx, audit.Query{Kind: "session.end", Limit: 9})
	if err != nil || len(entries) != 1 || entries[0].Seq != before.Seq+1 || entries[0].Person != "ada" {
		t.Errorf("the record has %v, %v", entries, err)
	}
	if _, err := d.Sessions(ctx, identity.Principal{Agent: "bot", Key: "k"}); !errors.Is(err, identity.ErrForbidden) {
		t.Errorf("an agent: got %v", err)
	}
}
