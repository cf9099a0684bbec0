package oidc

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"remit/identity"
)

// Issuer is one whose access tokens are taken beside those of the provider at which people sign in.
type Issuer struct {
	Address  string   // letter by letter as in its metadata
	Personas []string // that its tokens may be for; none means all
}

// ParseIssuer reads "ISSUER" or "ISSUER PERSONA,PERSONA".
func ParseIssuer(text string) (Issuer, error) {
	address, personas, some := strings.Cut(strings.TrimSpace(text), " ")
	i := Issuer{Address: address}
	if some {
		for _, id := range strings.Split(personas, ",") {
			i.Personas = append(i.Personas, strings.TrimSpace(id))
		}
	}
	if address == "" || slices.Contains(i.Personas, "") {
		return i, fmt.Errorf("%q names no issuer: write ISSUER, or ISSUER PERSONA,PERSONA for one whose tokens are for these personas alone", text)
	}
	return i, nil
}

// Issuers checks access tokens of several issuers. The first is the provider at which people sign in. A token is checked by the issuer
// that it names and by no other: with its keys, which its own metadata names, and for the personas that it is pinned to.
type Issuers struct {
	First *Client
	// SameSubjects says that all of them are one provider's, which calls a person the same everywhere. Otherwise a person of another
	// issuer is whom somebody bound to that issuer's subject.
	SameSubjects bool

	more map[string]pinned
}

type pinned struct {
	*Client
	personas []string
}

// NewIssuers adds issuers to the first.
func NewIssuers(first *Client, more []Issuer, sameSubjects bool) (*Issuers, error) {
	s := &Issuers{First: first, SameSubjects: sameSubjects, more: map[string]pinned{}}
	for _, i := range more {
		cfg := first.Config
		cfg.Issuer, cfg.ClientSecret, cfg.Introspect, cfg.Renew, cfg.Roles, cfg.Teams = i.Address, "", false, false, nil, nil
		c, err := New(cfg)
		if err != nil {
			return nil, err
		}
		if _, twice := s.more[i.Address]; twice || i.Address == first.Issuer {
			return nil, fmt.Errorf("oidc: the issuer %q is named twice", i.Address)
		}
		s.more[i.Address] = pinned{c, i.Personas}
	}
	return s, nil
}

// For lists the issuers whose tokens may be for the persona, those that are pinned to it first.
func (s *Issuers) For(persona string) []string {
	var of, all []string
	for address, p := range s.more {
		switch {
		case slices.Contains(p.personas, persona):
			of = append(of, address)
		case p.personas == nil:
			all = append(all, address)
		}
	}
	slices.Sort(of)
	slices.Sort(all)
	return append(append(of, s.First.Issuer), all...)
}

// AccessToken is Client.AccessToken of the issuer that the token names. A token that is no JWT is the first one's.
func (s *Issuers) AccessToken(ctx context.Context, raw, persona, resource string) (identity.Bearer, error) {
	named, err := issuerOf(raw)
	if err != nil || named == s.First.Issuer {
		return s.First.AccessToken(ctx, raw, resource)
	}
	p, ok := s.more[named]
	switch {
	case !ok:
		return identity.Bearer{}, unusable("it is of another issuer")
	case p.personas != nil && !slices.Contains(p.personas, persona):
		return identity.Bearer{}, unusable("it is of an issuer that is for other personas")
	}
	b, err := p.signed(ctx, raw, resource)
	if err == nil && s.SameSubjects {
		b.Known = s.First.Issuer
	}
	return b, err
}

// issuerOf is whose token a JWT claims to be. Nothing of it is believed by that: it only says who is to check it.
func issuerOf(raw string) (string, error) {
	if len(raw) > maxAccess || compact(raw) != nil {
		return "", errors.New("it is no JWT")
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
	if err != nil {
		return "", err
	}
	claims, err := read(payload)
	return claims.text("iss"), err
}
