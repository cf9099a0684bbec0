package web_test

import (
	"errors"
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"remit/composer"
	"remit/credential"
	"remit/identity"
	"remit/internal/fakeoauth"
	"remit/upstream"
	"remit/web"
)

// connecting is a world with a server crm that is called with people's accounts.
func connecting(t *testing.T) (*world, *fakeoauth.Provider, upstream.Authorizer) {
	t.Helper()
	w := newWorld(t, shop())
	p := fakeoauth.Start()
	t.Cleanup(p.Close)
	vault := &credential.Vault{Store: w.store, Keys: credential.KeySource{File: filepath.Join(t.TempDir(), "secret.key")}}
	all, own, err := credential.New([]credential.Config{{Server: "crm", URL: "http://127.0.0.1:1/mcp", Grant: credential.AuthorizationCode, Issuer: p.URL,
		ClientID: fakeoauth.ClientID, ClientSecret: fakeoauth.Secret, Scopes: []string{"read"}}},
		credential.Deps{Vault: vault, People: w.store, Keys: w.store, Record: w.store, Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if err != nil {
		t.Fatal(err)
	}
	site, err := web.New(web.Config{Registry: w.registry, Directory: w.directory, Catalog: w.catalog,
		Composer: composer.New(composer.Config{Finder: w.catalog}), Audit: w.store, Evals: w.store, Connections: own, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	w.Server.Config.Handler = site
	return w, p, all["crm"]
}

func (w *world) keyFor(t *testing.T, user string) string {
	t.Helper()
	_, key, err := w.directory.IssueKey(t.Context(), identity.Operator(), identity.KeySpec{Agent: "bot", User: user, Persona: "support"})
	if err != nil {
		t.Fatal(err)
	}
	return key.ID
}

// leave is the address to which the page sends a person.
func (b *browser) leave() string {
	b.t.Helper()
	m := regexp.MustCompile(`href="([^"]*)"[^>]*data-testid="leave"`).FindStringSubmatch(b.body)
	if m == nil {
		b.t.Fatalf("the page has no way on:\n%s", mainOf(b.body))
	}
	return html.UnescapeString(m[1])
}

// comesBack follows a person through the authorization server, up to the address that it sends them back to.
func comesBack(t *testing.T, to string) *url.URL {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Get(to)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	back, err := res.Location()
	if err != nil {
		t.Fatalf("the authorization server answered %s", res.Status)
	}
	return back
}

// A person connects their account, chooses whose calls use it, and ends it, on one page.
func TestConnections(t *testing.T) {
	w, p, auth := connecting(t)
	key, other := w.keyFor(t, "ann"), w.keyFor(t, "rob")
	ann := w.as(t, "ann")
	ann.wants(200, `data-testid="nav-connections"`)
	ann.get("/connections")
	ann.wants(200, "not connected", key, "Who may use your account")
	ann.lacks(other)
	p.Do(func() { p.User = "ann@crm" })
	ann.post("/connections/crm/connect", url.Values{"key": {key}})
	ann.wants(200, "Sign in at 127.0.0.1")
	to, err := url.Parse(ann.leave())
	if err != nil {
		t.Fatal(err)
	}
	q := to.Query()
	if got, want := q.Get("redirect_uri"), w.URL+"/connections/crm/callback"; got != want || q.Get("code_challenge_method") != "S256" || q.Get("resource") != "http://127.0.0.1:1/mcp" {
		t.Errorf("got %v, want the redirect to %s, PKCE and the resource", q, want)
	}
	ann.get(comesBack(t, to.String()).RequestURI())
	ann.wants(200, "Your account is connected.", p.URL, "checked", `data-testid="disconnect-crm"`)
	token, err := auth.Token(t.Context(), upstream.Subject{User: "ann", Client: key}, "")
	if err != nil || token.Value == "" {
		t.Fatalf("got %v, %v", token, err)
	}
	ann.lacks(token.Value)
	if policy := ann.header.Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self'") {
		t.Errorf("the policy of the page is %q", policy)
	}

	ann.post("/connections/crm/allow", url.Values{"key": {other}})
	ann.wants(http.StatusUnprocessableEntity, "is not one that works for you")
	ann.post("/connections/crm/allow", nil)
	ann.wants(200, "It holds from the next call on.", `data-testid="unused-crm"`)
	if _, err := auth.Token(t.Context(), upstream.Subject{User: "ann", Client: key}, ""); !errors.Is(err, upstream.ErrNotConnected) {
		t.Errorf("a key that is not allowed any more: got %v", err)
	}

	root := w.as(t, "root")
	root.get("/connections")
	root.wants(200, "Everybody's connections", "<td>ann</td>")
	root.lacks(token.Value)
	rob := w.as(t, "rob")
	rob.get("/connections")
	rob.wants(200, "not connected")
	rob.lacks("<td>ann</td>")
	rob.post("/connections/crm/disconnect", nil)
	rob.wants(http.StatusNotFound)

	ann.post("/connections/crm/disconnect", nil)
	ann.wants(200, "Disconnected. The access is ended", "not connected")
	if p.Seen("/revoke") != 1 {
		t.Error("the authorization server was not told")
	}
	p.Close()
	ann.post("/connections/crm/connect", nil)
	ann.wants(200, "Sign in at") // what the server said within the hour still holds
	for _, path := range []string{"/connections/other/connect", "/connections/other/allow", "/connections/other/disconnect"} {
		ann.post(path, nil)
		ann.wants(http.StatusNotFound)
	}
}

// Attack: a person is sent, signed in, to the address with which somebody else came back, or with which they themselves came
// back in another browser: nobody's account becomes another's.
func TestStolenCallback(t *testing.T) {
	w, p, auth := connecting(t)
	key := w.keyFor(t, "rob")
	rob := w.as(t, "rob")
	begin := func() *url.URL {
		p.Do(func() { p.User = "rob@crm" })
		rob.post("/connections/crm/connect", url.Values{"key": {key}})
		return comesBack(t, rob.leave())
	}
	ann, elsewhere, stranger := w.as(t, "ann"), w.as(t, "rob"), w.browser(t)
	for name, b := range map[string]*browser{"another person": ann, "another browser": elsewhere} {
		back := begin()
		b.get(back.RequestURI())
		b.wants(http.StatusBadGateway, "belongs to no attempt of yours")
		if name == "another browser" {
			rob.get(back.RequestURI()) // and it is used up
			rob.wants(http.StatusBadGateway, "belongs to no attempt of yours")
		}
	}
	back := begin()
	stranger.get(back.RequestURI())
	stranger.wants(200, "Sign in")
	back.Path = "/connections/chat/callback"
	rob.get(back.RequestURI())
	rob.wants(http.StatusNotFound)
	for _, user := range []string{"ann", "rob"} {
		if _, err := auth.Token(t.Context(), upstream.Subject{User: user, Client: key}, ""); !errors.Is(err, upstream.ErrNotConnected) {
			t.Errorf("%s: got %v, want no account", user, err)
		}
	}
}

// Attack: another site sends a person's browser to begin, allow or end a connection.
func TestConnectionsFromAnotherSite(t *testing.T) {
	w, p, _ := connecting(t)
	ann := w.as(t, "ann")
	for _, verb := range []string{"connect", "allow", "disconnect"} {
		req, err := http.NewRequest("POST", w.URL+"/connections/crm/"+verb, strings.NewReader(""))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "cross-site")
		ann.send(req)
		ann.wants(http.StatusForbidden, "another site")
	}
	if p.Total() != 0 {
		t.Error("the authorization server was asked")
	}
	rec := httptest.NewRecorder()
	w.Config.Handler.ServeHTTP(rec, formRequest(t, "http://localhost/connections/crm/connect", nil))
	if rec.Code != http.StatusUnauthorized {
		t.Errorf("without a session: got %d", rec.Code)
	}
}

// The person is told what went wrong at the authorization server, and can try again.
func TestConnectionThatFails(t *testing.T) {
	w, p, _ := connecting(t)
	ann := w.as(t, "ann")
	p.Do(func() { p.Deny = "access_denied" })
	ann.post("/connections/crm/connect", nil)
	ann.get(comesBack(t, ann.leave()).RequestURI())
	ann.wants(http.StatusBadGateway, "the authorization server answered access_denied", `data-testid="connect-crm"`)
	for range 10 {
		ann.post("/connections/crm/connect", nil)
	}
	ann.post("/connections/crm/connect", nil)
	ann.wants(http.StatusBadGateway, "tries are under way")

	w, p, _ = connecting(t)
	p.Close()
	ann = w.as(t, "ann")
	ann.post("/connections/crm/connect", nil)
	ann.wants(http.StatusBadGateway, "cannot be read", `data-testid="connect-crm"`)
}
