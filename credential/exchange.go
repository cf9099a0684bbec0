package credential

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"remit/identity"
	"remit/internal/strictjson"
	"remit/upstream"
)

// Subjects are tokens of people that the identity provider gave Remit, to be exchanged at that provider. SignIns are some.
type Subjects interface {
	// SignIn names the sign-in that is kept of a person; upstream.ErrNotConnected for none.
	SignIn(ctx context.Context, person string) (id string, err error)
	// Subject returns a token of the kind, and the sign-in that it is of.
	Subject(ctx context.Context, person, kind string) (token, signIn string, err error)
}

const (
	exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange"
	tokenType     = "urn:ietf:params:oauth:token-type:" // and the kind
)

// Bounds of how long an exchanged token is used, whatever its answer says.
const (
	maxExchanged = time.Hour
	minExchanged = time.Minute // where nothing is said
)

// exchanged returns a token for the upstream that a person's token of the identity provider was exchanged for (RFC 8693). A client that
// the person signs in to may have it; an access key, which others can make in their name, when they allowed it.
func (p *personal) exchanged(ctx context.Context, of upstream.Subject, refused string) (upstream.Token, error) {
	if of.Client != "" && !identity.OwnClient(of.Client) {
		_, c, err := p.stored(ctx, of.User)
		if err != nil && !errors.Is(err, ErrNone) && !errors.Is(err, ErrDamaged) {
			return upstream.Token{}, fmt.Errorf("%w: which keys may use %s's sign-in cannot be read: %w", upstream.ErrNoToken, of.User, err)
		}
		if !slices.Contains(c.Clients, of.Client) {
			return upstream.Token{}, fmt.Errorf("%w: %s has not allowed %s to use their account", upstream.ErrNotConnected, of.User, named(of.Client))
		}
	}
	signIn, err := p.subjects.SignIn(ctx, of.User)
	if err != nil {
		return upstream.Token{}, err
	}
	now, have := p.now(), p.had(of.User, signIn)
	if have.fresh(refused, now) {
		return upstream.Token{Value: have.Value, Grant: signIn}, nil
	}
	value, err := once(ctx, &p.flights, of.User+" "+signIn, func(ctx context.Context) (string, error) { return p.exchange(ctx, of.User, signIn, refused) })
	switch {
	case err == nil:
		return upstream.Token{Value: value, Grant: signIn}, nil
	case have.usable(refused, now) && !errors.Is(err, upstream.ErrNotConnected):
		return upstream.Token{Value: have.Value, Grant: signIn}, nil // it is early yet
	case ctx.Err() != nil:
		return upstream.Token{}, ctx.Err()
	case errors.Is(err, upstream.ErrNotConnected), errors.Is(err, upstream.ErrUnauthorized):
		return upstream.Token{}, err
	}
	return upstream.Token{}, fmt.Errorf("%w: %w", upstream.ErrNoToken, err)
}

// had is the token that was exchanged of the sign-in before.
func (p *personal) had(user, signIn string) held {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.exchanges[user]; e.signIn == signIn {
		return e.held
	}
	return held{}
}

// exchange gets a token, unless another caller has meanwhile.
func (p *personal) exchange(ctx context.Context, user, signIn, refused string) (string, error) {
	have := p.had(user, signIn)
	if have.fresh(refused, p.now()) {
		return have.Value, nil
	}
	if refused != "" && have.Value == refused && !p.mayRenew(user) {
		return "", errRefusesAll
	}
	subject, of, err := p.subjects.Subject(ctx, user, p.c.subject())
	if err != nil {
		return "", err
	}
	if of != signIn {
		return "", errors.New("the person signed in anew meanwhile: try again")
	}
	s, err := p.find(ctx)
	if err != nil {
		return "", err
	}
	params := url.Values{"grant_type": {exchangeGrant}, "subject_token": {subject}, "subject_token_type": {tokenType + p.c.subject()},
		"requested_token_type": {tokenType + AccessToken}, "resource": {p.resource(s)}}
	if p.c.Audience != "" {
		params.Set("audience", p.c.Audience)
	}
	if len(p.c.Scopes) > 0 {
		params.Set("scope", strings.Join(p.c.Scopes, " "))
	}
	t, err := p.request(ctx, s, params)
	if err != nil {
		return "", err
	}
	next, err := p.answered(t, s, subject)
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.exchanges[user] = exchange{signIn, next}
	return next.Value, nil
}

