package credential_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"remit/audit"
	"remit/credential"
	"remit/identity"
	"remit/identity/oidc"
	"remit/internal/fakeoidc"
	"remit/upstream"
)

// ownClient stands for a client that somebody signs in to.
const ownClient = "oauth-abcdefghijabcdefghij"

// exchanging is a world in which people sign in at a provider, whose tokens are exchanged for the upstream's.
func exchanging(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, personal)
	w.issuer = fakeoidc.Start()
	t.Cleanup(w.issuer.Close)
	w.issuer.Do(func() {
		w.issuer.Renewable, w.issuer.Now, w.issuer.Renewals = true, w.time, fakeoidc.Claims{"groups": []string{"staff"}}
	})
	client, err := oidc.New(oidc.Config{Issuer: w.issuer.URL, ClientID: fakeoidc.ClientID, ClientSecret: fakeoidc.Secret, RedirectURL: "http://127.0.0.1/", Renew: true, Now: w.time})
	must(t, err)
	w.people.Now = w.time
	for _, name := range []string{"ada", "bob"} {
		must(t, w.people.Bind(t.Context(), identity.Operator(), name, w.issuer.URL, "s-"+name))
	}
	w.signIns = &credential.SignIns{Vault: w.vault, People: w.store, Refresh: client.Refresh, Now: w.time}
	w.people.SignIns = w.signIns
	w.provider.Do(func() {
		w.provider.Subject = func(token, kind string) string {
			subject, ok := strings.CutPrefix(w.issuer.Holder(token), "s-")
			if kind != "access_token" || !ok {
				return ""
			}
			return subject + "@crm"
		}
	})
	w.start(w.exchange())
	return w
}

func (w *world) exchange() credential.Config {
	c := personal(w)
	c.Grant, c.Issuer, c.TokenURL = credential.TokenExchange, w.issuer.URL, w.provider.URL+"/token"
	return c
}

func (w *world) signsIn(name string) {
	w.t.Helper()
	must(w.t, w.signIns.Keep(w.t.Context(), name, w.issuer.Renewal("s-"+name)))
}

const exchanges = "urn:ietf:params:oauth:grant-type:token-exchange"

// Each person's calls carry what their own sign-in was exchanged for: with a client that they sign in to, and with a key that they
// allowed. It is had once for all calls, and the sign-in's own tokens reach nobody but the two servers.
func TestTokenExchange(t *testing.T) {
	w := exchanging(t)
	w.refused("ada", ownClient, "ada has to sign in to Remit at the identity provider")
	w.signsIn("ada")
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if got, err := w.call("ada", ownClient); err != nil || got != "ada@crm" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	group.Wait()
	if n := w.provider.Seen(exchanges); n != 1 {
		t.Errorf("got %d exchanges, want 1", n)
	}
	w.refused("bob", ownClient, "bob has to sign in")
	w.signsIn("bob")
	if got, err := w.call("bob", ownClient); err != nil || got != "bob@crm" {
		t.Errorf("got %q, %v", got, err)
	}
	w.refused("ada", w.keys["ada"], "ada has not allowed the key")
	must(t, w.own.Allow(t.Context(), person("ada"), "crm", []string{w.keys["ada"]}))
	w.wants("ada", "ada@crm")
	w.refused("ada", w.keys["bob"], "has not allowed the key")
	w.refused("ada", w.key("ada"), "has not allowed the key")
	if _, err := w.own.Begin(t.Context(), person("ada"), "b", "crm", back, nil); !errors.Is(err, identity.ErrInvalid) {
		t.Errorf("connecting: got %v", err)
	}
	if got := w.fake.Stats().CallHeader.Get("Authorization"); !strings.HasPrefix(got, "Bearer access-canary-") {
		t.Errorf("the upstream was sent %q", got)
	}
	if mixed := w.resource.Mixed(); mixed != nil {
		t.Errorf("sessions were shared: %v", mixed)
	}
	entries, err := w.store.Entries(t.Context(), audit.Query{Limit: 1000})
	must(t, err)
	record, _ := json.Marshal(entries)
	for place, text := range map[string]string{"the record": string(record), "the log": w.log.String()} {
		if strings.Contains(text, "canary") {
			t.Errorf("%s has a token: %s", place, text)
		}
	}
}

