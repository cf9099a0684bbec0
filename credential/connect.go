package credential

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"remit/identity"
)

const (
	connectWithin  = 10 * time.Minute // from leaving for the authorization server to coming back
	maxConnecting  = 10               // on the way at a time, of one person
	maxAnswerParam = 4096             // bytes of a code or a state
)

// ErrConnect is wrapped by what went wrong while an account was connected.
var ErrConnect = errors.New("the account was not connected")

// attempt is a person on the way to an authorization server and back, as it is sealed.
type attempt struct {
	Server   string // the upstream's name
	ClientID string
	Browser  string // hash of what the browser's session is known by
	Verifier string // of PKCE
	Redirect string
	Resource string
	AS       server
	Clients  []string
	Own      []Key // clients that the person signs in to, among them
}

// Leave is where a person goes to connect an account.
type Leave struct {
	Server string
	URL    string
	Host   string // of the authorization server
	Scopes []string
}

// Begin prepares to connect a person's account. browser is what their session is known by: only the same session can finish.
// redirect is the address that they come back to, exactly. ids are the keys that may use the account.
func (c *Connections) Begin(ctx context.Context, by identity.Principal, browser, name, redirect string, ids []string) (Leave, error) {
	p, err := c.of(name)
	if err != nil {
		return Leave{}, err
	}
	if by.Person == "" || browser == "" {
		return Leave{}, identity.ErrForbidden
	}
	if p.subjects != nil {
		return Leave{}, fmt.Errorf("%w: nothing has to be connected there: it is called with your sign-in", identity.ErrInvalid)
	}
	_, before, err := p.stored(ctx, by.Person)
	if err != nil && !errors.Is(err, ErrNone) && !errors.Is(err, ErrDamaged) {
		return Leave{}, err
	}
	ids, own, err := c.clients(ctx, by.Person, ids, before.Own)
	if err != nil {
		return Leave{}, err
	}
	if err := c.tooMany(ctx, by.Person); err != nil {
		return Leave{}, err
	}
	bound, cancel := context.WithTimeout(ctx, 2*maxWait)
	defer cancel()
	s, err := p.find(bound)
	if err != nil {
		return Leave{}, fmt.Errorf("%w: %w", ErrConnect, err)
	}
	to, err := url.Parse(s.Authorize)
	if s.Authorize == "" || err != nil {
		return Leave{}, fmt.Errorf("%w: the authorization server has no page to sign in at", ErrConnect)
	}
	state := rand.Text() + rand.Text()
	a := attempt{Server: name, ClientID: p.c.ClientID, Browser: digest(browser), Verifier: oauth2.GenerateVerifier(), Redirect: redirect, Resource: p.resource(s), AS: s, Clients: ids, Own: own}
	text, err := json.Marshal(a)
	if err != nil {
		return Leave{}, err
	}
	r := Sealed{Place: connecting(state, by), Expires: c.now().Add(connectWithin)}
	e := p.entry("connection.begin", by, by.Person)
	e.Detail["issuer"] = s.id()
	if err := c.vault.write(ctx, r, text, &e); err != nil {
		return Leave{}, err
	}
	ask := oauth2.Config{ClientID: p.c.ClientID, RedirectURL: redirect, Scopes: p.c.Scopes, Endpoint: oauth2.Endpoint{AuthURL: s.Authorize}}
	return Leave{Server: name, Host: to.Host, Scopes: p.c.Scopes,
		URL: ask.AuthCodeURL(state, oauth2.S256ChallengeOption(a.Verifier), oauth2.SetAuthURLParam("resource", a.Resource))}, nil
}

func (c *Connections) tooMany(ctx context.Context, person string) error {
	all, err := c.vault.Store.SealedOf(ctx, kindConnecting, person)
	if err != nil {
		return err
	}
	now := c.now()
	all = slices.DeleteFunc(all, func(r Sealed) bool { return r.Expires.Before(now) })
	if len(all) >= maxConnecting {
		return fmt.Errorf("%w: %d tries are under way; finish one, or wait %s", ErrConnect, len(all), connectWithin)
	}
	return nil
}

