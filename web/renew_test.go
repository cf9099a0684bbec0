package web_test

import (
	"errors"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"remit/credential"
	"remit/identity"
	"remit/identity/oidc"
	"remit/internal/fakeoidc"
	"remit/web"
)

// renewing is a site whose provider gives what renews sign-ins.
func renewing(t *testing.T) *elsewhere {
	t.Helper()
	var client *oidc.Client
	e := newElsewhere(t, create, func(cfg *web.Config) {
		c := cfg.Provider.(*oidc.Client).Config
		c.Renew = true
		var err error
		if client, err = oidc.New(c); err != nil {
			t.Fatal(err)
		}
		cfg.Provider = client
	})
	e.provider.Do(func() { e.provider.Renewable = true })
	vault := &credential.Vault{Store: e.store, Keys: credential.KeySource{File: filepath.Join(t.TempDir(), "secret.key")}}
	if err := vault.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.directory.SignIns = &credential.SignIns{Vault: vault, People: e.store, Refresh: client.Refresh, Now: e.now}
	return e
}

// Between sign-ins the provider is asked whom it still vouches for: groups that change change roles and teams, and what it ended ends
// keys and sessions, until the next sign-in. A provider that is down or lies changes nothing, and nothing is lost by having asked.
func TestRecheck(t *testing.T) {
	e := renewing(t)
	secret := e.keyOf(t, "zoe")
	claims := func(groups ...string) fakeoidc.Claims {
		return fakeoidc.Claims{"preferred_username": "zoe", "groups": groups}
	}
	e.says(claims("remit-authors", "team-blue"))
	zoe := e.browser(t)
	zoe.get("/sign-in/provider")
	zoe.wants(200, "zoe")
	works := func() bool { _, err := e.directory.Authenticate(t.Context(), secret, netip.Addr{}); return err == nil }
	is := func(step string, roles []identity.Role, teams []string) {
		t.Helper()
		p, err := e.store.Person(t.Context(), "zoe")
		if err != nil || !slices.Equal(p.Roles, roles) || !slices.Equal(p.Teams, teams) || !works() {
			t.Errorf("%s: got %v in %v, %v, key works %v; want %v in %v", step, p.Roles, p.Teams, err, works(), roles, teams)
		}
	}
	author := []identity.Role{identity.Author}
	renews := func(c fakeoidc.Claims) { e.provider.Do(func() { e.provider.Renewals = c }) }
	recheck := func() error { return e.directory.Recheck(t.Context(), "zoe") }

	renews(claims("remit-authors", "team-blue"))
	for range 3 { // each refresh token is taken once: what came back was kept
		if err := recheck(); err != nil {
			t.Fatal(err)
		}
	}
	is("nothing changed", author, []string{"blue"})
	renews(claims("remit-admins"))
	if err := recheck(); err != nil {
		t.Fatal(err)
	}
	is("other groups", []identity.Role{identity.Reviewer, identity.Admin}, nil)
	renews(claims("remit-authors"))
	if err := recheck(); err != nil {
		t.Fatal(err)
	}
	is("fewer groups", author, nil)
	zoe.get("/people")
	zoe.wants(403) // in the session that was open

	for name, lie := range map[string]fakeoidc.Claims{
		"somebody else": {"sub": "s2"}, "another audience": {"aud": "other"}, "another issuer": {"iss": "https://evil.example"},
		"expired": {"exp": e.now().Add(-2 * time.Minute).Unix()}, "the future": {"iat": e.now().Add(2 * time.Minute).Unix()},
	} {
		lie["groups"] = []string{"remit-admins"}
		renews(lie)
		if err := recheck(); !errors.Is(err, identity.ErrAnswer) {
			t.Errorf("%s: got %v", name, err)
		}
		is(name, author, nil)
	}
	renews(claims("remit-authors"))
	down := func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "canary", http.StatusBadGateway) }
	e.provider.Do(func() { e.provider.Instead["/token"] = down })
	if err := recheck(); !errors.Is(err, identity.ErrProvider) || strings.Contains(err.Error(), "canary") {
		t.Errorf("down: got %v", err)
	}
	is("down", author, nil)
	e.provider.Do(func() { delete(e.provider.Instead, "/token") })
	if err := recheck(); err != nil {
		t.Fatal(err)
	}

	renews(claims("nothing"))
	if err := recheck(); err != nil {
		t.Fatal(err)
	}
	if works() {
		t.Error("no role any more: the key works")
	}
	zoe.get("/account")
	zoe.wants(200, "sign-in-provider")

	again := e.browser(t)
	again.get("/sign-in/provider")
	again.wants(200, "zoe")
	renews(claims("remit-authors"))
	is("signed in again", author, []string{"blue"})
	e.provider.Do(func() { e.provider.Ended["s1"] = true })
	if err := recheck(); err != nil {
		t.Fatal(err)
	}
	again.get("/account")
	if works() || !strings.Contains(again.body, "sign-in-provider") {
		t.Error("ended at the provider: the key works, or the session goes on")
	}
	if err := recheck(); err != nil { // there is nothing to ask any more
		t.Error(err)
	}
}
