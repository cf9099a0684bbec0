package credential

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// Whatever is in the database, nothing but what was sealed for a place opens there, and nothing ends the process.
func FuzzOpen(f *testing.F) {
	keys := ring{newKey(), newKey()}
	place := Place{Kind: "connection", Name: "crm", Owner: "ada"}
	good := keys.seal(keys[1].id, place, []byte("token"))
	f.Add(good, "crm", "ada")
	f.Add(good, "cr", "mada")
	f.Add(good[:9], "crm", "ada")
	f.Add([]byte{}, "", "")
	f.Fuzz(func(t *testing.T, body []byte, name, owner string) {
		p := Place{Kind: "connection", Name: name, Owner: owner}
		text, err := keys.open(p, body)
		if err == nil && (p != place || string(body) != string(good) || string(text) != "token") {
			t.Errorf("%x opened at %v as %q", body, p, text)
		}
	})
}

// Whatever metadata names, an address that is taken is https, or http in an allowed network.
func FuzzAddress(f *testing.F) {
	g := newGuard(Config{URL: "https://crm.example/mcp"}, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})
	for _, text := range []string{"https://login.example/token", "http://127.0.0.1:1/", "http://[::1]/", "https://0177.0.0.1/", "javascript:alert(1)", "//x", "https://a@b/", "https://x/#f"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := g.parse("endpoint", text)
		if err != nil {
			return
		}
		ip, _ := netip.ParseAddr(u.Hostname())
		if u.Scheme != "https" && !(u.Scheme == "http" && ip.IsLoopback()) || u.User != nil || u.Host == "" {
			t.Errorf("%q is taken", text)
		}
	})
}

// Whatever an upstream calls itself in its metadata, what is believed is its own address or one above it.
func FuzzResource(f *testing.F) {
	for _, text := range []string{"https://crm.example", "https://crm.example/mcp", "https://crm.example.evil/mcp", "https://crm.example@evil/mcp", "https://crm.example/mc", "//crm.example/mcp"} {
		f.Add(text)
	}
	upstream, _ := url.Parse("https://crm.example/mcp")
	f.Fuzz(func(t *testing.T, resource string) {
		rest, own := strings.CutPrefix(strings.ToLower(resource), "https://crm.example")
		if covers(resource, upstream) && (!own || rest != "" && rest[0] != '/' && rest[0] != '?') {
			t.Errorf("%q covers the upstream", resource)
		}
	})
}

// The guard dials what the administrator chose and public addresses, and says so of everything else.
func TestGuardDialsNothingPrivate(t *testing.T) {
	g := newGuard(Config{URL: "https://crm.example/mcp", Issuer: "http://127.0.0.1:1"}, nil)
	for to, want := range map[string]bool{"127.0.0.1:1": false, "127.0.0.1:2": true, "[::1]:1": true, "localhost:1": true, "[::ffff:127.0.0.1]:1": true} {
		req, err := http.NewRequest(http.MethodGet, "http://"+to+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := g.client.Do(req)
		if err == nil {
			res.Body.Close()
		}
		if private := cause(err) == errPrivate; private != want {
			t.Errorf("%s: got %v, want it refused: %v", to, err, want)
		}
	}
}

// Whatever a server answers as a token, it is read in one way or refused, and never for an audience that it does not name.
func FuzzExchanged(f *testing.F) {
	f.Add(`{"iss":"https://id.example","aud":["a","b"],"exp":2000000000}`)
	f.Add(`{"aud":"a","aud":"b"}`)
	f.Add(`{"exp":1e400,"iss":{}}`)
	f.Add(`[1]`)
	f.Fuzz(func(t *testing.T, payload string) {
		c, signed, err := look("e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln")
		if err != nil || !signed {
			return
		}
		var plain map[string]any
		if json.Unmarshal([]byte(payload), &plain) != nil {
			t.Fatalf("%q was read and is no object", payload)
		}
		for _, a := range c.Audience {
			list, _ := plain["aud"].([]any)
			if plain["aud"] != a && !slices.Contains(list, any(a)) {
				t.Errorf("%q is for %q", payload, a)
			}
		}
		if c.Issuer != "" && plain["iss"] != c.Issuer || c.Expires < 0 {
			t.Errorf("%q gave %+v", payload, c)
		}
	})
}
