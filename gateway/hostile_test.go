package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"remit/audit"
	"remit/identity"
	"remit/internal/fakeoidc"
	"remit/persona"
)

// Attack: every way to make a token, or to lead one elsewhere, that the provider did not mean for this persona's address. Each
// is refused before anything is listed, and none of the answers says more than the next.
func TestHostileTokens(t *testing.T) {
	type lie struct {
		claims fakeoidc.Claims
		change func(*fakeoidc.Provider)
		want   int // 0 is 401
		reason string
	}
	stranger := fakeoidc.NewKey()
	for name, l := range map[string]lie{
		"honest":                   {want: 200},
		"another audience":         {claims: fakeoidc.Claims{"aud": "https://mail.example"}, reason: "another audience"},
		"another persona's":        {claims: fakeoidc.Claims{"aud": resource("clerk")}, reason: "another audience"},
		"the address as a prefix":  {claims: fakeoidc.Claims{"aud": resource("support") + "/"}, reason: "another audience"},
		"the keys' address":        {claims: fakeoidc.Claims{"aud": address + "/k/support/mcp"}, reason: "another audience"},
		"the whole of Remit":       {claims: fakeoidc.Claims{"aud": address}, reason: "another audience"},
		"the client":               {claims: fakeoidc.Claims{"aud": fakeoidc.ClientID}, reason: "another audience"},
		"in another case":          {claims: fakeoidc.Claims{"aud": strings.ToUpper(resource("support"))}, reason: "another audience"},
		"two audiences":            {claims: fakeoidc.Claims{"aud": []string{resource("support"), "https://mail.example"}}, reason: "as well"},
		"two personas":             {claims: fakeoidc.Claims{"aud": []string{resource("support"), resource("clerk")}}, reason: "as well"},
		"no audience":              {claims: fakeoidc.Claims{"aud": nil}, reason: "another audience"},
		"an odd audience":          {claims: fakeoidc.Claims{"aud": []any{resource("support"), 1}}, reason: "another audience"},
		"one in a list":            {claims: fakeoidc.Claims{"aud": []string{resource("support")}}, want: 200},
		"another issuer":           {claims: fakeoidc.Claims{"iss": "https://evil.example"}, reason: "another issuer"},
		"no issuer":                {claims: fakeoidc.Claims{"iss": nil}, reason: "another issuer"},
		"none":                     {change: func(p *fakeoidc.Provider) { p.Alg = "none" }, reason: "algorithm"},
		"HMAC with the public key": {change: func(p *fakeoidc.Provider) { p.Alg = "HS256" }, reason: "algorithm"},
		"an ID token":              {change: func(p *fakeoidc.Provider) { p.Type = "jwt" }, reason: "at+jwt"},
		"a logout token":           {change: func(p *fakeoidc.Provider) { p.Type = "logout+jwt" }, reason: "at+jwt"},
		"its long type":            {change: func(p *fakeoidc.Provider) { p.Type = "application/AT+JWT" }, want: 200},
		"a stranger's key":         {change: func(p *fakeoidc.Provider) { p.Key = stranger }, reason: "signature"},
		"an unknown key":           {change: func(p *fakeoidc.Provider) { p.Key, p.KeyID = stranger, "k2" }, reason: "signature"},
		"a rotated key": {change: func(p *fakeoidc.Provider) {
			p.Key, p.KeyID = stranger, "k2"
			p.Published["k2"] = &stranger.PublicKey
		}, want: 200},
		"expired":                 {claims: fakeoidc.Claims{"exp": -2 * time.Minute}, reason: "expired"},
		"expired within the skew": {claims: fakeoidc.Claims{"exp": -30 * time.Second}, want: 200},
		"without an end":          {claims: fakeoidc.Claims{"exp": nil}, reason: "exp"},
		"with an endless end":     {claims: fakeoidc.Claims{"exp": 1e300}, reason: "exp"},
		"made in the future":      {claims: fakeoidc.Claims{"iat": time.Hour}, reason: "future"},
		"for the future":          {claims: fakeoidc.Claims{"nbf": time.Hour}, reason: "future"},
		"a time that is a text":   {claims: fakeoidc.Claims{"nbf": "0"}, reason: "nbf"},
		"without iat":             {claims: fakeoidc.Claims{"iat": nil}, reason: "iat"},
		"no subject":              {claims: fakeoidc.Claims{"sub": nil}, reason: "subject"},
		"no client":               {claims: fakeoidc.Claims{"client_id": nil}, reason: "client"},
		"two clients":             {claims: fakeoidc.Claims{"azp": "other"}, reason: "two clients"},
		"the client as azp":       {claims: fakeoidc.Claims{"client_id": nil, "azp": "agent"}, want: 200},
		"an unprintable client":   {claims: fakeoidc.Claims{"client_id": "a\x1b[2J"}, want: 403, reason: "no client"},
		"bound to a key":          {claims: fakeoidc.Claims{"cnf": fakeoidc.Claims{"jkt": "x"}}, reason: "bound"},
		"no scope":                {claims: fakeoidc.Claims{"scope": nil}, want: 403, reason: "scope"},
		"another persona's scope": {claims: fakeoidc.Claims{"scope": "remit:clerk remit:support2"}, want: 403, reason: "scope"},
		"the scope in a list":     {claims: fakeoidc.Claims{"scope": nil, "scp": []string{"remit:support"}}, want: 200},
		"nobody's subject":        {claims: fakeoidc.Claims{"sub": "s3"}, want: 403, reason: "nobody here"},
		"the client's own":        {claims: fakeoidc.Claims{"sub": "agent"}, want: 403, reason: "nobody here"},
		"who may not":             {claims: fakeoidc.Claims{"sub": "s2"}, want: 403, reason: "neither the person"},
		"without the group now":   {claims: fakeoidc.Claims{"groups": []string{"everybody"}}, want: 403, reason: "neither the person"},
		"with the group still":    {claims: fakeoidc.Claims{"groups": []string{"helpers"}}, want: 200},
		"with a group of its own": {claims: fakeoidc.Claims{"sub": "s2", "groups": []string{"helpers"}}, want: 403, reason: "neither the person"},
		"claims of two readings":  {change: func(p *fakeoidc.Provider) { p.Type = "at+jwt" }, claims: fakeoidc.Claims{"sub": "s1\x00"}, want: 403, reason: "nobody here"},
	} {
		t.Run(name, func(t *testing.T) {
			i := newInteractive(t, nil)
			if l.change != nil {
				i.provider.Do(func() { l.change(i.provider) })
			}
			if l.want == 0 {
				l.want = 401
			}
			r := i.post(t.Context(), "support", "", listTools, "Authorization", "Bearer "+i.token("support", l.claims))
			body := i.text(r)
			if r.StatusCode != l.want {
				t.Fatalf("got %d, want %d: %s", r.StatusCode, l.want, body)
			}
			if l.want == 200 {
				return
			}
			code := map[int]string{401: `error="invalid_token"`, 403: `error="insufficient_scope"`}[l.want]
			if challenge := r.Header.Get("WWW-Authenticate"); l.want == 401 || l.reason == "scope" {
				if !strings.Contains(challenge, code) || !strings.Contains(challenge, `scope="remit:support"`) || !strings.Contains(challenge, "resource_metadata=") {
					t.Errorf("got the challenge %q, want one with %s", challenge, code)
				}
			} else if challenge != "" {
				t.Errorf("got the challenge %q, but another token would not help", challenge)
			}
			if e := i.last(); e.Kind != audit.RequestRefused || !strings.Contains(e.Reason, l.reason) || e.Key != "" || e.Persona != "" {
				t.Errorf("got the entry %+v, want a refusal because of %s", e, l.reason)
			}
			if strings.Contains(body, "audience") || strings.Contains(body, "nobody") {
				t.Errorf("the answer says why: %s", body)
			}
		})
	}
}

