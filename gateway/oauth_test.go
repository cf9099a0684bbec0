package gateway_test

import (
	"context"
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
	"remit/gateway"
	"remit/identity"
	"remit/identity/oidc"
	"remit/internal/fakeoidc"
	"remit/persona"
)

const address = "https://remit.test"

func resource(id string) string { return address + "/p/" + id + "/mcp" }

// interactive is a world whose agents come with access tokens: carol's client agent, for the persona support, which her group
// may use. Mallory may use the persona clerk.
type interactive struct {
	*world
	provider *fakeoidc.Provider
}

func newInteractive(t testing.TB, change func(*oidc.Config)) *interactive {
	t.Helper()
	i := &interactive{provider: fakeoidc.Start()}
	t.Cleanup(i.provider.Close)
	cfg := oidc.Config{Issuer: i.provider.URL, ClientID: fakeoidc.ClientID, ClientSecret: fakeoidc.Secret, RedirectURL: address + "/sign-in/callback",
		Now: func() time.Time { return i.now() }}
	if change != nil {
		change(&cfg)
	}
	tokens, err := oidc.New(cfg)
	must(t, err)
	way := &gateway.OAuth{Tokens: tokens, Address: address, Issuers: []string{cfg.Issuer}, Scope: "remit:{persona}"}
	i.world = newWorld(t, func(c *gateway.Config) {
		way.People = c.Keys.(*identity.Directory)
		c.OAuth = way
	})
	i.people.Moved = i.gateway.Moved
	i.provider.Now = i.now
	i.signIn("s1", "carol", "helpers", "everybody")
	i.signIn("s2", "mallory", "everybody")
	i.let("support", identity.Users{Groups: []string{"helpers"}})
	i.let("clerk", identity.Users{People: []string{"mallory"}})
	i.door = "/p/"
	i.keys = map[string]string{"support": i.token("support", nil), "clerk": i.token("clerk", fakeoidc.Claims{"sub": "s2"})}
	return i
}

func (i *interactive) signIn(subject, name string, groups ...string) {
	i.t.Helper()
	i.people.Rules.Create = true
	_, err := i.people.SignInByProvider(context.Background(), identity.Provided{Issuer: i.provider.URL, Subject: subject, Names: []string{name}, Groups: groups})
	must(i.t, err)
}

func (i *interactive) let(id persona.ID, users identity.Users) {
	i.t.Helper()
	p, err := i.store.Persona(context.Background(), id)
	must(i.t, err)
	must(i.t, i.persona.SetUsers(context.Background(), bob, id, p.Users, users))
}

// token is one of the provider's for the persona, with changes.
func (i *interactive) token(id string, changes fakeoidc.Claims) (token string) {
	i.provider.Do(func() {
		claims := fakeoidc.Claims{"scope": "openid remit:" + id}
		for name, value := range changes {
			claims[name] = value
		}
		token = i.provider.AccessToken(resource(id), claims)
	})
	return token
}

// list is the status with which the persona answers to a list of its tools.
func (i *interactive) list(id, token string, header ...string) int {
	i.t.Helper()
	r := i.post(i.t.Context(), id, "", listTools, append([]string{"Authorization", "Bearer " + token}, header...)...)
	defer r.Body.Close()
	return r.StatusCode
}

const listTools = `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{` + meta + `}}`

func (i *interactive) last() audit.Entry {
	i.t.Helper()
	all := i.entries()
	return all[len(all)-1]
}

