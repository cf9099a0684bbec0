package web_test

import (
	"context"
	"errors"
	"fmt"
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

	"remit/approval"
	"remit/audit"
	"remit/catalog/crawl"
	"remit/composer"
	"remit/identity"
	"remit/identity/oidc"
	"remit/internal/fakeoidc"
	"remit/persona"
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
		Name: "Example SSO", Roles: []string{"remit-authors=author", "remit-admins=admin", "remit-admins=reviewer"}, Teams: []string{"team-blue=blue", "team=red=red"}, Now: e.now})
	if err != nil {
		t.Fatal(err)
	}
	e.desk = &approval.Desk{Store: e.store, Key: make([]byte, 32), Now: e.now}
	cfg := web.Config{Registry: e.registry, Directory: e.directory, Catalog: e.catalog,
		Composer: composer.New(composer.Config{Finder: e.catalog}), Audit: e.store, Evals: e.store, Usage: e.store, Shadows: e.store, Frozen: e.store, Approvals: e.desk, Servers: func() []crawl.ServerStatus { return []crawl.ServerStatus{{Server: "crm"}} },
		Crawl: func(context.Context, string) error { return nil }, Provider: e.client, Now: e.now,
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
	zoe.wants(200, "with the role author", "You sign in at", e.provider.URL, "this one", "Go-http-client", "Access keys that work for you go on until")
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
	want := []string{"person.add zo-q author", "person.sign-in zo-q", "person.roles zo-q reviewer, admin", "person.groups zo-q", "person.sign-in zo-q",
		"person.add root-2 author", "person.sign-in root-2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the record (-want +got):\n%s", diff)
	}
}

// Groups put people into teams, and take them out: at the next sign-in, also in sessions that were open.
func TestTeamsOfGroups(t *testing.T) {
	e := newElsewhere(t, create, nil)
	if err := e.registry.Create(t.Context(), identity.Operator(), "blues", "Of the blues", persona.Proposal{Job: job, Team: "blue"}); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		groups []string
		want   int
		teams  []string
	}{
		{[]string{"remit-authors"}, 404, nil},
		{[]string{"remit-authors", "team-blue", "team=red"}, 200, []string{"blue", "red"}},
		{[]string{"remit-authors", "blue"}, 404, nil}, // a group is not a team by having its name
	} {
		e.says(fakeoidc.Claims{"groups": step.groups, "preferred_username": "zoe"})
		open := e.browser(t)
		open.get("/sign-in/provider")
		open.get("/personas/blues")
		open.wants(step.want)
		p, err := e.store.Person(t.Context(), "zoe")
		if err != nil || !slices.Equal(p.Teams, step.teams) {
			t.Errorf("with groups %v: got teams %v, %v, want %v", step.groups, p.Teams, err, step.teams)
		}
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
