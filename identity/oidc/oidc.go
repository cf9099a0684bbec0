// Package oidc owns signing people in at an OpenID Connect provider: the authorization code flow with PKCE, what of the
// provider's answers is believed, and which roles the groups in them give. It keeps nothing: identity.Directory does.
package oidc

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/time/rate"

	"remit/identity"
)

// Config names the provider, and Remit at the provider. Issuer, ClientID and RedirectURL are needed.
type Config struct {
	Issuer       string // as in the provider's metadata, letter by letter
	ClientID     string
	ClientSecret string // empty for a public client
	RedirectURL  string // the one that is registered at the provider
	Name         string // what people call the provider; empty means its host
	Scopes       []string
	GroupsClaim  string   // empty means "groups"
	Roles        []string // GROUP=ROLE each; none means that admins give roles in Remit
	Teams        []string // GROUP=TEAM each; none means that admins say in Remit who is in which team
	Renew        bool     // ask for what renews a sign-in (offline_access)
	Introspect   bool     // access tokens that are no JWT are shown to the provider; needs a ClientSecret
	Networks     []string // (CIDR) in which the provider's endpoints may be beside public addresses and the issuer's own
	Now          func() time.Time
}

// Bounds of what is believed and waited for.
const (
	Skew       = time.Minute      // that the provider's clock may differ from ours
	freshness  = 10 * time.Minute // after which metadata and keys are read anew
	patience   = 2 * time.Second  // before a provider that failed is asked again
	keysEvery  = 10 * time.Second // between looks for keys that are not known
	keysBurst  = 3
	maxToken   = 64 << 10 // bytes of a signed token
	maxSubject = 255
)

// Client signs people in at one provider.
type Client struct {
	Config
	issuer *url.URL
	roles  map[string][]identity.Role // by group
	teams  map[string][]string        // by group
	http   *http.Client
	keys   *rate.Limiter // of looks for keys
	known  introspected

	mu      sync.Mutex
	found   *provider
	failure error
	tried   time.Time // when found or failure was found out
}

// provider is what its metadata says.
type provider struct {
	*oidc.Provider
	oauth       oauth2.Config
	verifier    *oidc.IDTokenVerifier
	keys        oidc.KeySet
	introspects string // address; empty where it does not offer that
	namesIssuer bool   // its answers carry iss (RFC 9207)
}

// algorithms that sign tokens: none that needs no key, or one that is not public.
var algorithms = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA}

