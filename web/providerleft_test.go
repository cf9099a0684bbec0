package web_test

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"remit/identity"
	"remit/internal/fakeoidc"
)

// logout sends a logout token as the provider does, without a browser's headers.
func (e *elsewhere) logout(t *testing.T, token string) int {
	t.Helper()
	res, err := http.PostForm(e.URL+"/sign-in/logout", url.Values{"logout_token": {token}})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("the answer may be cached")
	}
	return res.StatusCode
}

// The provider ends a session, and then all of a person's access: their keys stop with it, and go on with the next sign-in.
func TestBackChannelLogout(t *testing.T) {
	e := newElsewhere(t, create, nil)
	secret := e.keyOf(t, "zoe")
	e.says(fakeoidc.Claims{"preferred_username": "zoe", "groups": "remit-authors", "sid": "one"})
	one := e.browser(t)
	one.get("/sign-in/provider")
	e.says(fakeoidc.Claims{"preferred_username": "zoe", "groups": "remit-authors", "sid": "two"})
	two := e.browser(t)
	two.get("/sign-in/provider")
	two.wants(200, "zoe")
	ended := func(b *browser) bool { b.get("/account"); return strings.Contains(b.body, "sign-in-provider") }
	works := func() bool { _, err := e.directory.Authenticate(t.Context(), secret, netip.Addr{}); return err == nil }

	told := 0
	e.directory.Revoked = func(string) { told++ }
	honest := fakeoidc.Claims{"sub": "s1", "sid": "one"}
	for name, lie := range map[string]fakeoidc.Claims{
		"a nonce": {"nonce": "n"}, "no event": {"events": fakeoidc.Claims{}}, "no name": {"jti": nil}, "another audience": {"aud": "other"},
		"another issuer": {"iss": "https://evil.example"}, "expired": {"exp": e.now().Add(-2 * time.Minute).Unix()}, "no expiry": {"exp": nil},
		"the future": {"iat": e.now().Add(2 * time.Minute).Unix()}, "nobody": {"sub": nil, "sid": nil}, "an event that is no object": {
			"events": fakeoidc.Claims{"http://schemas.openid.net/event/backchannel-logout": "yes"}},
	} {
		claims := fakeoidc.Claims{"sub": "s1"}
		for k, v := range lie {
			claims[k] = v
		}
		if status := e.logout(t, e.provider.LogoutToken(claims)); status != 400 {
			t.Errorf("%s: got %d, want it refused", name, status)
		}
	}
	e.provider.Alg = "none"
	if status := e.logout(t, e.provider.LogoutToken(honest)); status != 400 {
		t.Errorf("no signature: got %d", status)
	}
	e.provider.Alg = "RS256"
	if ended(one) || ended(two) || !works() {
		t.Fatal("a logout token that was refused ended something")
	}
	if status := e.logout(t, e.provider.LogoutToken(fakeoidc.Claims{"sub": "s9", "sid": "one"})); status != 200 || ended(one) {
		t.Errorf("the session of another subject: got %d", status)
	}
	if status := e.logout(t, e.provider.LogoutToken(honest)); status != 200 || !ended(one) || ended(two) || !works() {
		t.Errorf("one session: got %d", status)
	}
	if told != 0 {
		t.Error("streams were ended without need")
	}
	whole := e.provider.LogoutToken(fakeoidc.Claims{"sub": "s1"})
	if status := e.logout(t, whole); status != 200 || !ended(two) || works() || told != 1 {
		t.Errorf("the subject: got %d; streams of %d personas were told", status, told)
	}
	two.get("/sign-in/provider")
	two.wants(200, "zoe")
	if !works() {
		t.Error("the key does not go on after a sign-in")
	}
	if status := e.logout(t, whole); status != 400 || ended(two) || !works() {
		t.Errorf("the same message again: got %d", status)
	}
}

// keyOf issues a key that works for a user.
func (e *elsewhere) keyOf(t *testing.T, user string) string {
	t.Helper()
	secret, _, err := e.directory.IssueKey(t.Context(), identity.Operator(), identity.KeySpec{Agent: "bot", User: user, Persona: "support"})
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// A person's keys stop when the provider gives them no role any more, when it has not vouched for them for long, and when
// they are disabled here; no sign-in gets around that.
func TestKeysStopWithTheirUser(t *testing.T) {
	e := newElsewhere(t, identity.ProviderRules{Create: true, VouchFor: time.Hour}, nil)
	secret, other := e.keyOf(t, "zoe"), e.keyOf(t, "a batch job")
	works := func(secret string) bool {
		_, err := e.directory.Authenticate(t.Context(), secret, netip.Addr{})
		return err == nil
	}
	claims := fakeoidc.Claims{"preferred_username": "zoe", "groups": "remit-authors"}
	none := fakeoidc.Claims{"preferred_username": "zoe", "groups": "none"}
	zoe := e.browser(t)
	told := ""
	e.directory.Revoked = func(persona string) { told += persona + " " }
	for _, step := range []struct {
		what  string
		do    func()
		works bool
		told  string
	}{
		{"before the first sign-in", func() {}, true, ""},
		{"after it", func() { e.says(claims); zoe.get("/sign-in/provider"); zoe.wants(200, "zoe") }, true, ""},
		{"no group any more", func() { e.says(none) }, true, ""},
		{"no group any more, at a sign-in", func() { b := e.browser(t); b.get("/sign-in/provider"); b.wants(403, "none of your groups") }, false, "support "},
		{"a role again", func() { e.says(claims); b := e.browser(t); b.get("/sign-in/provider"); b.wants(200) }, true, ""},
		{"an hour later", func() { e.later(time.Hour) }, false, ""},
		{"vouched for again", func() { b := e.browser(t); b.get("/sign-in/provider"); b.wants(200) }, true, ""},
		{"disabled here", func() {
			if err := e.directory.SetDisabled(t.Context(), identity.Operator(), "zoe", true); err != nil {
				t.Fatal(err)
			}
		}, false, "support "},
		{"a sign-in while disabled", func() { b := e.browser(t); b.get("/sign-in/provider"); b.wants(403, "access to Remit was ended") }, false, ""},
	} {
		told = ""
		step.do()
		if got := works(secret); got != step.works || told != step.told {
			t.Errorf("%s: the key works: %v, want %v; streams were told of %q, want %q", step.what, got, step.works, told, step.told)
		}
		if !works(other) {
			t.Errorf("%s: the key of a user who is nobody here stopped", step.what)
		}
	}
	zoe.get("/catalog")
	zoe.wants(200, "sign-in-provider")
}
