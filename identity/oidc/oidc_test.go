package oidc

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"remit/identity"
	"remit/internal/fakeoidc"
)

func client(t testing.TB, p *fakeoidc.Provider, change func(*Config)) *Client {
	t.Helper()
	cfg := Config{Issuer: p.URL, ClientID: fakeoidc.ClientID, ClientSecret: fakeoidc.Secret, RedirectURL: "http://127.0.0.1/sign-in/callback", Roles: []string{"a=author"}}
	if change != nil {
		change(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Attack: the provider's metadata, or who stands in its place, leads Remit elsewhere, holds it up, or fills its memory.
func TestHostileMetadata(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("Remit went where it was led") }))
	defer elsewhere.Close()
	released := make(chan struct{})
	defer close(released)
	well := "/.well-known/openid-configuration"
	var clock atomic.Int64 // seconds
	for name, tc := range map[string]struct {
		lie  func(*fakeoidc.Provider)
		want string
	}{
		"another issuer":       {func(p *fakeoidc.Provider) { p.Metadata["issuer"] = "https://evil.example" }, "issuer"},
		"no issuer":            {func(p *fakeoidc.Provider) { p.Metadata["issuer"] = nil }, "issuer"},
		"no token endpoint":    {func(p *fakeoidc.Provider) { p.Metadata["token_endpoint"] = nil }, "token_endpoint"},
		"a file":               {func(p *fakeoidc.Provider) { p.Metadata["jwks_uri"] = "file:///etc/passwd" }, "jwks_uri"},
		"http elsewhere":       {func(p *fakeoidc.Provider) { p.Metadata["token_endpoint"] = "http://10.0.0.1/token" }, "token_endpoint"},
		"a look-alike host":    {func(p *fakeoidc.Provider) { p.Metadata["jwks_uri"] = "http://127.0.0.1.evil.example/keys" }, "jwks_uri"},
		"a user in an address": {func(p *fakeoidc.Provider) { p.Metadata["authorization_endpoint"] = "https://p.example@evil.example/" }, "authorization_endpoint"},
		"no S256":              {func(p *fakeoidc.Provider) { p.Metadata["code_challenge_methods_supported"] = []string{"plain"} }, "S256"},
		"a redirect": {func(p *fakeoidc.Provider) {
			p.Instead[well] = func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) }
		}, "redirects"},
		"without end": {func(p *fakeoidc.Provider) {
			p.Instead[well] = func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				for r.Context().Err() == nil {
					if _, err := w.Write([]byte(strings.Repeat(" ", 1<<16))); err != nil {
						return
					}
				}
			}
		}, "too large"},
		"without an answer": {func(p *fakeoidc.Provider) {
			p.Instead[well] = func(_ http.ResponseWriter, r *http.Request) {
				clock.Add(int64(maxWait.Seconds()))
				select {
				case <-released:
				case <-r.Context().Done():
				}
			}
		}, "exceeded"},
		"an error page": {func(p *fakeoidc.Provider) {
			p.Instead[well] = func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, strings.Repeat("x", 1000), http.StatusInternalServerError)
			}
		}, "500"},
	} {
		t.Run(name, func(t *testing.T) {
			p := fakeoidc.Start()
			defer p.Close()
			tc.lie(p)
			c := client(t, p, func(c *Config) { c.Now = func() time.Time { return time.Unix(clock.Load(), 0) } })
			if name == "without an answer" {
				c.http.Timeout = 300 * time.Millisecond
			}
			_, err := c.Start(t.Context(), "state", "browser")
			if !errors.Is(err, identity.ErrProvider) || !strings.Contains(err.Error(), tc.want) || len(err.Error()) > 500 {
				t.Errorf("got %v, want ErrProvider with %q", err, tc.want)
			}
			if _, err := c.Start(t.Context(), "state", "browser"); err == nil || p.Seen(well) != 1 {
				t.Errorf("asked again at once: %d requests, %v", p.Seen(well), err)
			}
		})
	}
}

