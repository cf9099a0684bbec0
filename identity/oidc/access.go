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

// maxAccess bounds an access token, in bytes.
const maxAccess = 16 << 10

// AccessToken returns what an access token says that the provider made for the resource and for nothing else. A JWT is
// checked as RFC 9068 says; anything else is shown to the provider, where Introspect is set. identity.ErrCredential for
// what is not valid, and identity.ErrProvider when that cannot be found out now. Neither quotes the token.
func (c *Client) AccessToken(ctx context.Context, raw, resource string) (identity.Bearer, error) {
	if len(raw) == 0 || len(raw) > maxAccess {
		return identity.Bearer{}, unusable("it has no usable length")
	}
	if _, err := header(raw); err != nil {
		if !c.Introspect {
			return identity.Bearer{}, err
		}
		return c.introspect(ctx, raw, resource)
	}
	return c.signed(ctx, raw, resource)
}

func unusable(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{identity.ErrCredential}, args...)...)
}

// header reads the first part of a JWT.
func header(raw string) (claimSet, error) {
	if compact(raw) != nil {
		return nil, unusable("it is no signed token")
	}
	first, _, _ := strings.Cut(raw, ".")
	text, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil {
		return nil, unusable("it is no signed token")
	}
	h, err := read(text)
	if err != nil {
		return nil, unusable("it is no signed token")
	}
	return h, nil
}

// signed checks a JWT. Its type keeps ID tokens and logout tokens out, which the same keys sign.
func (c *Client) signed(ctx context.Context, raw, resource string) (identity.Bearer, error) {
	h, err := header(raw)
	if err != nil {
		return identity.Bearer{}, err
	}
	kind := strings.ToLower(h.text("typ"))
	switch {
	case kind != "at+jwt" && kind != "application/at+jwt":
		return identity.Bearer{}, unusable("its type is not at+jwt, as that of an access token is")
	case !slices.Contains(algorithms, h.text("alg")):
		return identity.Bearer{}, unusable("its algorithm is not one of %s", strings.Join(algorithms, ", "))
	}
	p, err := c.discover(ctx)
	if err != nil {
		return identity.Bearer{}, err
	}
	payload, err := p.keys.VerifySignature(ctx, raw)
	if _, ok := errors.AsType[lookError](err); ok || ctx.Err() != nil {
		return identity.Bearer{}, fmt.Errorf("%w: the token's key is not known and could not be looked for", identity.ErrProvider)
	}
	if err != nil {
		return identity.Bearer{}, unusable("no key of the provider made its signature")
	}
	claims, err := read(payload)
	if err != nil {
		return identity.Bearer{}, unusable("its claims can be read in two ways")
	}
	if claims.text("iss") != c.Issuer {
		return identity.Bearer{}, unusable("it is of another issuer")
	}
	if err := c.inTime(claims); err != nil {
		return identity.Bearer{}, unusable("%w", err)
	}
	return c.bearer(p, claims, resource)
}

// bearer checks what signed and introspected tokens have in common.
func (c *Client) bearer(p *provider, claims claimSet, resource string) (identity.Bearer, error) {
	b := identity.Bearer{Issuer: c.Issuer, Subject: claims.text("sub"), Client: claims.text("client_id")}
	audience, ok := claims.list("aud")
	if !ok || !slices.Contains(audience, resource) {
		return b, unusable("it is for another audience")
	}
	for _, other := range audience { // the provider's own, which it adds to the scope openid, cannot steal from itself
		if other != resource && other != c.Issuer && (p.UserInfoEndpoint() == "" || other != p.UserInfoEndpoint()) {
			return b, unusable("it is for another audience as well, which could use it here")
		}
	}
	if _, bound := claims["cnf"]; bound {
		return b, unusable("it is bound to a key of its client, of which nothing is asked here")
	}
	party, named := claims["azp"]
	switch text, _ := party.(string); {
	case named && b.Client != "" && text != b.Client:
		return b, unusable("it names two clients")
	case named:
		b.Client = text
	}
	if b.Subject == "" || len(b.Subject) > maxSubject || b.Client == "" || len(b.Client) > maxSubject {
		return b, unusable("its subject and client must have 1 to %d bytes", maxSubject)
	}
	b.Scopes = scopes(claims)
	var groups any
	if groups, b.Told = claims.find(c.GroupsClaim); b.Told {
		b.Groups, _ = texts(groups)
	}
	return b, nil
}

// scopes reads the claim scope, which is one text, or scp where a provider has that instead.
func scopes(claims claimSet) (all []string) {
	value, ok := claims["scope"]
	if !ok {
		value = claims["scp"]
	}
	list, _ := texts(value)
	for _, text := range list {
		all = append(all, strings.Split(text, " ")...)
	}
	return all
}

// lookError says that keys could not be looked for.
type lookError struct{ error }

func (e lookError) Unwrap() error { return e.error }