// What is used ends with the token, with the hour, with the person, and with their sign-in; without the provider it goes on so long.
func TestExchangeEnds(t *testing.T) {
	w := exchanging(t)
	w.signsIn("ada")
	call := func(want string) {
		t.Helper()
		if got, err := w.call("ada", ownClient); err != nil || got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	w.provider.Do(func() { w.provider.Lifetime = 1000 * time.Hour })
	call("ada@crm")
	w.later(59*time.Minute + 30*time.Second)
	call("ada@crm")
	if n := w.provider.Seen(exchanges); n != 2 {
		t.Errorf("a token for 1,000 hours: got %d exchanges after an hour, want 2", n)
	}
	w.provider.Do(func() { w.provider.Exchange = map[string]any{"expires_in": nil} })
	w.later(time.Hour)
	call("ada@crm")
	w.later(time.Minute)
	call("ada@crm")
	if n := w.provider.Seen(exchanges); n != 4 {
		t.Errorf("a token without an end: got %d exchanges, want 4", n)
	}
	w.provider.Do(func() { w.provider.Exchange = nil })
	w.later(2 * time.Minute)
	call("ada@crm")

	must(t, w.people.SetDisabled(t.Context(), identity.Operator(), "ada", true))
	w.refused("ada", ownClient, "ada may not sign in any more")
	must(t, w.people.SetDisabled(t.Context(), identity.Operator(), "ada", false))
	call("ada@crm")

	// They are somebody else at the provider now: what was kept is not theirs.
	must(t, w.people.Bind(t.Context(), identity.Operator(), "ada", w.issuer.URL, "s-other"))
	w.refused("ada", ownClient, "ada has to sign in")
	must(t, w.people.Bind(t.Context(), identity.Operator(), "ada", w.issuer.URL, "s-ada"))
	w.signsIn("ada")
	call("ada@crm")

	w.provider.Close()
	call("ada@crm")
	w.later(2 * time.Hour)
	calls := w.fake.Stats().Calls
	if _, err := w.call("ada", ownClient); !errors.Is(err, upstream.ErrNoToken) || w.fake.Stats().Calls != calls {
		t.Errorf("without the server that exchanges: got %v", err)
	}
}

// The provider ends the sign-in: with the next exchange the person has to sign in again, and with a recheck all of theirs stops.
func TestEndedSignInIsNotExchanged(t *testing.T) {
	w := exchanging(t)
	w.signsIn("ada")
	if got, err := w.call("ada", ownClient); err != nil || got != "ada@crm" {
		t.Fatalf("got %q, %v", got, err)
	}
	w.issuer.Do(func() { w.issuer.Ended["s-ada"] = true })
	w.later(2 * time.Hour)
	w.refused("ada", ownClient, "ada has to sign in to Remit again")
	must(t, w.people.Recheck(t.Context(), "ada"))
	w.refused("ada", ownClient, "ada may not sign in any more")
}

func jwt(claims string) string {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	return part(`{"alg":"RS256"}`) + "." + part(claims) + "." + part("signature")
}

// Attack: the server that exchanges answers with something else than was asked for. Nothing of it is sent to the upstream, and no
// error repeats what was sent or answered.
func TestHostileExchanges(t *testing.T) {
	w := exchanging(t)
	w.signsIn("ada")
	soon := time.Now().Add(time.Hour).Unix()
	honest := fmt.Sprintf(`{"iss":%q,"aud":[%q],"exp":%d}`, w.issuer.URL, w.resource.URL, soon)
	token := func(claims string) map[string]any { return map[string]any{"access_token": jwt(claims)} }
	body := func(status int, kind, text string) http.HandlerFunc {
		return func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", kind)
			rw.WriteHeader(status)
			_, _ = rw.Write([]byte(text))
		}
	}
	try := func() error {
		_, err := w.auth.Token(t.Context(), upstream.Subject{User: "ada", Client: ownClient}, "")
		return err
	}
	for name, tc := range map[string]struct {
		answer  map[string]any
		instead http.HandlerFunc
		want    string
	}{
		"another audience":    {answer: token(strings.Replace(honest, w.resource.URL, "https://mail.example", 1)), want: "for another audience"},
		"no audience":         {answer: token(fmt.Sprintf(`{"iss":%q,"exp":%d}`, w.issuer.URL, soon)), want: "for another audience"},
		"another issuer":      {answer: token(strings.Replace(honest, w.issuer.URL, "https://evil.example", 1)), want: "of another issuer"},
		"no issuer":           {answer: token(fmt.Sprintf(`{"aud":%q}`, w.resource.URL)), want: "of another issuer"},
		"ended":               {answer: token(strings.Replace(honest, fmt.Sprint(soon), "1000000000", 1)), want: "has ended"},
		"two audiences":       {answer: token(`{"aud":"a",` + honest[1:]), want: "two ways"},
		"an end of text":      {answer: token(strings.Replace(honest, fmt.Sprint(soon), `"never"`, 1)), want: "two ways"},
		"an ID token":         {answer: map[string]any{"issued_token_type": "urn:ietf:params:oauth:token-type:id_token"}, want: "another kind"},
		"a refresh token":     {answer: map[string]any{"issued_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}, want: "another kind"},
		"no kind":             {answer: map[string]any{"issued_token_type": nil}, want: "another kind"},
		"a kind that is none": {answer: map[string]any{"issued_token_type": []string{"a"}}, want: "another kind"},
		"not a bearer token":  {answer: map[string]any{"token_type": "N_A"}, want: "must be a bearer token"},
		"more scope":          {answer: map[string]any{"scope": "read write admin"}, want: "may do more"},
		"over in no time":     {answer: map[string]any{"expires_in": -5}, want: ""},
		"a header in a token": {answer: map[string]any{"access_token": "a\r\nX-Canary: canary"}, want: "no token"},
		"no token":            {answer: map[string]any{"access_token": ""}, want: ""},
		"the subject token": {instead: func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(rw, `{"access_token":%q,"token_type":"Bearer","issued_token_type":"urn:ietf:params:oauth:token-type:access_token"}`, r.FormValue("subject_token"))
		}, want: "gave back the token"},
		"an error that repeats": {instead: func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", "application/json")
			rw.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(rw, `{"error":"invalid_target","error_description":%q}`, r.FormValue("subject_token"))
		}, want: "invalid_target"},
		"an error that is none": {instead: body(400, "application/json", `{"error":"canary <script>"}`), want: "HTTP 400"},
		"a page":                {instead: body(200, "text/html", "<p>canary"), want: ""},
		"500":                   {instead: body(500, "text/plain", "canary"), want: "HTTP 500"},
		"too much":              {instead: body(200, "application/json", `{"canary":"`+strings.Repeat("x", 2<<20)+`"}`), want: ""},
		"elsewhere": {instead: func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, "http://127.0.0.1:1/canary", http.StatusTemporaryRedirect)
		}, want: ""},
	} {
		w.provider.Do(func() {
			w.provider.Exchange = tc.answer
			w.provider.Instead = map[string]http.HandlerFunc{}
			if tc.instead != nil {
				w.provider.Instead["/token"] = tc.instead
			}
		})
		err := try()
		if !errors.Is(err, upstream.ErrNoToken) || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: got %v, want it refused because %q", name, err, tc.want)
		}
	}
	w.provider.Do(func() { w.provider.Instead, w.provider.Exchange = nil, token(honest) })
	if err := try(); err != nil {
		t.Errorf("an honest JWT: %v", err)
	}
	if n := w.fake.Stats().Calls; n != 0 {
		t.Errorf("%d calls were sent", n)
	}
}

