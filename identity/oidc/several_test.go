package oidc

import (
	"errors"
	"testing"

	"remit/identity"
	"remit/internal/fakeoidc"
)

// Several authorization servers of one provider call a person the same; a token of each is still its own server's to check.
func TestSameSubjects(t *testing.T) {
	one, other := fakeoidc.Start(), fakeoidc.Start()
	t.Cleanup(one.Close)
	t.Cleanup(other.Close)
	const resource = "https://remit.example/p/support/mcp"
	all, err := NewIssuers(client(t, one, nil), []Issuer{{Address: other.URL}}, true)
	if err != nil {
		t.Fatal(err)
	}
	b, err := all.AccessToken(t.Context(), other.AccessToken(resource, nil), "support", resource)
	if err != nil || b.Known != one.URL || b.Issuer != other.URL || b.Subject != "s1" {
		t.Errorf("got %+v, %v", b, err)
	}
	if _, err := all.AccessToken(t.Context(), other.AccessToken(resource, fakeoidc.Claims{"iss": one.URL}), "support", resource); !errors.Is(err, identity.ErrCredential) {
		t.Errorf("in another's name: got %v", err)
	}
	if n := other.Seen("/introspect") + one.Seen("/introspect"); n != 0 {
		t.Errorf("a token was shown to somebody %d times", n)
	}
	for _, more := range [][]Issuer{{{Address: one.URL}}, {{Address: other.URL}, {Address: other.URL}}, {{Address: "http://id.example"}}, {{Address: ""}}} {
		if _, err := NewIssuers(client(t, one, nil), more, false); err == nil {
			t.Errorf("%v was taken", more)
		}
	}
}

func TestParseIssuer(t *testing.T) {
	for text, want := range map[string]int{"https://id.example": 0, "https://id.example/a support,clerk": 2, " https://id.example ": 0, "": -1, "https://id.example ,": -1, "https://id.example a,,b": -1} {
		got, err := ParseIssuer(text)
		if (err != nil) != (want < 0) || err == nil && len(got.Personas) != want {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
	}
}
