package credential_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"remit/credential"
	"remit/internal/fakeoauth"
)

// public is a client without a secret, for which the upstream may say who its authorization server is.
func public(w *world) credential.Config {
	return credential.Config{Server: "crm", URL: w.resource.URL, Grant: credential.AuthorizationCode, ClientID: fakeoauth.Public}
}

// An upstream says who its authorization server is (RFC 9728), and that one where its endpoints are (RFC 8414).
func TestDiscovery(t *testing.T) {
	for _, open := range []bool{false, true} { // with a challenge that names the metadata, and without
		w := newWorld(t, public)
		w.resource.Do(func() { w.resource.Open = open })
		w.connect("ada")
		w.resource.Do(func() { w.resource.Open = true })
		w.wants("ada", "ada@crm")
		w.start(public(w))
		w.resource.Do(func() {
			w.resource.Metadata = `{"resource":"` + w.resource.URL + `","authorization_servers":["https://evil.example"]}`
		}) // the upstream has another one now
		w.provider.Forget()
		w.later(3600e9)
		w.wants("ada", "ada@crm") // renewed where it came from, and nowhere else
	}
}

// listen is a server inside, and how many connections it got.
func listen(t *testing.T) (at string, reached func() int64) {
	var n atomic.Int64
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			n.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s.URL, n.Load
}

// Attack: an upstream's metadata, or its authorization server's, names what is none of theirs. Nothing is sent there.
func TestHostileMetadata(t *testing.T) {
	inside, reached := listen(t)
	port := inside[strings.LastIndex(inside, ":")+1:]
	for name, c := range map[string]struct {
		set  func(w *world)
		want string
	}{
		"another resource": {func(w *world) {
			w.resource.Do(func() {
				w.resource.Metadata = fmt.Sprintf(`{"resource":"https://another.example/mcp","authorization_servers":[%q]}`, w.provider.URL)
			})
		}, "of another resource"},
		"a sibling resource": {func(w *world) {
			w.resource.Do(func() {
				w.resource.Metadata = fmt.Sprintf(`{"resource":"%sx","authorization_servers":[%q]}`, w.resource.URL, w.provider.URL)
			})
		}, "of another resource"},
		"two servers": {func(w *world) {
			w.resource.Do(func() {
				w.resource.Metadata = fmt.Sprintf(`{"resource":%q,"authorization_servers":[%q,"https://evil.example"]}`, w.resource.URL, w.provider.URL)
			})
		}, "configure one of them"},
		"no JSON":        {func(w *world) { w.resource.Do(func() { w.resource.Metadata = "<html>" }) }, "not JSON"},
		"another issuer": {func(w *world) { w.provider.Metadata["issuer"] = "https://evil.example" }, "another name"},
		"no PKCE":        {func(w *world) { w.provider.Metadata["code_challenge_methods_supported"] = []string{"plain"} }, "PKCE"},
		"a token endpoint without https": {func(w *world) {
			w.provider.Metadata["token_endpoint"] = "http://example.com/token"
		}, "not https"},
		"a token endpoint with a password": {func(w *world) {
			w.provider.Metadata["token_endpoint"] = "https://a:b@example.com/token"
		}, "no usable address"},
		"a page that is a script": {func(w *world) {
			w.provider.Metadata["authorization_endpoint"] = "javascript://x/%0aalert(1)"
		}, "not https"},
		"a redirect": {func(w *world) {
			w.provider.Instead["/.well-known/oauth-authorization-server"] = func(rw http.ResponseWriter, r *http.Request) {
				http.Redirect(rw, r, inside, http.StatusFound)
			}
		}, "redirects"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, public)
			w.provider.Do(func() { c.set(w) })
			if _, err := w.leave("ada"); !errors.Is(err, credential.ErrConnect) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}

	w := newWorld(t, public)
	_, own, err := credential.New([]credential.Config{public(w)}, credential.Deps{Vault: w.vault, People: w.store, Keys: w.store, Record: w.store})
	must(t, err)
	// The addresses of the machine itself and of its network, in every spelling; 127.0.0.0/8 is not allowed here.
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "0177.0.0.1", "2130706433", "0x7f000001", "127.1",
		"10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "[fd00::1]", "[fe80::1]", "[64:ff9b::7f00:1]"} {
		for scheme, want := range map[string]string{"https": "not public|no usable address", "http": "not https|no usable address"} {
			w.resource.Do(func() {
				w.resource.Metadata = fmt.Sprintf(`{"resource":%q,"authorization_servers":["%s://%s:%s"]}`, w.resource.URL, scheme, host, port)
			})
			_, err = own.Begin(t.Context(), person("ada"), "session", "crm", back, nil)
			if !errors.Is(err, credential.ErrConnect) || !regexp.MustCompile(want).MatchString(err.Error()) {
				t.Errorf("%s at %s: got %v, want %q", scheme, host, err, want)
			}
		}
	}
	if n := reached(); n != 0 {
		t.Errorf("%d connections reached an address inside", n)
	}
}