// Attack: a credential is brought where another kind is taken, twice, in the address, or too large; a page of another site or
// name brings it.
func TestTokensInTheWrongPlace(t *testing.T) {
	i := newInteractive(t, nil)
	_, key, err := i.people.IssueKey(t.Context(), bob, identity.KeySpec{Agent: "bot", User: "carol", Persona: "support"})
	must(t, err)
	secret, _, err := i.people.IssueKey(t.Context(), bob, identity.KeySpec{Agent: "bot", User: "carol", Persona: "support"})
	must(t, err)
	token := i.keys["support"]
	send := func(path string, header ...string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, i.server.URL+path, strings.NewReader(listTools))
		must(t, err)
		r.Header.Set("Content-Type", "application/json")
		for n := 0; n < len(header); n += 2 {
			if header[n] == "Host" {
				r.Host = header[n+1]
			}
			r.Header.Add(header[n], header[n+1])
		}
		answer, err := client.Do(r)
		must(t, err)
		defer answer.Body.Close()
		return answer.StatusCode
	}
	bearer := "Bearer " + token
	for name, tc := range map[string]struct {
		path   string
		header []string
		want   int
	}{
		"a key where tokens are taken":    {"/p/support/mcp", []string{"Authorization", "Bearer " + secret}, 401},
		"a key's public part":             {"/p/support/mcp", []string{"Authorization", "Bearer remit_" + key.ID}, 401},
		"a token where keys are taken":    {"/k/support/mcp", []string{"Authorization", bearer}, 401},
		"in the query":                    {"/p/support/mcp?access_token=" + token, nil, 400},
		"in the query, beside the header": {"/p/support/mcp?access_token=" + token, []string{"Authorization", bearer}, 400},
		"twice":                           {"/p/support/mcp", []string{"Authorization", bearer, "Authorization", bearer}, 401},
		"as another scheme":               {"/p/support/mcp", []string{"Authorization", "DPoP " + token}, 401},
		"too large":                       {"/p/support/mcp", []string{"Authorization", "Bearer " + strings.Repeat("a", 17<<10)}, 401},
		"another persona's address":       {"/p/clerk/mcp", []string{"Authorization", bearer}, 401},
		"no persona's address":            {"/p/nobody/mcp", []string{"Authorization", bearer}, 401},
		"another site's page":             {"/p/support/mcp", []string{"Authorization", bearer, "Origin", "https://evil.example"}, 403},
		"a name that was rebound":         {"/p/support/mcp", []string{"Authorization", bearer, "Host", "evil.example"}, 403},
	} {
		if got := send(tc.path, tc.header...); got != tc.want {
			t.Errorf("%s: got %d, want %d", name, got, tc.want)
		}
	}
	if n := i.provider.Seen("/introspect"); n != 0 {
		t.Errorf("the provider was shown %d tokens", n)
	}
}

