package oidc

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"remit/identity"
	"remit/internal/fakeoidc"
)

// FuzzAccessTokens: whatever payload the provider signs, and whatever text comes as a token, is refused or is whole: never a
// panic, never a token for another audience, of nobody, of no client, or after its end.
func FuzzAccessTokens(f *testing.F) {
	p := fakeoidc.Start()
	f.Cleanup(p.Close)
	now := time.Unix(1_800_000_000, 0)
	const resource = "https://remit.example/p/support/mcp"
	c := client(f, p, func(c *Config) { c.Now = func() time.Time { return now }; c.Introspect = true })
	p.Type = "at+jwt"
	base := fmt.Sprintf(`"iss":%q,"iat":%d,"exp":%d,"sub":"s1","client_id":"c"`, p.URL, now.Unix(), now.Unix()+60)
	f.Add(`{`+base+`,"aud":"`+resource+`","scope":"a b"}`, "a.b.c")
	f.Add(`{`+base+`,"aud":["`+resource+`","x"]}`, "eyJhbGciOiJub25lIn0..")
	f.Add(`{`+base+`,"aud":"`+resource+`","Aud":"x","azp":"d"}`, `{"payload":"","signatures":[]}`)
	f.Add(`{"iss":1,"aud":{},"exp":1e400}`, strings.Repeat(".", 9))
	f.Fuzz(func(t *testing.T, payload, raw string) {
		if b, err := c.AccessToken(t.Context(), raw, resource); err == nil {
			t.Errorf("%q was taken for a token: %+v", raw, b)
		}
		signed := p.SignText(payload)
		b, err := c.AccessToken(t.Context(), signed, resource)
		if err != nil {
			if !errors.Is(err, identity.ErrCredential) && !errors.Is(err, identity.ErrProvider) {
				t.Errorf("%s: got %v", payload, err)
			}
			return
		}
		claims, err := read([]byte(payload))
		if err != nil {
			t.Fatalf("%s is believed and cannot be read: %v", payload, err)
		}
		audience, _ := claims.list("aud")
		end, _ := claims.moment("exp")
		if b.Issuer != p.URL || b.Subject == "" || b.Client == "" || !slices.Contains(audience, resource) || !end.Add(Skew).After(now) {
			t.Errorf("%s gave %+v", payload, b)
		}
	})
}