// Attack: the metadata of a provider that is known names an address inside: another port of the same machine, a private
// network, the cloud's metadata service. It is refused when it is dialled, whatever name it hides behind, unless the
// network is allowed.
func TestEndpointsInsideAreNotDialled(t *testing.T) {
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"keys":[]}`) }))
	defer inside.Close()
	for _, address := range []string{inside.URL + "/", "http://localhost" + inside.URL[strings.LastIndex(inside.URL, ":"):] + "/", "https://10.1.2.3/", "https://169.254.169.254/latest/",
		"https://[::ffff:169.254.169.254]/", "https://[fd00::1]/", "https://0.0.0.0/"} {
		p := fakeoidc.Start()
		c := client(t, p, nil)
		req, err := http.NewRequestWithContext(t.Context(), "GET", address, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := c.http.Do(req)
		if err == nil {
			res.Body.Close()
			t.Errorf("%s was reached", address)
		} else if !strings.Contains(err.Error(), "its address is not public") {
			t.Errorf("%s: got %v, want it refused before it is dialled", address, err)
		}
		p.Close()
	}
	p := fakeoidc.Start()
	defer p.Close()
	c := client(t, p, func(c *Config) { c.Networks = []string{"127.0.0.0/8"} })
	res, err := c.http.Get(inside.URL)
	if err != nil {
		t.Fatalf("an allowed network: got %v", err)
	}
	res.Body.Close()
}

func TestNewRefuses(t *testing.T) {
	good := Config{Issuer: "https://id.example/realms/x", ClientID: "remit", RedirectURL: "https://remit.example/sign-in/callback"}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Config){
		"http":             func(c *Config) { c.Issuer = "http://id.example" },
		"a user":           func(c *Config) { c.Issuer = "https://u:p@id.example" },
		"a query":          func(c *Config) { c.Issuer = "https://id.example?x=1" },
		"no host":          func(c *Config) { c.Issuer = "https:///x" },
		"no issuer":        func(c *Config) { c.Issuer = "" },
		"no client":        func(c *Config) { c.ClientID = "" },
		"no redirect":      func(c *Config) { c.RedirectURL = "" },
		"an unknown role":  func(c *Config) { c.Roles = []string{"a=owner"} },
		"no role":          func(c *Config) { c.Roles = []string{"a"} },
		"no group":         func(c *Config) { c.Roles = []string{"=admin"} },
		"a bad network":    func(c *Config) { c.Networks = []string{"10.0.0.1"} },
		"a loopback alike": func(c *Config) { c.Issuer = "http://127.0.0.1.evil.example" },
	} {
		cfg := good
		change(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: was accepted", name)
		}
	}
}

func TestRolesOf(t *testing.T) {
	for name, tc := range map[string]struct {
		claim  string
		claims claimSet
		want   []identity.Role
	}{
		"a list":            {"groups", claimSet{"groups": []any{"ops", "cn=staff,dc=x", "ops"}}, []identity.Role{identity.Author, identity.Reviewer, identity.Admin}},
		"one text":          {"groups", claimSet{"groups": "cn=staff,dc=x"}, []identity.Role{identity.Author}},
		"none":              {"groups", claimSet{}, []identity.Role{}},
		"below":             {"realm_access.roles", claimSet{"realm_access": map[string]any{"roles": []any{"ops"}}}, []identity.Role{identity.Reviewer, identity.Admin}},
		"a name with dots":  {"https://x.example/groups", claimSet{"https://x.example/groups": "ops"}, []identity.Role{identity.Reviewer, identity.Admin}},
		"a part of a name":  {"groups", claimSet{"groups": "ops2"}, []identity.Role{}},
		"an object":         {"groups", claimSet{"groups": map[string]any{"ops": true}}, []identity.Role{}},
		"e-mail":            {"email", claimSet{"email": "ops", "email_verified": true}, []identity.Role{identity.Reviewer, identity.Admin}},
		"unverified e-mail": {"email", claimSet{"email": "ops", "email_verified": "true"}, []identity.Role{}},
	} {
		p := &fakeoidc.Provider{URL: "http://127.0.0.1:1"}
		c := client(t, p, func(c *Config) {
			c.GroupsClaim, c.Roles = tc.claim, []string{"ops=admin", "ops=reviewer", "cn=staff,dc=x=author"}
		})
		if diff := cmp.Diff(tc.want, c.rolesOf(tc.claims)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// FuzzTokens: whatever payload a provider signs, and whatever text comes as a token, is refused or is whole: never a panic,
// never somebody without a subject, never a token for somebody else.
func FuzzTokens(f *testing.F) {
	p := fakeoidc.Start()
	f.Cleanup(p.Close)
	now := time.Unix(1_800_000_000, 0)
	c := client(f, p, func(c *Config) { c.Now = func() time.Time { return now } })
	base := fmt.Sprintf(`"iss":%q,"aud":"remit","iat":%d,"exp":%d`, p.URL, now.Unix(), now.Unix()+60)
	f.Add(`{`+base+`,"sub":"s1","nonce":"n","groups":["a"]}`, "a.b.c")
	f.Add(`{`+base+`,"sub":"s1","jti":"j","events":{"http://schemas.openid.net/event/backchannel-logout":{}}}`, "")
	f.Add(`{`+base+`,"sub":"s1","Sub":"s2","aud":["remit","x"],"azp":"remit"}`, `{"payload":"","signatures":[]}`)
	f.Add(`{"iss":1,"aud":{},"exp":1e400}`, strings.Repeat(".", 9))
	f.Fuzz(func(t *testing.T, payload, raw string) {
		if _, err := c.Logout(t.Context(), raw); err == nil {
			t.Errorf("%q was taken for a logout token", raw)
		}
		found, err := c.discover(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		signed := p.SignText(payload)
		if id, claims, err := c.idToken(t.Context(), found, signed, new("n")); err == nil {
			who := c.provided(claims)
			if who.Subject == "" || who.Subject != id.Subject || id.Nonce != "n" || id.Issuer != p.URL {
				t.Errorf("%s gave %+v", payload, who)
			}
		}
		if l, err := c.logoutToken(t.Context(), found, signed); err == nil && (l.Subject == "" && l.Session == "" || l.Token == "" || !l.Expires.After(now)) {
			t.Errorf("%s gave %+v", payload, l)
		}
	})
}