// answered checks what came back, before any of it is sent to the upstream: it is another token than the one that was given, an access
// token, with no more than was asked for, and, as far as it can be read, of that server and for that upstream. How long it is used is
// the least that anything says.
func (p *personal) answered(t *oauth2.Token, s server, subject string) (held, error) {
	kind, _ := t.Extra("issued_token_type").(string)
	scope, _ := t.Extra("scope").(string)
	switch {
	case t.AccessToken == subject:
		return held{}, errors.New("the authorization server gave back the token that it was to exchange, which goes to no upstream")
	case kind != tokenType+AccessToken && kind != tokenType+"jwt":
		return held{}, errors.New("the authorization server gave a token of another kind than an access token")
	case slices.ContainsFunc(strings.Fields(scope), func(s string) bool { return !slices.Contains(p.c.Scopes, s) }):
		return held{}, errors.New("the authorization server gave a token that may do more than was asked for")
	}
	now := p.now()
	h := hold(t, now)
	end := now.Add(maxExchanged)
	if h.Expires.IsZero() {
		end = now.Add(minExchanged)
	}
	claims, signed, err := look(t.AccessToken)
	switch {
	case err != nil:
		return held{}, err
	case signed && s.Issuer != "" && claims.Issuer != s.Issuer:
		return held{}, errors.New("the authorization server gave a token of another issuer")
	case signed && !slices.Contains(claims.Audience, p.audience(s)):
		return held{}, errors.New("the authorization server gave a token for another audience")
	case signed && claims.Expires > 0:
		if at := time.Unix(claims.Expires, 0); at.Before(end) {
			end = at
		}
	}
	if h.Expires.IsZero() || end.Before(h.Expires) {
		life := end.Sub(now)
		h.Expires, h.Renew = end.UTC(), end.Add(-min(margin, life/2)).UTC()
	}
	if !now.Before(h.Expires) {
		return held{}, errors.New("the authorization server gave a token that has ended")
	}
	return h, nil
}

// audience is what a token for the upstream says that it is for.
func (p *personal) audience(s server) string {
	if p.c.Audience != "" {
		return p.c.Audience
	}
	return p.resource(s)
}

// seen is what a token says of itself, if it can be read. Its signature is the upstream's to check.
type seen struct {
	Issuer   string
	Audience []string
	Expires  int64
}

// look reads a JWT; signed is false for a token that is none.
func look(token string) (c seen, signed bool, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return c, false, nil
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || len(payload) == 0 || payload[0] != '{' {
		return c, false, nil
	}
	unclear := errors.New("the authorization server gave a token that can be read in two ways, or not at all")
	if strictjson.Check(payload, strictjson.Limits{Bytes: 16 << 10, Depth: 16, Names: 2000}) != nil {
		return c, true, unclear
	}
	var claims map[string]json.RawMessage
	var one string
	var exp float64
	if json.Unmarshal(payload, &claims) != nil || claims["iss"] != nil && json.Unmarshal(claims["iss"], &c.Issuer) != nil {
		return c, true, unclear
	}
	if aud := claims["aud"]; aud != nil && json.Unmarshal(aud, &c.Audience) != nil {
		if json.Unmarshal(aud, &one) != nil {
			return c, true, unclear
		}
		c.Audience = []string{one}
	}
	if claims["exp"] != nil && (json.Unmarshal(claims["exp"], &exp) != nil || exp < 1 || exp > 1<<40) {
		return c, true, unclear
	}
	c.Expires = int64(exp)
	return c, true, nil
}

// exchange is a token that a person's was exchanged for.
type exchange struct {
	signIn string
	held
}