// Attack: an honest authorization server's token endpoint moves inside, after its metadata was read. A client with a secret
// sends it nowhere but where its configured issuer is, or its metadata names, if that is public.
func TestTokenEndpointInside(t *testing.T) {
	inside, reached := listen(t)
	w := newWorld(t, personal)
	w.provider.Do(func() {
		w.provider.Metadata["token_endpoint"] = strings.Replace(inside, "http", "https", 1) + "/token"
	})
	_, own, err := credential.New([]credential.Config{personal(w)}, credential.Deps{Vault: w.vault, People: w.store, Keys: w.store, Record: w.store})
	must(t, err)
	w.own = own
	answer, err := w.leave("ada", w.keys["ada"])
	must(t, err)
	if err := w.finish(answer); !errors.Is(err, credential.ErrConnect) || !strings.Contains(err.Error(), "not public") {
		t.Errorf("got %v", err)
	}
	if reached() != 0 {
		t.Error("the client's secret was sent inside")
	}
}

func TestConfig(t *testing.T) {
	good := credential.Config{Server: "crm", URL: "https://crm.example/mcp", Grant: credential.AuthorizationCode, Issuer: "https://login.example", ClientID: "remit"}
	must(t, good.Validate())
	for name, c := range map[string]struct {
		change func(*credential.Config)
		want   string
	}{
		"no grant":                   {func(c *credential.Config) { c.Grant = "" }, "client_credentials"},
		"no client":                  {func(c *credential.Config) { c.ClientID = "" }, "client-id"},
		"no secret":                  {func(c *credential.Config) { c.Grant = credential.ClientCredentials }, "client-secret"},
		"a secret for anybody":       {func(c *credential.Config) { c.Issuer, c.ClientSecret = "", "canary" }, "issuer is missing"},
		"half of the endpoints":      {func(c *credential.Config) { c.TokenURL = "https://login.example/token" }, "go together"},
		"an address that is none":    {func(c *credential.Config) { c.Issuer = "login.example" }, "issuer is not usable"},
		"an address with a password": {func(c *credential.Config) { c.TokenURL = "https://a:canary@login.example" }, "token-url is not usable"},
		"a scope with a space":       {func(c *credential.Config) { c.Scopes = []string{"a b"} }, "scopes"},
		"list-as for a machine": {func(c *credential.Config) {
			c.Grant, c.ClientSecret, c.ListAs = credential.ClientCredentials, "canary", "ada"
		}, "list-as"},
	} {
		bad := good
		c.change(&bad)
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	for _, c := range []struct {
		url      string
		networks []netip.Prefix
		ok       bool
	}{{"http://crm.example/mcp", nil, false}, {"http://10.0.0.1/mcp", nil, false}, {"http://127.0.0.1/mcp", nil, true}, {"http://crm:8080/mcp", loopback, true}} {
		plain := good
		plain.URL = c.url
		if _, _, err := credential.New([]credential.Config{plain}, credential.Deps{Networks: c.networks}); (err == nil) != c.ok {
			t.Errorf("%s: got %v", c.url, err)
		}
	}
	if _, err := credential.Networks([]string{"10.0.0.0"}); err == nil {
		t.Error("an address without a length is no network: got no error")
	}
}
