package store_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"remit/identity"
)

// nobodyYet has read the people before there was any.
type nobodyYet struct {
	identity.Store
	asked *bool
}

func (n nobodyYet) People(ctx context.Context) ([]identity.Person, error) {
	if !*n.asked {
		*n.asked = true
		return nil, nil
	}
	return n.Store.People(ctx)
}

func peopleAndKeys(t *testing.T, e engine) {
	s := e.open(t)
	defer s.Close()
	d := &identity.Directory{Store: s}
	ctx := t.Context()
	name, link, created, err := d.Bootstrap(ctx)
	if err != nil || !created || name != "admin" || link == "" {
		t.Fatalf("got %q %v %v", name, created, err)
	}
	if _, _, again, err := d.Bootstrap(ctx); again || err != nil {
		t.Errorf("a second Bootstrap: got %v, %v", again, err)
	}
	late := &identity.Directory{Store: nobodyYet{s, new(bool)}} // of two replicas that start at once on an empty database
	if _, _, again, err := late.Bootstrap(ctx); again || err != nil {
		t.Errorf("a Bootstrap that another replica overtakes: got %v, %v", again, err)
	}
	admin := identity.Principal{Person: "admin", Roles: identity.Roles}
	if err := d.AddPerson(ctx, admin, "ada", []identity.Role{identity.Author}, "correct horse battery"); err != nil {
		t.Fatal(err)
	}
	if err := d.SetRoles(ctx, admin, "admin", nil); !errors.Is(err, identity.ErrInvalid) {
		t.Errorf("taking the last admin's role: got %v", err)
	}
	token, err := d.SignIn(ctx, "ada", "correct horse battery")
	if err != nil {
		t.Fatal(err)
	}
	ada, err := d.Session(ctx, token)
	if err != nil || !ada.Has(identity.Author) || ada.Has(identity.Admin) {
		t.Errorf("got %+v, %v", ada, err)
	}
	for _, wrong := range [][2]string{{"ada", "wrong"}, {"nobody", "correct horse battery"}, {"admin", ""}} {
		if _, err := d.SignIn(ctx, wrong[0], wrong[1]); !errors.Is(err, identity.ErrCredential) {
			t.Errorf("%v: got %v, want ErrCredential", wrong, err)
		}
	}
	other, err := d.SignIn(ctx, "ada", "correct horse battery")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.SetPassword(ctx, ada, "ada", "another horse battery", token); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Session(ctx, other); !errors.Is(err, identity.ErrCredential) {
		t.Errorf("a session elsewhere after a new password: got %v", err)
	}
	if _, err := d.Session(ctx, token); err != nil {
		t.Errorf("the session that set the password: got %v", err)
	}
	spec := identity.KeySpec{Agent: "bot", User: "zoe", Persona: "support"}
	if _, _, err := d.IssueKey(ctx, ada, spec); !errors.Is(err, identity.ErrForbidden) {
		t.Errorf("an author issuing a key: got %v", err)
	}
	secret, key, err := d.IssueKey(ctx, admin, spec)
	if err != nil {
		t.Fatal(err)
	}
	want := identity.Principal{Agent: "bot", User: "zoe", Persona: "support", Key: key.ID}
	if got, err := d.Authenticate(ctx, secret, netip.Addr{}); err != nil || !cmp.Equal(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if _, err := d.Authenticate(ctx, secret[:len(secret)-1]+"x", netip.Addr{}); !errors.Is(err, identity.ErrCredential) {
		t.Errorf("a mistyped key: got %v", err)
	}
	if err := d.RevokeKey(ctx, admin, key.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Authenticate(ctx, secret, netip.Addr{}); !errors.Is(err, identity.ErrCredential) {
		t.Errorf("a revoked key: got %v", err)
	}
	if err := d.SetDisabled(ctx, admin, "ada", true); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Session(ctx, token); !errors.Is(err, identity.ErrCredential) {
		t.Errorf("a disabled person's session: got %v", err)
	}
}

func linksAndSessions(t *testing.T, e engine) {
	s := e.open(t)
	defer s.Close()
	now := time.Now()
	d := &identity.Directory{Store: s, Now: func() time.Time { return now }}
	_, link, _, err := d.Bootstrap(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	token, err := d.SignInByLink(t.Context(), link)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.SignInByLink(t.Context(), link); !errors.Is(err, identity.ErrCredential) {
		t.Errorf("a link's second use: got %v", err)
	}
	now = now.Add(identity.SessionIdle + time.Minute)
	if _, err := d.Session(t.Context(), token); !errors.Is(err, identity.ErrCredential) {
		t.Errorf("an idle session: got %v", err)
	}
	late, err := d.NewLink(t.Context(), identity.Operator(), "admin")
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(identity.LinkMax)
	if _, err := d.SignInByLink(t.Context(), late); !errors.Is(err, identity.ErrCredential) {
		t.Errorf("a late link: got %v", err)
	}
}

// What ends a person's access ends all of it: a link that was made before, and a session that is only asleep.
func accessEnds(t *testing.T, e engine) {
	s := e.open(t)
	defer s.Close()
	ctx, d := t.Context(), &identity.Directory{Store: s}
	ada := identity.Principal{Person: "ada"}
	const first, second = "correct horse battery", "another horse battery"
	if err := d.AddPerson(ctx, identity.Operator(), "ada", nil, first); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		change func(session string) error
		keeps  bool // the session
	}{
		"new password":         {func(session string) error { return d.SetPassword(ctx, ada, "ada", first, session) }, true},
		"password by an admin": {func(string) error { return d.SetPassword(ctx, identity.Operator(), "ada", first, "") }, false},
		"disabled and enabled": {func(string) error {
			return errors.Join(d.SetDisabled(ctx, identity.Operator(), "ada", true), d.SetDisabled(ctx, identity.Operator(), "ada", false))
		}, false},
		"a change that fails": {func(string) error {
			if err := d.SetPassword(ctx, ada, "bob", second, ""); !errors.Is(err, identity.ErrForbidden) {
				return err
			}
			return nil
		}, true},
	} {
		session, err := d.SignIn(ctx, "ada", first)
		if err != nil {
			t.Fatal(err)
		}
		link, err := d.NewLink(ctx, identity.Operator(), "ada")
		if err != nil {
			t.Fatal(err)
		}
		if err := tc.change(session); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := d.Session(ctx, session); (err == nil) != tc.keeps {
			t.Errorf("%s: the session: got %v, want it kept: %v", name, err, tc.keeps)
		}
		_, err = d.SignInByLink(ctx, link)
		if want := name == "a change that fails"; (err == nil) != want {
			t.Errorf("%s: the link: got %v, want it kept: %v", name, err, want)
		}
	}
}
