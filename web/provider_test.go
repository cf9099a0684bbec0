package web_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"remit/audit"
	"remit/composer"
	"remit/identity"
	"remit/identity/oidc"
	"remit/internal/fakeoidc"
	"remit/web"
)

// elsewhere is the site with an identity provider beside it, and one clock for all.
type elsewhere struct {
	*world
	provider *fakeoidc.Provider
	client   *oidc.Client
	ahead    atomic.Int64 // of the real time
}

func (e *elsewhere) now() time.Time { return time.Now().Add(time.Duration(e.ahead.Load())) }

func (e *elsewhere) later(by time.Duration) { e.ahead.Add(int64(by)) }

func newElsewhere(t *testing.T, rules identity.ProviderRules, change func(*web.Config)) *elsewhere {
	t.Helper()
	e := &elsewhere{world: newWorld(t, shop()), provider: fakeoidc.Start()}
	t.Cleanup(e.provider.Close)
	e.provider.Now = e.now
	e.directory.Now, e.directory.Rules = e.now, rules
	server := httptest.NewUnstartedServer(nil)
	address := "http://" + server.Listener.Addr().String()
	e.provider.Redirect = address + "/sign-in/callback"
	var err error
	e.client, err = oidc.New(oidc.Config{Issuer: e.provider.URL, ClientID: fakeoidc.ClientID, ClientSecret: fakeoidc.Secret, RedirectURL: e.provider.Redirect,
		Name: "Example SSO", Roles: []string{"remit-authors=author", "remit-admins=admin", "remit-admins=reviewer"}, Now: e.now})
	if err != nil {
		t.Fatal(err)
	}
	cfg := web.Config{Registry: e.registry, Personas: e.store, Directory: e.directory, Catalog: e.catalog,
		Composer: composer.New(composer.Config{Finder: e.catalog}), Audit: e.store, Evals: e.store, Usage: e.store, Provider: e.client, Now: e.now,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	if change != nil {
		change(&cfg)
	}
	site, err := web.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = site
	server.Start()
	t.Cleanup(server.Close)
	e.Server.Close()
	e.Server = server
	return e
}

// says makes the provider's tokens say so.
func (e *elsewhere) says(claims fakeoidc.Claims) {
	e.provider.Do(func() { e.provider.Claims = claims })
}

func (e *elsewhere) lastSignIn(t *testing.T) string {
	t.Helper()
	all := e.signIns(t)
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1]
}

var create = identity.ProviderRules{Create: true}