// New checks the configuration. It asks the provider nothing: Remit starts without it.
func New(cfg Config) (*Client, error) {
	c := &Client{Config: cfg, keys: rate.NewLimiter(rate.Every(keysEvery), keysBurst), known: newIntrospected()}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.GroupsClaim == "" {
		c.GroupsClaim = "groups"
	}
	var err error
	if c.issuer, err = url.Parse(cfg.Issuer); err != nil || c.issuer.Host == "" || c.issuer.RawQuery != "" || !c.permits(c.issuer) {
		return nil, fmt.Errorf("oidc: the issuer %q must be an https address, or http on a loopback address for trying things out", cfg.Issuer)
	}
	if cfg.ClientID == "" || cfg.RedirectURL == "" {
		return nil, errors.New("oidc: a client id and a redirect address are needed")
	}
	if cfg.Introspect && cfg.ClientSecret == "" {
		return nil, errors.New("oidc: introspection needs the client's secret")
	}
	if c.Name == "" {
		c.Name = c.issuer.Hostname()
	}
	if c.roles, err = mapping(cfg.Roles, "role", func(r identity.Role) error {
		if !slices.Contains(identity.Roles, r) {
			return fmt.Errorf("there is no role %q; the roles are %v", r, identity.Roles)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	if c.teams, err = mapping(cfg.Teams, "team", identity.ValidTeam); err != nil {
		return nil, err
	}
	c.http, err = c.guarded()
	return c, err
}

// mapping reads lines such as GROUP=ROLE. A group may have several, and "=" in its name.
func mapping[T ~string](lines []string, what string, valid func(T) error) (map[string][]T, error) {
	of := map[string][]T{}
	for _, line := range lines {
		at := max(strings.LastIndex(line, "="), 0)
		group, value := strings.TrimSpace(line[:at]), T(strings.TrimSpace(line[min(at+1, len(line)):]))
		if group == "" {
			return nil, fmt.Errorf("oidc: %q does not map a group to a %s: write GROUP=%s", line, what, strings.ToUpper(what))
		}
		if err := valid(value); err != nil {
			return nil, fmt.Errorf("oidc: %q does not map a group to a %s: %w", line, what, err)
		}
		of[group] = append(of[group], value)
	}
	return of, nil
}

// Label is what people call the provider.
func (c *Client) Label() string { return c.Name }

// discover returns the provider as its metadata says, at most [freshness] old. One that failed is not asked again within
// [patience].
func (c *Client) discover(ctx context.Context) (*provider, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch age := c.Now().Sub(c.tried); {
	case c.found != nil && age < freshness:
		return c.found, nil
	case c.failure != nil && age < patience:
		return nil, c.failure
	}
	// Detached: a browser that goes away must not make the provider look down to others. The client has its own limit.
	p, err := c.read(context.WithoutCancel(ctx))
	c.found, c.failure, c.tried = p, err, c.Now() // after it: those who waited are not to wait once more
	return p, err
}

func (c *Client) read(ctx context.Context) (*provider, error) {
	ctx = oidc.ClientContext(ctx, c.http)
	found, err := oidc.NewProvider(ctx, c.Issuer)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", identity.ErrProvider, shortened(err))
	}
	var meta struct {
		Keys        string   `json:"jwks_uri"`
		Introspects string   `json:"introspection_endpoint"`
		NamesIssuer bool     `json:"authorization_response_iss_parameter_supported"`
		Auth        []string `json:"token_endpoint_auth_methods_supported"`
		Challenges  []string `json:"code_challenge_methods_supported"`
	}
	if err := found.Claims(&meta); err != nil {
		return nil, fmt.Errorf("%w: its metadata cannot be read: %w", identity.ErrProvider, err)
	}
	for what, address := range map[string]string{"authorization_endpoint": found.Endpoint().AuthURL, "token_endpoint": found.Endpoint().TokenURL,
		"jwks_uri": meta.Keys, "userinfo_endpoint": found.UserInfoEndpoint(), "introspection_endpoint": meta.Introspects} {
		if address == "" && (what == "userinfo_endpoint" || what == "introspection_endpoint") {
			continue
		}
		if u, err := url.Parse(address); err != nil || u.Host == "" || !c.permits(u) {
			return nil, fmt.Errorf("%w: the %s of its metadata, %q, is no https address", identity.ErrProvider, what, address)
		}
	}
	if len(meta.Challenges) > 0 && !slices.Contains(meta.Challenges, "S256") {
		return nil, fmt.Errorf("%w: it does not offer PKCE with S256", identity.ErrProvider)
	}
	p := &provider{Provider: found, namesIssuer: meta.NamesIssuer, introspects: meta.Introspects}
	p.oauth = oauth2.Config{ClientID: c.ClientID, ClientSecret: c.ClientSecret, RedirectURL: c.RedirectURL, Endpoint: found.Endpoint(),
		Scopes: append([]string{oidc.ScopeOpenID}, c.Scopes...)}
	if c.Config.Renew {
		p.oauth.Scopes = append(p.oauth.Scopes, oidc.ScopeOfflineAccess)
	}
	// Never by trying: a code that was sent twice is a replayed one.
	p.oauth.Endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if c.ClientSecret == "" || len(meta.Auth) > 0 && !slices.Contains(meta.Auth, "client_secret_basic") {
		p.oauth.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	slow := *c.http
	slow.Transport = slowed{c.http.Transport, c}
	p.keys = oidc.NewRemoteKeySet(oidc.ClientContext(ctx, &slow), meta.Keys)
	p.verifier = oidc.NewVerifier(c.Issuer, p.keys, &oidc.Config{ClientID: c.ClientID,
		SupportedSigningAlgs: algorithms, SkipExpiryCheck: true}) // times are checked with our own skew
	return p, nil
}

// Start returns the provider's address to send the browser to. What the answer is checked with is derived from the two
// secrets of the flow and kept nowhere. ErrProvider when the provider does not answer.
func (c *Client) Start(ctx context.Context, state, browser string) (string, error) {
	p, err := c.discover(ctx)
	if err != nil {
		return "", err
	}
	return p.oauth.AuthCodeURL(state, oidc.Nonce(derive(state, browser, "nonce")), oauth2.S256ChallengeOption(derive(state, browser, "verifier"))), nil
}

func derive(state, browser, what string) string {
	mac := hmac.New(sha256.New, []byte(browser))
	mac.Write([]byte(what + " " + state))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Finish turns the provider's answer into whom it vouches for. ErrProvider when it is down, ErrDeclined when it says no,
// ErrAnswer for all that is not believed.
func (c *Client) Finish(ctx context.Context, answer url.Values, state, browser string) (identity.Provided, error) {
	p, err := c.discover(ctx)
	if err != nil {
		return identity.Provided{}, err
	}
	for _, name := range []string{"code", "state", "iss", "error"} {
		if len(answer[name]) > 1 {
			return identity.Provided{}, fmt.Errorf("%w: %s comes twice", identity.ErrAnswer, name)
		}
	}
	if iss := answer.Get("iss"); iss != c.Issuer && (iss != "" || p.namesIssuer) {
		return identity.Provided{}, fmt.Errorf("%w: it comes from another issuer", identity.ErrAnswer)
	}
	if code := answer.Get("error"); code != "" {
		return identity.Provided{}, fmt.Errorf("%w: %q", identity.ErrDeclined, code[:min(len(code), 60)])
	}
	if answer.Get("code") == "" {
		return identity.Provided{}, fmt.Errorf("%w: it has no code", identity.ErrAnswer)
	}
	ctx = oidc.ClientContext(ctx, c.http)
	token, err := p.oauth.Exchange(ctx, answer.Get("code"), oauth2.VerifierOption(derive(state, browser, "verifier")))
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok && refused.Response.StatusCode < 500 {
		return identity.Provided{}, fmt.Errorf("%w: the provider does not take the code back: %s", identity.ErrAnswer, refused.ErrorCode)
	}
	if err != nil {
		return identity.Provided{}, fmt.Errorf("%w: the code cannot be exchanged: %w", identity.ErrProvider, shortened(err))
	}
	return c.identify(ctx, p, token, derive(state, browser, "nonce"))
}

// identify checks the ID token, and asks for groups and names where they are not in it.
func (c *Client) identify(ctx context.Context, p *provider, token *oauth2.Token, nonce string) (identity.Provided, error) {
	raw, _ := token.Extra("id_token").(string)
	id, claims, err := c.idToken(ctx, p, raw, &nonce)
	if err != nil {
		return identity.Provided{}, fmt.Errorf("%w: %w", identity.ErrAnswer, err)
	}
	if id.AccessTokenHash != "" {
		if err := id.VerifyAccessToken(token.AccessToken); err != nil {
			return identity.Provided{}, fmt.Errorf("%w: the access token is not the one of the ID token", identity.ErrAnswer)
		}
	}
	who, err := c.whole(ctx, p, token, claims, false)
	if err != nil {
		return who, err
	}
	if c.Config.Renew && len(token.RefreshToken) <= maxToken {
		who.Refresh = token.RefreshToken
	}
	return who, nil
}

// whole is who the claims are about, with groups and names of the user information where they are not among the claims, or where the
// user information has to be asked.
func (c *Client) whole(ctx context.Context, p *provider, token *oauth2.Token, claims claimSet, ask bool) (identity.Provided, error) {
	who := c.provided(claims)
	_, grouped := claims.find(c.GroupsClaim)
	if p.UserInfoEndpoint() != "" && (ask || !grouped && (who.Mapped || who.Teamed) || len(who.Names) == 0) {
		info, err := p.UserInfo(ctx, oauth2.StaticTokenSource(token))
		if err != nil {
			return identity.Provided{}, fmt.Errorf("%w: the user information cannot be had: %w", identity.ErrProvider, shortened(err))
		}
		more := claimSet{}
		if err := info.Claims(&more); err != nil || info.Subject != who.Subject || more.text("sub") != who.Subject {
			return identity.Provided{}, fmt.Errorf("%w: the user information is about somebody else", identity.ErrAnswer)
		}
		told := c.provided(more)
		if len(who.Names) == 0 {
			who.Names = told.Names
		}
		if !grouped {
			who.Roles, who.Teams, who.Groups = told.Roles, told.Teams, told.Groups
		}
	}
	return who, nil
}

// Logout checks a logout token that the provider sent us. ErrAnswer for one that is not believed.
func (c *Client) Logout(ctx context.Context, raw string) (identity.Logout, error) {
	if err := compact(raw); err != nil { // before the provider is asked anything
		return identity.Logout{}, fmt.Errorf("%w: %w", identity.ErrAnswer, err)
	}
	p, err := c.discover(ctx)
	if err != nil {
		return identity.Logout{}, err
	}
	l, err := c.logoutToken(ctx, p, raw)
	if err != nil {
		return identity.Logout{}, fmt.Errorf("%w: %w", identity.ErrAnswer, err)
	}
	return l, nil
}

// shortened is err with at most 300 bytes: some carry the whole body of an answer.
func shortened(err error) error {
	if text := err.Error(); len(text) > 300 {
		return errors.New(strings.ToValidUTF8(text[:300], "") + "…")
	}
	return err
}
