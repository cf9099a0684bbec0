package oidc

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/time/rate"

	"remit/identity"
)

// Bounds of introspection. Whoever sends invented tokens makes Remit ask about each: at most askBurst at once, and
// askEvery between. Tokens that were valid before do not wait for that.
const (
	believed  = 10 * time.Second // how long an answer holds, never beyond the token's end
	askEvery  = 50 * time.Millisecond
	askBurst  = 20
	maxTokens = 4096 // that are remembered
)

// introspected is what the provider said of tokens.
type introspected struct {
	ask *rate.Limiter // of tokens that were never valid

	mu     sync.Mutex
	tokens map[[sha256.Size]byte]answer
}

type answer struct {
	claims claimSet // nil for a token that is not valid
	at     time.Time
}

func newIntrospected() introspected {
	return introspected{ask: rate.NewLimiter(rate.Every(askEvery), askBurst), tokens: map[[sha256.Size]byte]answer{}}
}

// introspect asks the provider about a token (RFC 7662), or remembers what it said. What it says is held against the
// resource and the clock each time.
func (c *Client) introspect(ctx context.Context, raw, resource string) (identity.Bearer, error) {
	p, err := c.discover(ctx)
	if err != nil {
		return identity.Bearer{}, err
	}
	if p.introspects == "" {
		return identity.Bearer{}, fmt.Errorf("%w: its metadata names no introspection endpoint", identity.ErrProvider)
	}
	id := sha256.Sum256([]byte(raw))
	now := c.Now()
	c.known.mu.Lock()
	was, seen := c.known.tokens[id]
	c.known.mu.Unlock()
	if !seen || now.Sub(was.at) >= believed {
		if (!seen || was.claims == nil) && !c.known.ask.AllowN(now, 1) {
			return identity.Bearer{}, fmt.Errorf("%w: too many unknown tokens to ask it about", identity.ErrProvider)
		}
		claims, err := c.asked(ctx, p, raw)
		if err != nil {
			return identity.Bearer{}, fmt.Errorf("%w: the token cannot be introspected: %w", identity.ErrProvider, shortened(err))
		}
		was = answer{claims, now}
		c.known.keep(id, was)
	}
	return c.active(p, was.claims, resource)
}

// active checks what the provider said of a token.
func (c *Client) active(p *provider, claims claimSet, resource string) (identity.Bearer, error) {
	if claims == nil {
		return identity.Bearer{}, unusable("the provider says that it is not active")
	}
	if kind, named := claims["token_type"].(string); named && !strings.EqualFold(kind, "Bearer") {
		return identity.Bearer{}, unusable("it is no bearer token")
	}
	if iss, named := claims["iss"]; named && iss != c.Issuer {
		return identity.Bearer{}, unusable("it is of another issuer")
	}
	if err := c.within(claims); err != nil {
		return identity.Bearer{}, unusable("%w", err)
	}
	return c.bearer(p, claims, resource)
}

// keep remembers an answer, and forgets others where there are too many.
func (i *introspected) keep(id [sha256.Size]byte, a answer) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.tokens) >= maxTokens {
		for other, old := range i.tokens {
			if old.claims == nil || a.at.Sub(old.at) >= believed {
				delete(i.tokens, other)
			}
		}
	}
	if len(i.tokens) >= maxTokens {
		clear(i.tokens)
	}
	i.tokens[id] = a
}

// asked shows the token to the provider; nil claims are of one that is not active.
func (c *Client) asked(ctx context.Context, p *provider, raw string) (claimSet, error) {
	form := url.Values{"token": {raw}, "token_type_hint": {"access_token"}}
	if p.oauth.Endpoint.AuthStyle == oauth2.AuthStyleInParams {
		form.Set("client_id", c.ClientID)
		form.Set("client_secret", c.ClientSecret)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.introspects, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	if p.oauth.Endpoint.AuthStyle == oauth2.AuthStyleInHeader {
		req.SetBasicAuth(url.QueryEscape(c.ClientID), url.QueryEscape(c.ClientSecret))
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %s", res.Status)
	}
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	claims, err := read(text)
	if err != nil {
		return nil, fmt.Errorf("its answer can be read in two ways: %w", err)
	}
	switch active, ok := claims["active"].(bool); {
	case !ok:
		return nil, fmt.Errorf("its answer does not say whether the token is active")
	case !active:
		return nil, nil
	}
	return claims, nil
}