func connecting(state string, by identity.Principal) Place {
	return Place{Kind: kindConnecting, Name: digest(state), Owner: by.Person}
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Finish takes what the authorization server sent the browser back with. A state is good once, for the person and the
// session that began with it, and for the upstream in whose name they come back.
func (c *Connections) Finish(ctx context.Context, by identity.Principal, browser, name string, answer url.Values) error {
	p, err := c.of(name)
	if err != nil {
		return err
	}
	a, err := c.take(ctx, by, browser, name, answer)
	if err != nil {
		return err
	}
	if !p.current(connection{ClientID: a.ClientID, Issuer: a.AS.id(), Resource: a.Resource}) {
		return fmt.Errorf("%w: the upstream was configured otherwise meanwhile; start again", ErrConnect)
	}
	if code := answer.Get("error"); code != "" {
		if !errorCode.MatchString(code) {
			code = "an error"
		}
		return fmt.Errorf("%w: the authorization server answered %s", ErrConnect, code)
	}
	code := answer.Get("code")
	if code == "" || len(code) > maxAnswerParam {
		return fmt.Errorf("%w: the authorization server sent no code", ErrConnect)
	}
	t, err := p.request(ctx, a.AS, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {a.Redirect},
		"code_verifier": {a.Verifier}, "resource": {a.Resource}})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrConnect, err)
	}
	fresh := connection{ID: rand.Text(), Issuer: a.AS.id(), ClientID: p.c.ClientID, Resource: a.Resource, Scopes: p.c.Scopes, Since: p.now().UTC(),
		Clients: a.Clients, Own: a.Own, Access: hold(t, p.now()), Refresh: t.RefreshToken}
	if scope, ok := t.Extra("scope").(string); ok {
		fresh.Scopes = strings.Fields(clean(scope, 1000))
	}
	return p.replace(ctx, by, fresh)
}

// take returns the attempt that an answer belongs to.
func (c *Connections) take(ctx context.Context, by identity.Principal, browser, name string, answer url.Values) (a attempt, err error) {
	wrong := fmt.Errorf("%w: this answer belongs to no attempt of yours, or it took more than %s; start again", ErrConnect, connectWithin)
	for _, parameter := range []string{"state", "code", "iss", "error"} {
		if len(answer[parameter]) > 1 {
			return a, wrong
		}
	}
	state := answer.Get("state")
	if by.Person == "" || state == "" || len(state) > maxAnswerParam {
		return a, wrong
	}
	r, err := c.vault.Store.TakeSealed(ctx, connecting(state, by))
	if errors.Is(err, ErrNone) {
		return a, wrong
	}
	if err != nil {
		return a, err
	}
	text, err := c.vault.unseal(ctx, r)
	if err != nil && !errors.Is(err, ErrDamaged) {
		return a, err
	}
	if err == nil {
		err = json.Unmarshal(text, &a)
	}
	iss := answer.Get("iss")
	switch {
	case err != nil, !c.now().Before(r.Expires), a.Server != name, a.Browser != digest(browser):
		return a, wrong
	case a.AS.Issuer != "" && iss != "" && iss != a.AS.Issuer, iss == "" && a.AS.NamesItself:
		return a, fmt.Errorf("%w: the answer is not of the authorization server that you were sent to", ErrConnect)
	}
	return a, nil
}

// replace keeps a new connection, in place of one before, whose tokens are ended.
func (p *personal) replace(ctx context.Context, by identity.Principal, fresh connection) error {
	for {
		r, before, err := p.stored(ctx, by.Person)
		if err != nil && !errors.Is(err, ErrNone) && !errors.Is(err, ErrDamaged) {
			return err
		}
		r.Place, r.Expires = p.place(by.Person), time.Time{}
		e := p.entry("connection.make", by, by.Person)
		e.Detail["issuer"], e.Detail["keys"] = fresh.Issuer, list(fresh.Clients)
		switch err := p.save(ctx, r, fresh, &e); {
		case errors.Is(err, ErrMoved):
			continue
		case err != nil:
			return err
		}
		if before.ID != "" {
			_ = p.end(ctx, before) // they end by themselves in time
		}
		return nil
	}
}

func list(ids []string) string {
	if len(ids) == 0 {
		return "none"
	}
	return strings.Join(ids, ", ")
}