// A client comes without a token and reads where to get one; with one it lists and calls, and the record says for whom.
func TestTokenCalls(t *testing.T) {
	i := newInteractive(t, nil)
	r := i.post(t.Context(), "support", "", listTools, "Authorization", "")
	const metadata = address + "/.well-known/oauth-protected-resource/p/support/mcp"
	if got, want := r.Header.Get("WWW-Authenticate"), `Bearer resource_metadata="`+metadata+`", scope="remit:support"`; r.StatusCode != 401 || got != want {
		t.Errorf("got %d, %s, want %s", r.StatusCode, got, want)
	}
	r, err := client.Get(i.server.URL + strings.TrimPrefix(metadata, address))
	must(t, err)
	want := fmt.Sprintf(`{"authorization_servers":[%q],"bearer_methods_supported":["header"],"resource":%q,"resource_name":"Remit: support","scopes_supported":["remit:support"]}`,
		i.provider.URL, resource("support"))
	if got := strings.TrimSpace(i.text(r)); got != want || r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("got the metadata %s, want %s", got, want)
	}
	if got := i.text(i.post(t.Context(), "support", "", call("find_customer", `{"email":"a@b.c"}`))); !strings.Contains(got, "Ada") {
		t.Errorf("got %s", got)
	}
	e := i.last()
	if e.Kind != audit.ToolCall || e.Decision != audit.Allowed || e.Agent != "agent" || e.User != "carol" || e.Persona != "support" || !strings.HasPrefix(e.Key, "oauth-") {
		t.Errorf("got the entry %+v", e)
	}
	text, err := json.Marshal(i.entries())
	must(t, err)
	for _, part := range strings.Split(i.keys["support"], ".") {
		if strings.Contains(string(text), part) {
			t.Errorf("the record holds a part of the token: %s", part)
		}
	}
	for name, f := range i.fakes {
		if strings.Contains(fmt.Sprint(f.Stats()), i.keys["support"]) {
			t.Errorf("%s got the token", name)
		}
	}
	again := i.token("support", nil) // another token of the same client and person is the same key
	if got := i.list("support", again); got != 200 {
		t.Errorf("another token: got %d", got)
	}
	i.text(i.post(t.Context(), "support", "", call("find_customer", `{"email":"a@b.c"}`), "Authorization", "Bearer "+again))
	if got := i.last().Key; got != e.Key {
		t.Errorf("another token counts as %s, want %s", got, e.Key)
	}
}

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
		"expired":                 {claims: fakeoidc.Claims{"exp": time.Now().Add(-2 * time.Minute).Unix()}, reason: "expired"},
		"expired within the skew": {claims: fakeoidc.Claims{"exp": time.Now().Add(-30 * time.Second).Unix()}, want: 200},
		"without an end":          {claims: fakeoidc.Claims{"exp": nil}, reason: "exp"},
		"with an endless end":     {claims: fakeoidc.Claims{"exp": 1e300}, reason: "exp"},
		"made in the future":      {claims: fakeoidc.Claims{"iat": time.Now().Add(time.Hour).Unix()}, reason: "future"},
		"for the future":          {claims: fakeoidc.Claims{"nbf": time.Now().Add(time.Hour).Unix()}, reason: "future"},
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

