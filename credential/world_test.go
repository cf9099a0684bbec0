package credential_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"remit/credential"
	"remit/identity"
	"remit/internal/fakemcp"
	"remit/internal/fakeoauth"
	"remit/internal/fakeoidc"
	"remit/internal/strictjson"
	"remit/store"
	"remit/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// world is one upstream behind an authorization server, two people with a key each, and a pool that calls as they do.
type world struct {
	t        *testing.T
	store    *store.Store
	vault    *credential.Vault
	people   *identity.Directory
	provider *fakeoauth.Provider
	resource *fakeoauth.Resource
	fake     *fakemcp.Server
	own      *credential.Connections
	pool     *upstream.Pool
	keys     map[string]string // ids, by person
	log      *locked

	mu  sync.Mutex
	now time.Duration // beside the real time

	// Of worlds in which sign-ins are exchanged.
	issuer  *fakeoidc.Provider
	signIns *credential.SignIns
	auth    upstream.Authorizer
}

type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// personal is a configuration for people's own accounts at the world's provider.
func personal(w *world) credential.Config {
	return credential.Config{Server: "crm", URL: w.resource.URL, Grant: credential.AuthorizationCode, Issuer: w.provider.URL,
		ClientID: fakeoauth.ClientID, ClientSecret: fakeoauth.Secret, Scopes: []string{"read", "write"}}
}

func machine(w *world) credential.Config {
	c := personal(w)
	c.Grant = credential.ClientCredentials
	return c
}

var whoami = []json.RawMessage{json.RawMessage(`{"name":"whoami","description":"Says whose token came.","inputSchema":{"type":"object"}}`),
	json.RawMessage(`{"name":"error","description":"Repeats the headers.","inputSchema":{"type":"object"}}`)}

func newWorld(t *testing.T, configure func(*world) credential.Config) *world {
	t.Helper()
	ctx := context.Background()
	w := &world{t: t, keys: map[string]string{}, log: &locked{}}
	dir := t.TempDir()
	var err error
	w.store, err = store.Open(ctx, filepath.Join(dir, "remit.db"))
	must(t, err)
	t.Cleanup(func() { must(t, w.store.Close()) })
	w.people = &identity.Directory{Store: w.store}
	for _, name := range []string{"ada", "bob"} {
		must(t, w.people.AddPerson(ctx, identity.Operator(), name, nil, ""))
		w.keys[name] = w.key(name)
	}
	w.vault = &credential.Vault{Store: w.store, Keys: credential.KeySource{File: filepath.Join(dir, "secret.key")}}
	w.provider = fakeoauth.Start()
	t.Cleanup(w.provider.Close)
	w.fake, err = fakemcp.New(fakemcp.Config{Tools: whoami, Era: fakemcp.Legacy, Faults: fakemcp.Faults{EchoHeaders: true}})
	must(t, err)
	w.resource = w.provider.Protect(w.fake)
	w.resource.Open = true
	t.Cleanup(w.resource.Close)
	w.start(configure(w))
	return w
}

// start has a pool call as configured, and the one before end.
func (w *world) start(c credential.Config) {
	w.t.Helper()
	if w.pool != nil {
		must(w.t, w.pool.Close(context.Background()))
	}
	deps := credential.Deps{Vault: w.vault, People: w.store, Keys: w.store, Record: w.store, Networks: loopback, Now: w.time}
	if w.signIns != nil {
		deps.Subjects, deps.Issuer = w.signIns, w.issuer.URL
	}
	all, own, err := credential.New([]credential.Config{c}, deps)
	must(w.t, err)
	w.own, w.auth = own, all["crm"]
	w.pool, err = upstream.NewPool([]upstream.Config{{Name: "crm", URL: w.resource.URL, Auth: all["crm"]}}, slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	must(w.t, err)
	pool := w.pool
	pool.Start(context.Background())
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = pool.Close(ctx)
	})
}

func (w *world) time() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.now)
}

func (w *world) later(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now += d
}

func (w *world) key(user string) string {
	w.t.Helper()
	_, key, err := w.people.IssueKey(context.Background(), identity.Operator(), identity.KeySpec{Agent: "bot", User: user, Persona: "support"})
	must(w.t, err)
	return key.ID
}

func person(name string) identity.Principal { return identity.Principal{Person: name} }

const back = "http://127.0.0.1:8321/connections/crm/callback"

// leave begins to connect as a person and returns what the browser comes back with.
func (w *world) leave(name string, keys ...string) (url.Values, error) {
	w.t.Helper()
	leave, err := w.own.Begin(w.t.Context(), person(name), "session of "+name, "crm", back, keys)
	if err != nil {
		return nil, err
	}
	w.provider.Do(func() { w.provider.User = name + "@crm" })
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Get(leave.URL)
	must(w.t, err)
	res.Body.Close()
	to, err := res.Location()
	if err != nil {
		w.t.Fatalf("the authorization server answered %s", res.Status)
	}
	if got, _, _ := strings.Cut(to.String(), "?"); got != back {
		w.t.Fatalf("sent back to %s, want %s", got, back)
	}
	return to.Query(), nil
}

// connect connects a person's account for their key.
func (w *world) connect(name string) {
	w.t.Helper()
	answer, err := w.leave(name, w.keys[name])
	must(w.t, err)
	must(w.t, w.own.Finish(w.t.Context(), person(name), "session of "+name, "crm", answer))
}

// call calls whoami for a person and returns whose token came.
func (w *world) call(name, key string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, _ := w.pool.Server("crm")
	raw, err := s.Call(ctx, upstream.Call{Tool: "whoami", Arguments: strictjson.Unread("{}"), For: upstream.Subject{User: name, Client: key}})
	if err != nil {
		return "", err
	}
	var result struct{ Content []struct{ Text string } }
	must(w.t, json.Unmarshal(raw.Text, &result))
	return strings.TrimPrefix(result.Content[0].Text, "you are "), nil
}

func (w *world) wants(name, want string) {
	w.t.Helper()
	got, err := w.call(name, w.keys[name])
	if err != nil || got != want {
		w.t.Errorf("a call for %s came as %q, %v; want %q", name, got, err, want)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