func TestSignInAtProvider(t *testing.T) {
	e := newElsewhere(t, create, nil)
	e.says(fakeoidc.Claims{"groups": []string{"remit-authors", "other"}, "preferred_username": "Zoë Q"})
	zoe := e.browser(t)
	zoe.get("/catalog?q=mail")
	zoe.wants(200, "Sign in with Example SSO", `name="password"`)
	zoe.get("/sign-in/provider?next=%2Fcatalog%3Fq%3Dmail")
	zoe.wants(200, "zo-q", "Catalog")
	zoe.get("/account")
	zoe.wants(200, "with the role author", "You sign in at", e.provider.URL, "this one", "Go-http-client")
	zoe.lacks(`name="password"`)

	// Who they are is the subject: with another name and other groups it is the same person.
	e.says(fakeoidc.Claims{"groups": "remit-admins", "preferred_username": "somebody else", "email": "root@example.com"})
	again := e.browser(t)
	again.get("/sign-in/provider")
	again.wants(200, "zo-q", "People")
	zoe.get("/people")
	zoe.wants(200, "zo-q") // the session that was open has the new roles, too

	// Somebody else with her name, or with the name of a local admin, is somebody else.
	e.says(fakeoidc.Claims{"sub": "s2", "groups": "remit-authors", "preferred_username": "root", "email": "root@example.com", "email_verified": true})
	eve := e.browser(t)
	eve.get("/sign-in/provider")
	eve.wants(200, "root-2")
	eve.get("/people")
	eve.wants(403)

	entries, err := e.store.Entries(t.Context(), audit.Query{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, entry := range slices.Backward(entries) {
		if entry.Person != "local-operator" {
			got = append(got, strings.TrimSpace(fmt.Sprint(entry.Kind, " ", entry.Person, entry.Detail["person"], " ", entry.Detail["roles"])))
		}
	}
	want := []string{"person.add zo-q author", "person.sign-in zo-q", "person.roles zo-q reviewer, admin", "person.sign-in zo-q",
		"person.add root-2 author", "person.sign-in root-2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the record (-want +got):\n%s", diff)
	}
}

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
		{"the token endpoint redirects", instead("/token", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", 307) }), 503, ""},
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

// callback goes to the provider in the browser and returns the address to which it sends the browser back.
func (e *elsewhere) callback(t *testing.T, b *browser) string {
	t.Helper()
	stop := *b.client
	back := ""
	stop.CheckRedirect = func(req *http.Request, _ []*http.Request) error {
		if req.URL.Path == "/sign-in/callback" {
			back = req.URL.RequestURI()
			return http.ErrUseLastResponse
		}
		return nil
	}
	res, err := stop.Get(b.base + "/sign-in/provider")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if back == "" {
		t.Fatalf("the provider did not send the browser back: %s", res.Status)
	}
	return back
}

// Attack: login CSRF. Mallory starts a sign-in, does not finish it, and makes Ann's browser open the answer, so that Ann
// goes on as Mallory. Ann stays who she is. Nor does it work when Ann has a sign-in of her own under way.
func TestForeignAnswerSignsNobodyIn(t *testing.T) {
	e := newElsewhere(t, create, nil)
	e.says(fakeoidc.Claims{"sub": "mallory", "preferred_username": "mallory", "groups": "remit-authors"})
	mallory := e.browser(t)
	ann := e.as(t, "ann")
	ann.get(e.callback(t, mallory))
	ann.wants(400, "not started in this browser")
	ann.get("/account")
	ann.wants(200, "<strong>ann</strong>")
	own := e.callback(t, ann)
	ann.get(e.callback(t, mallory))
	ann.wants(400, "not started in this browser")
	ann.get(own) // her own is spoilt as well, not hijacked
	ann.wants(400)
	ann.get("/account")
	ann.wants(200, "<strong>ann</strong>")
}

// Attack: an answer is used twice, too late, or a stolen code is put into the thief's own sign-in.
func TestReplayedAnswers(t *testing.T) {
	e := newElsewhere(t, create, nil)
	e.says(fakeoidc.Claims{"preferred_username": "zoe", "groups": "remit-authors"})
	zoe := e.browser(t)
	used := e.callback(t, zoe)
	jar := zoe.client.Jar.Cookies(&url.URL{Scheme: "http", Host: strings.TrimPrefix(e.URL, "http://")})
	zoe.get(used)
	zoe.wants(200, "zoe")
	thief := e.browser(t)
	thief.client.Jar.SetCookies(&url.URL{Scheme: "http", Host: strings.TrimPrefix(e.URL, "http://")}, jar) // even with her cookie
	thief.get(used)
	thief.wants(400, "was finished before")

	late := e.callback(t, zoe)
	e.later(identity.FlowMax)
	zoe.get(late)
	zoe.wants(400, "longer than 10 minutes")

	stolen, err := url.Parse(e.callback(t, zoe))
	if err != nil {
		t.Fatal(err)
	}
	mine, err := url.Parse(e.callback(t, thief))
	if err != nil {
		t.Fatal(err)
	}
	q := mine.Query()
	q.Set("code", stolen.Query().Get("code"))
	thief.get("/sign-in/callback?" + q.Encode())
	thief.wants(403, "not believed")
	thief.get("/account")
	thief.wants(200, `data-testid="sign-in-provider"`)
}

// A session fixed beforehand is not the one that a sign-in opens.
func TestProviderSessionIsFresh(t *testing.T) {
	e := newElsewhere(t, create, nil)
	e.says(fakeoidc.Claims{"preferred_username": "zoe", "groups": "remit-authors"})
	b := e.as(t, "ann")
	at, err := url.Parse(e.URL)
	if err != nil {
		t.Fatal(err)
	}
	before := cookieNamed(b.client.Jar.Cookies(at), "remit_session")
	back := e.callback(t, b)
	b.get(back)
	b.wants(200, "zoe")
	if after := cookieNamed(b.client.Jar.Cookies(at), "remit_session"); after == before || after == "" {
		t.Errorf("the session's token stayed %q", after)
	}
	if _, err := e.directory.Session(t.Context(), before); !errors.Is(err, identity.ErrCredential) {
		t.Errorf("the session before: got %v, want it ended", err)
	}
	if left := cookieNamed(b.client.Jar.Cookies(at), "remit_flow"); left != "" {
		t.Errorf("the flow's cookie stayed: %q", left)
	}
}

func cookieNamed(all []*http.Cookie, name string) string {
	for _, c := range all {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

func TestFlowCookieOverHTTPS(t *testing.T) {
	e := newElsewhere(t, create, func(c *web.Config) { c.PublicURL = "https://remit.example" })
	r := httptest.NewRequest("GET", "http://remit.example/sign-in/provider", nil)
	rec := httptest.NewRecorder()
	e.Config.Handler.ServeHTTP(rec, r)
	c := rec.Result().Cookies()
	if len(c) != 1 || c[0].Name != "__Host-remit-flow" || !c[0].Secure || !c[0].HttpOnly || c[0].SameSite != http.SameSiteLaxMode || c[0].MaxAge != 600 || c[0].Domain != "" {
		t.Errorf("got %v (status %d)", c, rec.Code)
	}
	to, err := url.Parse(rec.Header().Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	q := to.Query()
	if q.Get("redirect_uri") != e.provider.Redirect || q.Get("code_challenge_method") != "S256" || len(q.Get("nonce")) != 43 || len(q.Get("state")) != 43 ||
		strings.Contains(to.String(), c[0].Value) {
		t.Errorf("the browser is sent to %s", to)
	}
}

// Keys are rotated: what the new one signs is believed at once, what a withdrawn one signs is not after ten minutes.
func TestRotatedKeys(t *testing.T) {
	e := newElsewhere(t, create, nil)
	p := e.provider
	e.says(fakeoidc.Claims{"preferred_username": "zoe", "groups": "remit-authors"})
	signIn := func(want int) {
		t.Helper()
		b := e.browser(t)
		b.get("/sign-in/provider")
		b.wants(want)
	}
	signIn(200)
	old := p.Key
	p.Do(func() { p.Key, p.KeyID = fakeoidc.NewKey(), "k2"; p.Published["k2"] = &p.Key.PublicKey })
	signIn(200)
	p.Do(func() { p.Key, p.KeyID = old, "k1"; delete(p.Published, "k1") })
	e.later(11 * time.Minute)
	signIn(403)
}

// Attack: logout tokens with invented key ids, to make Remit ask the provider for its keys without pause.
func TestUnknownKeysAreNotLookedForWithoutPause(t *testing.T) {
	e := newElsewhere(t, create, nil)
	for n := range 50 {
		e.provider.Do(func() { e.provider.KeyID = fmt.Sprint("invented", n) })
		if status := e.logout(t, e.provider.LogoutToken(fakeoidc.Claims{"sub": "s1"})); status != 400 {
			t.Fatalf("got %d", status)
		}
	}
	if n := e.provider.Seen("/keys"); n > 4 || n == 0 {
		t.Errorf("the keys were read %d times", n)
	}
	if n := e.provider.Seen("/.well-known/openid-configuration"); n != 1 {
		t.Errorf("the metadata was read %d times", n)
	}
}

// The provider is down: the server starts, sessions that are open go on, whoever wants to sign in there reads what to do,
// and nothing opens. It is up again: sign-ins work again.
func TestProviderDown(t *testing.T) {
	e := newElsewhere(t, create, nil)
	e.says(fakeoidc.Claims{"preferred_username": "zoe", "groups": "remit-authors"})
	zoe := e.browser(t)
	zoe.get("/sign-in/provider")
	zoe.wants(200, "zoe")
	late := e.browser(t)
	half := e.callback(t, late)
	down := func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }
	e.provider.Do(func() {
		for _, path := range []string{"/.well-known/openid-configuration", "/token", "/keys", "/userinfo"} {
			e.provider.Instead[path] = down
		}
	})
	late.get(half)
	late.wants(503, "does not answer", "remit person link")
	late.get("/account")
	late.wants(200, `data-testid="sign-in-provider"`)
	e.later(11 * time.Minute)
	for range 3 {
		fresh := e.browser(t)
		fresh.get("/sign-in/provider")
		fresh.wants(503, "does not answer", "sessions that are open go on")
	}
	zoe.get("/catalog")
	zoe.wants(200, "zoe")
	ann := e.as(t, "ann") // who has an account here
	ann.wants(200, "ann")
	e.provider.Do(func() { e.provider.Instead = map[string]http.HandlerFunc{} })
	e.later(3 * time.Second)
	zoe.get("/sign-in/provider")
	zoe.wants(200, "zoe")
}

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
	works := func() bool { _, err := e.directory.Authenticate(t.Context(), secret); return err == nil }

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
	whole := e.provider.LogoutToken(fakeoidc.Claims{"sub": "s1"})
	if status := e.logout(t, whole); status != 200 || !ended(two) || works() {
		t.Errorf("the subject: got %d", status)
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
	works := func(secret string) bool { _, err := e.directory.Authenticate(t.Context(), secret); return err == nil }
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

// Whom nobody let in is refused with the line that lets them in; afterwards they are who they were made to be.
func TestUnknownPersonIsRefused(t *testing.T) {
	e := newElsewhere(t, identity.ProviderRules{}, nil)
	e.says(fakeoidc.Claims{"sub": "o'1", "preferred_username": "ann", "groups": "remit-authors"})
	b := e.browser(t)
	b.get("/sign-in/provider")
	b.wants(403, "nobody has let you into Remit yet", `remit person bind NAME --subject &#39;o&#39;\&#39;&#39;1&#39;`)
	link, err := e.directory.NewLink(t.Context(), identity.Operator(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	old := e.as(t, "ann")
	if err := e.directory.Bind(t.Context(), identity.Operator(), "ann", e.provider.URL, "o'1"); err != nil {
		t.Fatal(err)
	}
	b.get("/sign-in/provider")
	b.wants(200, "ann")
	// From then on the provider decides: no password, link or session gets around it.
	old.get("/account")
	old.wants(200, "sign-in-provider")
	old.post("/sign-in", url.Values{"name": {"ann"}, "password": {password}})
	old.wants(401)
	old.post("/link/"+link, nil)
	old.wants(401)
	root := e.as(t, "root")
	root.post("/people/ann/link", nil)
	root.wants(422, "and there only")
	b.post("/account/password", url.Values{"password": {password}, "again": {password}})
	b.wants(422, "and there only")
	if err := e.directory.Bind(t.Context(), identity.Operator(), "rob", e.provider.URL, "o'1"); !errors.Is(err, identity.ErrInvalid) {
		t.Errorf("a subject that is ann already: got %v", err)
	}
}

func TestPasswordsSwitchedOff(t *testing.T) {
	e := newElsewhere(t, create, func(c *web.Config) { c.NoPasswords = true })
	b := e.browser(t)
	b.get("/")
	b.wants(200, "Sign in with Example SSO")
	b.lacks(`name="password"`)
	b.post("/sign-in", url.Values{"name": {"ann"}, "password": {password}})
	b.wants(403, "switched off")
}

func TestProviderLimits(t *testing.T) {
	e := newElsewhere(t, create, nil)
	refused := 0
	for n := range 70 {
		r := httptest.NewRequest("GET", "http://localhost"+[]string{"/sign-in/provider", "/sign-in/callback?state=x"}[n%2], nil)
		rec := httptest.NewRecorder()
		e.Config.Handler.ServeHTTP(rec, r)
		if rec.Code == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused == 0 {
		t.Error("70 tries from one address were all answered")
	}
}

func TestOwnSessions(t *testing.T) {
	w := newWorld(t, shop())
	here, there := w.as(t, "ann"), w.as(t, "ann")
	rob := w.as(t, "rob")
	here.get("/account")
	here.wants(200, "this one", "End all others")
	there.get("/account")
	id := there.value("session") // of here, as there sees it
	rob.post("/account/sessions/end", url.Values{"session": {id}})
	rob.wants(404)
	here.get("/account")
	here.wants(200, "ann")
	there.post("/account/sessions/end", url.Values{"session": {id}})
	there.wants(200, "must sign in again")
	here.get("/account")
	here.wants(200, `id="sign-in"`)
	third := w.as(t, "ann")
	third.post("/account/sessions/end", url.Values{"others": {"yes"}})
	third.wants(200, "this one")
	third.lacks("end-others")
	there.get("/account")
	there.wants(200, `id="sign-in"`)
	rob.post("/account/sessions/end", url.Values{"session": {"zz"}})
	rob.wants(404)
}