// A sign-in is exchanged nowhere but where it is from, and by a client with a secret.
func TestExchangeOnlyAtTheProvider(t *testing.T) {
	w := exchanging(t)
	deps := credential.Deps{Vault: w.vault, People: w.store, Keys: w.store, Record: w.store, Subjects: w.signIns, Issuer: w.issuer.URL, Networks: loopback}
	for name, change := range map[string]func(*credential.Config, *credential.Deps){
		"another issuer":      func(c *credential.Config, _ *credential.Deps) { c.Issuer = "https://other.example" },
		"no issuer":           func(c *credential.Config, _ *credential.Deps) { c.Issuer = "" },
		"no secret":           func(c *credential.Config, _ *credential.Deps) { c.ClientSecret = "" },
		"a kind that is none": func(c *credential.Config, _ *credential.Deps) { c.Subject = "refresh_token" },
		"nothing renews":      func(_ *credential.Config, d *credential.Deps) { d.Subjects = nil },
		"an audience for others": func(c *credential.Config, _ *credential.Deps) {
			c.Grant, c.Audience = credential.ClientCredentials, "a"
		},
	} {
		c, d := w.exchange(), deps
		change(&c, &d)
		if _, _, err := credential.New([]credential.Config{c}, d); err == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
	if _, _, err := credential.New([]credential.Config{w.exchange()}, deps); err != nil {
		t.Error(err)
	}
}

// A sign-in is of one provider: a person who is bound anew to another issuer, where the same subject means somebody else, has to sign in.
func TestSignInOfAnotherIssuer(t *testing.T) {
	w := exchanging(t)
	w.signsIn("ada")
	if got, err := w.call("ada", ownClient); err != nil {
		t.Fatalf("got %q, %v", got, err)
	}
	must(t, w.people.Bind(t.Context(), identity.Operator(), "ada", "https://other.example", "s-ada"))
	w.refused("ada", ownClient, "ada has to sign in to Remit at the identity provider")
	must(t, w.people.Bind(t.Context(), identity.Operator(), "ada", w.issuer.URL, "s-ada"))
	if _, err := w.signIns.Renew(t.Context(), "ada"); err != nil {
		t.Errorf("bound as before: %v", err)
	}
}

// withoutIssuer are people of before the issuer of a sign-in was kept.
type withoutIssuer struct{ credential.People }

func (p withoutIssuer) Person(ctx context.Context, name string) (identity.Person, error) {
	who, err := p.People.Person(ctx, name)
	who.Issuer = ""
	return who, err
}

// A sign-in that was kept before issuers were goes on: nobody has to sign in again, and nobody is let off being asked about. It is still
// not exchanged for a person of another issuer.
func TestSignInOfBefore(t *testing.T) {
	w := exchanging(t)
	before := credential.SignIns{Vault: w.vault, People: withoutIssuer{w.store}}
	for _, name := range []string{"ada", "bob"} {
		must(t, before.Keep(t.Context(), name, w.issuer.Renewal("s-"+name)))
	}
	if got, err := w.call("ada", ownClient); err != nil || got != "ada@crm" {
		t.Errorf("got %q, %v", got, err)
	}
	must(t, w.people.Bind(t.Context(), identity.Operator(), "bob", "https://other.example", "s-bob"))
	if _, err := w.signIns.Renew(t.Context(), "bob"); !errors.Is(err, identity.ErrAnswer) {
		t.Errorf("of another issuer: got %v", err)
	}
	if got, err := w.call("bob", ownClient); err == nil {
		t.Errorf("of another issuer: got %q", got)
	}
}
