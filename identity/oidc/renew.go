package oidc

import (
	"context"
	"errors"
	"fmt"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"remit/identity"
)

// Refresh renews a sign-in of the subject with what the provider gave for that. What comes back is checked as at a sign-in, but for
// the nonce, which it need not repeat (OpenID Connect Core, section 12.2). identity.ErrEnded when the provider says that the sign-in
// is over, ErrProvider when it is down, ErrAnswer for what is not believed.
func (c *Client) Refresh(ctx context.Context, subject, refresh string) (identity.Renewed, error) {
	p, err := c.discover(ctx)
	if err != nil {
		return identity.Renewed{}, err
	}
	ctx = oidc.ClientContext(ctx, c.http)
	token, err := p.oauth.TokenSource(ctx, &oauth2.Token{RefreshToken: refresh}).Token()
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok && refused.ErrorCode == "invalid_grant" {
		return identity.Renewed{}, identity.ErrEnded
	}
	if err != nil { // whose text could hold what was sent or answered
		return identity.Renewed{}, fmt.Errorf("%w: the sign-in cannot be renewed now", identity.ErrProvider)
	}
	now := identity.Renewed{Access: token.AccessToken, Expires: token.Expiry}
	if len(token.RefreshToken) <= maxToken {
		now.Refresh = token.RefreshToken // worth keeping, whatever is wrong with the rest
	}
	claims, asked := claimSet{"sub": subject}, true
	if now.ID, _ = token.Extra("id_token").(string); now.ID != "" {
		id, said, err := c.idToken(ctx, p, now.ID, nil)
		if err != nil {
			return now, fmt.Errorf("%w: %w", identity.ErrAnswer, err)
		}
		if claims, asked = said, false; now.Expires.IsZero() || id.Expiry.Before(now.Expires) {
			now.Expires = id.Expiry
		}
	} else if p.UserInfoEndpoint() == "" {
		return now, fmt.Errorf("%w: it says neither with a token nor on request who it is", identity.ErrAnswer)
	}
	if claims.text("sub") != subject {
		return now, fmt.Errorf("%w: it is about somebody else", identity.ErrAnswer)
	}
	who := c.provided(claims)
	if _, grouped := claims.find(c.GroupsClaim); asked || !grouped { // no groups at all is what it means when neither says any
		who, err = c.whole(ctx, p, token, claims, true)
	}
	who.Refresh = now.Refresh
	now.Provided = who
	return now, err
}
