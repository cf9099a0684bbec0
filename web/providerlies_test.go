package web_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"remit/internal/fakeoidc"
)

// The provider lies about one thing at a time. Nobody is signed in, the page says what to do, the record says why; the
// next honest sign-in works.
func TestProviderThatLies(t *testing.T) {
	e := newElsewhere(t, create, nil)
	p := e.provider
	honest := p.Key
	minutes := func(n int) func() int64 {
		return func() int64 { return e.now().Add(time.Duration(n) * time.Minute).Unix() }
	}
	claim := func(name string, value any) func() { return func() { p.Claims[name] = value } }
	at := func(name string, when func() int64) func() { return func() { p.Claims[name] = when() } }
	answer := func(change func(url.Values)) func() { return func() { p.Answer = change } }
	instead := func(path string, h http.HandlerFunc) func() { return func() { p.Instead[path] = h } }
	for _, tc := range []struct {
		name   string
		lie    func()
		status int
		reason string // in the record
	}{
		{"another audience", claim("aud", "other"), 403, "expected audience"},
		{"a further audience", claim("aud", []string{fakeoidc.ClientID, "other"}), 403, "another party"},
		{"issued to another party", claim("azp", "other"), 403, "another party"},
		{"another issuer", claim("iss", "https://evil.example"), 403, "different provider"},
		{"no signature", func() { p.Alg = "none" }, 403, "signature algorithm"},
		{"HS256 with the public key", func() { p.Alg = "HS256" }, 403, "signature algorithm"},
		{"another key under a known id", func() { p.Key = fakeoidc.NewKey() }, 403, "signature"},
		{"an unknown key id", func() { p.KeyID = "../../k9" }, 403, "signature"},
		{"expired", at("exp", minutes(-2)), 403, "expired"},
		{"no expiry", claim("exp", nil), 403, "missing"},
		{"expiry is a text", claim("exp", "soon"), 403, "identity provider"},
		{"issued in the future", at("iat", minutes(2)), 403, "from the future"},
		{"valid from later on", at("nbf", minutes(2)), 403, "from the future"},
		{"no nonce", claim("nonce", nil), 403, "nonce"},
		{"another sign-in's nonce", claim("nonce", "n-0S6_WzA2Mj"), 403, "nonce"},
		{"no subject", claim("sub", nil), 403, "subject"},
		{"an endless subject", claim("sub", strings.Repeat("s", 256)), 403, "subject"},
		{"a subject in two ways", claim("\u017fub", "s2"), 403, "two ways"},
		{"no ID token", instead("/token", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"access_token":"a","token_type":"Bearer"}`)
		}), 403, "compact form"},
		{"a token that is no token", instead("/token", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"access_token":"a","token_type":"Bearer","id_token":"{\"payload\":\"\",\"signatures\":[]}"}`)
		}), 403, "compact form"},
		{"the token endpoint fails", instead("/token", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }), 503, ""},
		{"the token endpoint redirects", instead("/token", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}), 503, ""},
		{"mix-up: the answer names another issuer", answer(func(v url.Values) { v.Set("iss", "https://evil.example") }), 403, "another issuer"},
		{"mix-up: the answer names none", answer(func(v url.Values) { v.Del("iss") }), 403, "another issuer"},
		{"mix-up: the answer names two", answer(func(v url.Values) { v.Add("iss", "https://evil.example") }), 403, "comes twice"},
		{"a code of nobody", answer(func(v url.Values) { v.Set("code", "invented") }), 403, "does not take the code"},
		{"two codes", answer(func(v url.Values) { v.Add("code", "invented") }), 403, "comes twice"},
		{"no code", answer(func(v url.Values) { v.Del("code") }), 403, "no code"},
		{"a state of nobody", answer(func(v url.Values) { v.Set("state", "invented") }), 400, "unknown"},
		{"no state", answer(func(v url.Values) { v.Del("state") }), 400, "unknown"},
		{"it says no", answer(func(v url.Values) { v.Del("code"); v.Set("error", "access_denied<script>") }), 403, "access_denied"},
		{"no groups", claim("groups", nil), 403, "no group gives a role"},
		{"groups that give nothing", claim("groups", []string{"REMIT-ADMINS", "remit-admins "}), 403, "no group gives a role"},
		{"groups that are no texts", claim("groups", []any{"remit-admins", 1}), 403, "no group gives a role"},
		{"groups in another case", func() { delete(p.Claims, "groups"); p.Claims["Groups"] = "remit-admins" }, 403, "no group gives a role"},
		{"somebody else's user information", func() {
			delete(p.Claims, "groups")
			p.Info = fakeoidc.Claims{"sub": "s2", "groups": "remit-admins"}
		}, 403, "somebody else"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e.later(11 * time.Minute) // so that metadata and keys are read anew
			p.Do(func() {
				p.Alg, p.KeyID, p.Key, p.Answer = "RS256", "k1", honest, nil
				p.Claims, p.Info, p.Instead = fakeoidc.Claims{"sub": "s1", "groups": "remit-admins"}, fakeoidc.Claims{"sub": "s1"}, map[string]http.HandlerFunc{}
				tc.lie()
			})
			e.directory.Flush() // a record of its own for each
			before := len(e.signIns(t))
			b := e.browser(t)
			b.get("/sign-in/provider")
			b.wants(tc.status, map[bool]string{true: "does not answer", false: `data-testid="error"`}[tc.status == 503])
			b.lacks("<script>alert")
			b.get("/account")
			b.wants(200, `data-testid="sign-in-provider"`)
			if got := e.lastSignIn(t); tc.reason != "" && (len(e.signIns(t)) != before+1 || !strings.HasPrefix(got, "refused") || !strings.Contains(got, tc.reason)) {
				t.Errorf("the record says %q, want it refused with %q", got, tc.reason)
			}
		})
	}
	e.later(11 * time.Minute)
	p.Do(func() {
		p.Claims, p.Info = fakeoidc.Claims{"sub": "s1"}, fakeoidc.Claims{"sub": "s1", "groups": "remit-admins"}
	})
	b := e.browser(t)
	b.get("/sign-in/provider")
	b.wants(200, "Personas", "People")
}