// Attack: somebody looks for personas. With a token, without one, and in the metadata, one that exists and that they may not use
// answers like one that does not exist.
func TestUnknownPersonasAnswerAlike(t *testing.T) {
	i := newInteractive(t, nil)
	answer := func(id, authorization string) string {
		r := i.post(t.Context(), id, "", listTools, "Authorization", authorization)
		return fmt.Sprint(r.StatusCode, r.Header["Www-Authenticate"], i.text(r))
	}
	metadata := func(id string) string {
		r, err := client.Get(i.server.URL + "/.well-known/oauth-protected-resource/p/" + id + "/mcp")
		must(t, err)
		return fmt.Sprint(r.StatusCode, i.text(r))
	}
	for name, ask := range map[string]func(id string) string{
		"without a token": func(id string) string { return answer(id, "") },
		"with a bad one":  func(id string) string { return answer(id, "Bearer x") },
		"without scope":   func(id string) string { return answer(id, "Bearer "+i.token(id, fakeoidc.Claims{"scope": nil})) },
		"with its own":    func(id string) string { return answer(id, "Bearer "+i.token(id, nil)) },
		"metadata":        metadata,
	} {
		if diff := cmp.Diff(ask("clerk"), strings.ReplaceAll(ask("ghost"), "ghost", "clerk")); diff != "" {
			t.Errorf("%s (-clerk +ghost):\n%s", name, diff)
		}
	}
	for _, path := range []string{"/.well-known/oauth-protected-resource/k/support/mcp", "/.well-known/oauth-protected-resource/p/support/mcp/x",
		"/.well-known/oauth-protected-resource/p/a%2fb/mcp", "/.well-known/oauth-protected-resource/p/UPPER/mcp", "/.well-known/oauth-protected-resource/p//mcp",
		"/k/support/mcp/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource"} {
		r, err := client.Get(i.server.URL + path)
		must(t, err)
		if r.Body.Close(); r.StatusCode != 404 {
			t.Errorf("%s: got %d, want 404", path, r.StatusCode)
		}
	}
}