// What ends somebody's access ends it with the next call, and their open streams at once; another person's go on.
func TestTokensEndWithTheirPerson(t *testing.T) {
	listen := `{"jsonrpc":"2.0","id":"s","method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},` + meta + `}}`
	for name, tc := range map[string]struct {
		end  func(*interactive)
		want int
	}{
		"disabled":             {func(i *interactive) { must(t, i.people.SetDisabled(t.Context(), bob, "carol", true)) }, 403},
		"without the group":    {func(i *interactive) { i.signIn("s1", "carol", "everybody") }, 403},
		"the group may not":    {func(i *interactive) { i.let("support", identity.Users{Groups: []string{"others"}}) }, 403},
		"nobody may":           {func(i *interactive) { i.let("support", identity.Users{}) }, 403},
		"a logout there":       {func(i *interactive) { i.logOut() }, 403},
		"the token expires":    {func(i *interactive) { i.ahead.Store(int64(7 * time.Minute)) }, 401},
		"the persona suspends": {func(i *interactive) { i.suspend() }, 200},
	} {
		t.Run(name, func(t *testing.T) {
			i := newInteractive(t, nil)
			i.let("clerk", identity.Users{People: []string{"mallory"}, Groups: []string{"helpers"}})
			stream := events(i.post(t.Context(), "support", "", listen))
			<-stream // acknowledged
			session := i.session("support")
			if session == "" {
				t.Fatal("got no session")
			}
			tc.end(i)
			for range stream { // ends
			}
			if got := i.list("support", i.keys["support"]); got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
			if r := i.post(t.Context(), "support", session, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`); r.StatusCode != tc.want {
				t.Errorf("in the session: got %d, want %d", r.StatusCode, tc.want)
			} else if body := i.text(r); tc.want == 200 && !strings.Contains(body, "suspended") {
				t.Errorf("in the session: got %s", body)
			}
			if got := i.list("clerk", i.token("clerk", fakeoidc.Claims{"sub": "s2"})); got != 200 {
				t.Errorf("somebody else: got %d", got)
			}
		})
	}
}

func (i *interactive) logOut() {
	must(i.t, i.people.ProviderLogout(context.Background(), identity.Logout{Issuer: i.provider.URL, Subject: "s1", Token: "t", Expires: time.Now().Add(time.Minute)}))
}

func (i *interactive) suspend() {
	must(i.t, i.persona.Suspend(context.Background(), bob, persona.Target{Kind: persona.OnePersona, Name: "support"}, "a test"))
}

// A session is its client's and person's: another person with a token for the same persona cannot use it.
func TestSessionOfAnotherPerson(t *testing.T) {
	i := newInteractive(t, nil)
	session := i.session("support")
	i.let("support", identity.Users{Groups: []string{"everybody"}})
	for name, claims := range map[string]fakeoidc.Claims{"another person": {"sub": "s2"}, "another client": {"client_id": "other"}} {
		r := i.post(t.Context(), "support", session, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, "Authorization", "Bearer "+i.token("support", claims))
		if r.Body.Close(); r.StatusCode != 404 {
			t.Errorf("%s: got %d, want 404", name, r.StatusCode)
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

// Opaque tokens are shown to the provider, which is asked at most every ten seconds about one, and about unknown ones not
// without pause. What it says is held against the same rules.
func TestIntrospection(t *testing.T) {
	i := newInteractive(t, func(c *oidc.Config) { c.Introspect = true })
	says := func(token string, changes fakeoidc.Claims) string {
		claims := fakeoidc.Claims{"aud": resource("support"), "sub": "s1", "client_id": "agent", "scope": "remit:support", "exp": i.now().Add(20 * time.Second).Unix()}
		for name, value := range changes {
			claims[name] = value
		}
		i.provider.Do(func() { i.provider.Opaque[token] = claims })
		return token
	}
	for name, tc := range map[string]struct {
		changes fakeoidc.Claims
		want    int
	}{
		"honest":            {nil, 200},
		"inactive":          {fakeoidc.Claims{"active": false}, 401},
		"active as a text":  {fakeoidc.Claims{"active": "true"}, 503},
		"no word of it":     {fakeoidc.Claims{"active": nil}, 503},
		"another audience":  {fakeoidc.Claims{"aud": resource("clerk")}, 401},
		"no audience":       {fakeoidc.Claims{"aud": nil}, 401},
		"another issuer":    {fakeoidc.Claims{"iss": "https://evil.example"}, 401},
		"without an end":    {fakeoidc.Claims{"exp": nil}, 401},
		"expired":           {fakeoidc.Claims{"exp": i.now().Add(-time.Hour).Unix()}, 401},
		"another kind":      {fakeoidc.Claims{"token_type": "DPoP"}, 401},
		"no scope":          {fakeoidc.Claims{"scope": nil}, 403},
		"of who may not":    {fakeoidc.Claims{"sub": "s2"}, 403},
		"of no client":      {fakeoidc.Claims{"client_id": nil}, 401},
		"bound to a client": {fakeoidc.Claims{"cnf": fakeoidc.Claims{}}, 401},
	} {
		i.ahead.Add(int64(time.Second)) // some pause
		if got := i.list("support", says(strings.ReplaceAll(name, " ", "-"), tc.changes)); got != tc.want {
			t.Errorf("%s: got %d, want %d", name, got, tc.want)
		}
	}
	i.ahead.Add(int64(time.Minute))
	asked := i.provider.Seen("/introspect")
	token := says("opaque", nil)
	list := func(want int) {
		t.Helper()
		if got := i.list("support", token); got != want {
			t.Errorf("got %d, want %d", got, want)
		}
	}
	list(200)
	i.provider.Do(func() { delete(i.provider.Opaque, token) }) // revoked there
	list(200)
	if n := i.provider.Seen("/introspect") - asked; n != 1 {
		t.Errorf("the provider was asked %d times within a moment", n)
	}
	i.ahead.Add(int64(10 * time.Second))
	list(401)
	token = says("short", fakeoidc.Claims{"exp": i.now().Add(-58 * time.Second).Unix()}) // two seconds of the skew are left
	list(200)
	i.ahead.Add(int64(3 * time.Second))
	list(401) // by the clock, whatever was said
	asked = i.provider.Seen("/introspect")
	for n := range 100 {
		i.list("support", fmt.Sprint("invented", n))
	}
	if n := i.provider.Seen("/introspect") - asked; n > 25 {
		t.Errorf("the provider was asked about %d of 100 invented tokens", n)
	}
	token = says("known", nil)
	i.ahead.Add(int64(time.Second))
	list(200)
	i.provider.Close()
	i.ahead.Add(int64(11 * time.Second))
	list(503)
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
