package credential

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"remit/upstream"
)

// party is Remit as the client of one upstream's authorization server.
type party struct {
	c     Config
	guard *guard
	now   func() time.Time

	flights singleflight.Group // requests for tokens

	mu      sync.Mutex
	servers map[string]server // by issuer
}

func (p *party) resource(s server) string {
	switch {
	case p.c.Resource != "":
		return p.c.Resource
	case s.resource != "":
		return s.resource
	}
	return p.c.URL
}

// errRefused: the authorization server answered that it gives no token.
type errRefused struct {
	code   string
	status int
}

func (e errRefused) Error() string {
	if e.code == "" {
		return fmt.Sprintf("the authorization server gave no token (HTTP %d)", e.status)
	}
	return fmt.Sprintf("the authorization server gave no token (HTTP %d): %s", e.status, e.code)
}

// over says that a refresh token is worth nothing any more.
func over(err error) bool {
	var refused errRefused
	return errors.As(err, &refused) && refused.code == "invalid_grant"
}

var errorCode = regexp.MustCompile(`^[a-z_]{1,60}$`)

// request asks the token endpoint once. Its errors hold nothing that was sent or answered but the error's code.
func (p *party) request(ctx context.Context, s server, params url.Values) (*oauth2.Token, error) {
	style := oauth2.AuthStyleInHeader
	if p.c.ClientSecret == "" || s.Methods != nil && !slices.Contains(s.Methods, "client_secret_basic") {
		style = oauth2.AuthStyleInParams
	}
	c := clientcredentials.Config{ClientID: p.c.ClientID, ClientSecret: p.c.ClientSecret, TokenURL: s.Token, EndpointParams: params, AuthStyle: style}
	t, err := c.Token(context.WithValue(ctx, oauth2.HTTPClient, p.guard.client))
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, &refused):
		e := errRefused{status: http.StatusOK}
		if refused.Response != nil {
			e.status = refused.Response.StatusCode
		}
		if errorCode.MatchString(refused.ErrorCode) {
			e.code = refused.ErrorCode
		}
		if e.code == "" && e.status >= 500 {
			return nil, fmt.Errorf("the authorization server answered HTTP %d", e.status)
		}
		return nil, e
	case err != nil && ctx.Err() != nil:
		return nil, errors.New("the authorization server did not answer in time")
	case err != nil && asNetwork(err):
		return nil, fmt.Errorf("the authorization server cannot be reached: %w", cause(err))
	case err != nil:
		return nil, errors.New("the authorization server's answer is not one of the protocol")
	case !strings.EqualFold(t.Type(), "bearer"):
		return nil, errors.New("the authorization server gave a token of a kind that is not supported: it must be a bearer token")
	case !sendable(t.AccessToken):
		return nil, errors.New("the authorization server gave a token that is no token")
	}
	return t, nil
}

func asNetwork(err error) bool {
	var u *url.Error
	return errors.As(err, &u)
}

// sendable says whether a token can be sent in a header (RFC 6750, section 2.1, and a little more).
func sendable(token string) bool {
	return token != "" && len(token) <= 16<<10 && !strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' })
}

// margin is how long before its end a token is renewed, or half its life if that is shorter.
const margin = time.Minute

// held is a token that was given.
type held struct {
	Value   string
	Renew   time.Time // from when on; zero if it does not say when it ends
	Expires time.Time
}

func hold(t *oauth2.Token, now time.Time) held {
	h := held{Value: t.AccessToken}
	if !t.Expiry.IsZero() {
		life := time.Until(t.Expiry)
		h.Expires = now.Add(life).UTC()
		h.Renew = h.Expires.Add(-min(margin, life/2))
	}
	return h
}

// fresh says whether the token may be sent and need not be renewed yet.
func (h held) fresh(refused string, now time.Time) bool {
	return h.Value != "" && h.Value != refused && (h.Renew.IsZero() || now.Before(h.Renew))
}

// usable says whether the token may be sent.
func (h held) usable(refused string, now time.Time) bool {
	return h.Value != "" && h.Value != refused && (h.Expires.IsZero() || now.Before(h.Expires))
}

// machine supplies Remit's own tokens.
type machine struct {
	*party
	token    held
	refusals *rate.Limiter
	failure  error // of the last request, which is not repeated before retry
	retry    time.Time
}

// pause is how long an authorization server that gave no token is not asked again.
const pause = 5 * time.Second

// newRefusals counts the tokens that are had anew because the upstream refused one: a few at once, then one in a while. An
// upstream that refuses every token must not have its authorization server flooded.
func newRefusals() *rate.Limiter { return rate.NewLimiter(rate.Every(10*time.Second), 3) }

var errRefusesAll = fmt.Errorf("%w: it refuses the tokens that its authorization server gives", upstream.ErrUnauthorized)

func (m *machine) PerUser() bool { return false }

// Token is part of upstream.Authorizer.
func (m *machine) Token(ctx context.Context, _ upstream.Subject, refused string) (upstream.Token, error) {
	m.mu.Lock()
	token := m.token
	m.mu.Unlock()
	now := m.now()
	if token.fresh(refused, now) {
		return upstream.Token{Value: token.Value}, nil
	}
	renewed, err := once(ctx, &m.flights, "", func(ctx context.Context) (string, error) { return m.renew(ctx, refused) })
	switch {
	case err == nil:
		return upstream.Token{Value: renewed}, nil
	case token.usable(refused, now):
		return upstream.Token{Value: token.Value}, nil // it is early yet
	case ctx.Err() != nil:
		return upstream.Token{}, ctx.Err()
	case errors.Is(err, upstream.ErrUnauthorized):
		return upstream.Token{}, err
	}
	return upstream.Token{}, fmt.Errorf("%w: %w", upstream.ErrNoToken, err)
}

// renew gets a new token, unless another caller has meanwhile.
func (m *machine) renew(ctx context.Context, refused string) (string, error) {
	now := m.now()
	m.mu.Lock()
	token, failure, retry := m.token, m.failure, m.retry
	m.mu.Unlock()
	if token.fresh(refused, now) {
		return token.Value, nil
	}
	if failure != nil && now.Before(retry) {
		return "", failure
	}
	if refused != "" && token.Value == refused && !m.refusals.AllowN(now, 1) {
		return "", errRefusesAll
	}
	t, err := m.ownToken(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failure, m.retry = err, m.now().Add(pause); err != nil {
		return "", err
	}
	m.token = hold(t, m.now())
	return m.token.Value, nil
}

func (m *machine) ownToken(ctx context.Context) (*oauth2.Token, error) {
	s, err := m.find(ctx)
	if err != nil {
		return nil, err
	}
	params := url.Values{"resource": {m.resource(s)}}
	if len(m.c.Scopes) > 0 {
		params.Set("scope", strings.Join(m.c.Scopes, " "))
	}
	return m.request(ctx, s, params)
}

// once runs do for all who ask for the same at the same time. It goes on when one of them leaves.
func once(ctx context.Context, flights *singleflight.Group, key string, do func(context.Context) (string, error)) (string, error) {
	done := flights.DoChan(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*maxWait)
		defer cancel()
		return do(ctx)
	})
	select {
	case r := <-done:
		text, _ := r.Val.(string)
		return text, r.Err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
