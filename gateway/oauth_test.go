package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"remit/approval"
	"remit/audit"
	"remit/gateway"
	"remit/identity"
	"remit/identity/oidc"
	"remit/internal/fakeoidc"
	"remit/persona"
	"remit/policy"
)

const address = "https://remit.test"

func resource(id string) string { return address + "/p/" + id + "/mcp" }

// interactive is a world whose agents come with access tokens: carol's client agent, for the persona support, which her group
// may use. Mallory may use the persona clerk.
type interactive struct {
	*world
	provider *fakeoidc.Provider
	other    *fakeoidc.Provider // whose tokens are taken for some personas, or for none
}

func newInteractive(t testing.TB, change func(*oidc.Config)) *interactive {
	t.Helper()
	return newSeveral(t, change)
}

// newSeveral is one in which the tokens of another issuer are taken for the personas, too.
func newSeveral(t testing.TB, change func(*oidc.Config), personas ...string) *interactive {
	t.Helper()
	i := &interactive{provider: fakeoidc.Start()}
	t.Cleanup(i.provider.Close)
	cfg := oidc.Config{Issuer: i.provider.URL, ClientID: fakeoidc.ClientID, ClientSecret: fakeoidc.Secret, RedirectURL: address + "/sign-in/callback",
		Now: func() time.Time { return i.now() }}
	if change != nil {
		change(&cfg)
	}
	first, err := oidc.New(cfg)
	must(t, err)
	i.other = fakeoidc.Start()
	t.Cleanup(i.other.Close)
	var more []oidc.Issuer
	if len(personas) > 0 {
		more = append(more, oidc.Issuer{Address: i.other.URL, Personas: personas})
	}
	tokens, err := oidc.NewIssuers(first, more, false)
	must(t, err)
	way := &gateway.OAuth{Tokens: tokens, Address: address, Issuers: tokens.For, Scope: "remit:{persona}"}
	i.world = newWorld(t, func(c *gateway.Config) {
		way.People = c.Keys.(*identity.Directory)
		c.OAuth = way
	})
	i.people.Moved = i.gateway.Moved
	i.provider.Now, i.other.Now = i.now, i.now
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
			if from, ok := value.(time.Duration); ok { // now
				value = i.now().Add(from).Unix()
			}
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

// What a policy counts by key, it counts by client and person together, and a call that waits is theirs: neither a fresh token nor
// the person's own word gets around it.
func TestPoliciesOfTokens(t *testing.T) {
	i := newInteractive(t, nil)
	i.rule(policy.Policy{Limits: []policy.Limit{{Calls: 1, Per: policy.Day, By: policy.ByKey}}})
	as := func(claims fakeoidc.Claims) string {
		claims["sub"] = "s2"
		return i.text(i.post(t.Context(), "clerk", "", fmt.Sprintf(refundCall, 1), "Authorization", "Bearer "+i.token("clerk", claims)))
	}
	for n, want := range []string{"refunded", "at most 1 a day"} {
		if got := as(fakeoidc.Claims{}); !strings.Contains(got, want) {
			t.Errorf("call %d: got %s, want %s", n, got, want)
		}
	}
	if got := as(fakeoidc.Claims{"client_id": "other"}); !strings.Contains(got, "refunded") {
		t.Errorf("another client: got %s", got)
	}
	i.rule(asksApproval)
	if got := as(fakeoidc.Claims{}); strings.Contains(got, "refunded") {
		t.Errorf("before anybody approved: got %s", got)
	}
	r := i.pending(1)
	mallory := identity.Principal{Person: "mallory", Roles: identity.Roles}
	if err := i.desk.Decide(t.Context(), mallory, r.ID, r.Arguments, true, ""); !errors.Is(err, approval.ErrOwnCall) {
		t.Errorf("the person approves their own client's call: got %v", err)
	}
	must(t, i.desk.Decide(t.Context(), dan, r.ID, r.Arguments, true, ""))
	if got := as(fakeoidc.Claims{"client_id": "other"}); strings.Contains(got, "refunded") {
		t.Errorf("another client uses the approval: got %s", got)
	}
	if got := as(fakeoidc.Claims{}); !strings.Contains(got, "refunded") {
		t.Errorf("after dan approved: got %s", got)
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
	token = says("short", fakeoidc.Claims{"exp": i.now().Add(-52 * time.Second).Unix()}) // eight seconds of the skew are left
	list(200)
	i.ahead.Add(int64(9 * time.Second))
	list(401) // by the clock, whatever was said
	asked = i.provider.Seen("/introspect")
	began := time.Now()
	for n := range 100 {
		i.list("support", fmt.Sprint("invented", n))
	}
	if n, most := i.provider.Seen("/introspect")-asked, 21+int(time.Since(began)/(50*time.Millisecond)); n > most {
		t.Errorf("the provider was asked about %d of 100 invented tokens, want at most %d", n, most)
	}
	token = says("known", nil)
	i.ahead.Add(int64(time.Second))
	list(200)
	i.provider.Close()
	i.ahead.Add(int64(11 * time.Second))
	list(503)
}

// Attack: whoever has the keys of one issuer makes tokens in the name of another, or for a persona that it is not pinned to. A token is
// checked by the issuer that it names, with that one's keys, and by no other.
func TestTokensOfSeveralIssuers(t *testing.T) {
	i := newSeveral(t, nil, "clerk")
	must(t, i.people.AddPerson(t.Context(), identity.Operator(), "dora", nil, ""))
	must(t, i.people.Bind(t.Context(), identity.Operator(), "dora", i.other.URL, "s1"))
	i.let("clerk", identity.Users{People: []string{"mallory", "dora"}})
	i.let("support", identity.Users{Groups: []string{"helpers"}, People: []string{"dora"}})
	of := func(p *fakeoidc.Provider, id string, changes fakeoidc.Claims) (token string) {
		p.Do(func() {
			claims := fakeoidc.Claims{"scope": "remit:" + id}
			for name, value := range changes {
				claims[name] = value
			}
			token = p.AccessToken(resource(id), claims)
		})
		return token
	}
	if got := i.list("clerk", of(i.other, "clerk", nil)); got != 200 {
		t.Errorf("a token of the other issuer: got %d", got)
	}
	i.text(i.post(t.Context(), "clerk", "", call("refund", `{"cents":5}`), "Authorization", "Bearer "+of(i.other, "clerk", nil)))
	if last := i.last(); last.User != "dora" {
		t.Errorf("its subject s1 is carol's at the first issuer; the record names %q", last.User)
	}
	for name, tc := range map[string]struct {
		id, token string
		want      int
	}{
		"for a persona that it is not pinned to":  {"support", of(i.other, "support", nil), 401},
		"in the first one's name":                 {"support", of(i.other, "support", fakeoidc.Claims{"iss": i.provider.URL}), 401},
		"the first one's in the other's name":     {"clerk", of(i.provider, "clerk", fakeoidc.Claims{"iss": i.other.URL}), 401},
		"of nobody that is configured":            {"clerk", of(i.other, "clerk", fakeoidc.Claims{"iss": "https://evil.example"}), 401},
		"of an issuer that is spelt otherwise":    {"clerk", of(i.other, "clerk", fakeoidc.Claims{"iss": i.other.URL + "/"}), 401},
		"without an issuer":                       {"clerk", of(i.other, "clerk", fakeoidc.Claims{"iss": nil}), 401},
		"of two issuers":                          {"clerk", of(i.other, "clerk", fakeoidc.Claims{"iss": []string{i.provider.URL, i.other.URL}}), 401},
		"of a subject that nobody is there":       {"clerk", of(i.other, "clerk", fakeoidc.Claims{"sub": "s2"}), 403},
		"the first one's, for whom only it knows": {"clerk", of(i.provider, "clerk", fakeoidc.Claims{"sub": "s2"}), 200},
	} {
		if got := i.list(tc.id, tc.token); got != tc.want {
			t.Errorf("%s: got %d, want %d", name, got, tc.want)
		}
	}
	for id, want := range map[string]string{"clerk": fmt.Sprintf("[%q,%q]", i.other.URL, i.provider.URL), "support": fmt.Sprintf("[%q]", i.provider.URL)} {
		r, err := client.Get(i.server.URL + "/.well-known/oauth-protected-resource/p/" + id + "/mcp")
		must(t, err)
		if got := i.text(r); !strings.Contains(got, `"authorization_servers":`+want) {
			t.Errorf("%s: got the metadata %s, want %s", id, got, want)
		}
	}
	i.other.Close()
	i.ahead.Add(int64(11 * time.Minute)) // what is known of it is too old now
	if got := i.list("clerk", of(i.other, "clerk", nil)); got != 503 {
		t.Errorf("the other issuer is down: got %d", got)
	}
	if got := i.list("support", of(i.provider, "support", nil)); got != 200 {
		t.Errorf("the first one goes on: got %d", got)
	}
}