// The provider is down: tokens of keys that are known go on until what is known of the provider is too old; others are
// refused, and nobody is sent to sign in where that cannot help.
func TestTokensWhileTheProviderIsDown(t *testing.T) {
	i := newInteractive(t, nil)
	if got := i.list("support", i.keys["support"]); got != 200 {
		t.Fatalf("before: got %d", got)
	}
	i.provider.Close()
	if got := i.list("support", i.token("support", nil)); got != 200 {
		t.Errorf("a known key: got %d", got)
	}
	i.provider.Do(func() { i.provider.KeyID, i.provider.Key = "k2", fakeoidc.NewKey() })
	if got := i.list("support", i.token("support", nil)); got != 503 {
		t.Errorf("an unknown key: got %d", got)
	}
	i.ahead.Store(int64(3 * time.Minute))
	if got := i.list("support", i.keys["support"]); got != 200 {
		t.Errorf("three minutes later: got %d", got)
	}
	i.ahead.Store(int64(11 * time.Minute))
	if got := i.list("support", i.token("support", nil)); got != 503 {
		t.Errorf("eleven minutes later: got %d", got)
	}
}

// Attack: a flood of tokens with invented key ids. The provider is asked for its keys a few times only, and valid tokens go on.
func TestFloodOfUnknownKeys(t *testing.T) {
	i := newInteractive(t, nil)
	i.list("support", i.keys["support"])
	before := i.provider.Seen("/keys")
	honest := i.provider.Key
	for n := range 50 {
		i.provider.Do(func() { i.provider.KeyID = fmt.Sprint("invented", n) })
		if got := i.list("support", i.token("support", nil)); got == 200 {
			t.Fatal("an invented key was believed")
		}
	}
	if n := i.provider.Seen("/keys") - before; n > 3 {
		t.Errorf("the provider was asked for its keys %d times", n)
	}
	i.provider.Do(func() { i.provider.KeyID, i.provider.Key = "k1", honest })
	if got := i.list("support", i.keys["support"]); got != 200 {
		t.Errorf("a valid token: got %d", got)
	}
}

// FuzzMetadataPath: whatever is asked below the metadata's path, the answer is a document about exactly that address, or none.
func FuzzMetadataPath(f *testing.F) {
	i := newInteractive(f, nil)
	for _, path := range []string{"/p/support/mcp", "/k/support/mcp", "/p/a/b/mcp", "/p/" + strings.Repeat("a", 64) + "/mcp", "/p/\"/mcp", "//p/x/mcp", "/p/x/mcp?y"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		r, w := &http.Request{Method: "GET", Host: "127.0.0.1", Header: http.Header{}}, httptest.NewRecorder()
		r.URL = &url.URL{Path: "/.well-known/oauth-protected-resource" + path}
		i.gateway.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			return
		}
		var got struct {
			Resource string `json:"resource"`
		}
		must(t, json.Unmarshal(w.Body.Bytes(), &got))
		if id := strings.TrimSuffix(strings.TrimPrefix(path, "/p/"), "/mcp"); got.Resource != address+path || persona.ID(id).Validate() != nil {
			t.Errorf("%q gave a document about %q", path, got.Resource)
		}
	})
}
