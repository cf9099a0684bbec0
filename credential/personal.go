package credential

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"remit/audit"
	"remit/identity"
	"remit/upstream"
)

// connection is a person's account at an upstream, as it is sealed.
type connection struct {
	ID       string // of this consent: connecting anew makes another
	Issuer   string // whose tokens these are; they are sent to no other
	ClientID string // whom they were given to
	Resource string // for what
	Scopes   []string
	Since    time.Time
	Clients  []string // ids of the access keys that may use it, and of clients that its person signs in to
	Own      []Key    `json:",omitempty"` // which clients those are
	Access   held
	Refresh  string
}

// People says who is who; an identity.Store is one.
type People interface {
	Person(ctx context.Context, name string) (identity.Person, error) // identity.ErrNotFound
}

// personal supplies each user's own tokens for one upstream.
type personal struct {
	*party
	vault    *Vault
	people   People
	refusals map[string]*rate.Limiter // by user

	subjects  Subjects            // nil where people connect an account; else what is exchanged
	exchanges map[string]exchange // by user
}

func (p *personal) PerUser() bool { return true }

func (p *personal) place(user string) Place {
	return Place{Kind: kindConnection, Name: p.c.Server, Owner: user}
}

// Token is part of upstream.Authorizer.
func (p *personal) Token(ctx context.Context, of upstream.Subject, refused string) (upstream.Token, error) {
	if of == (upstream.Subject{}) {
		if p.c.ListAs == "" {
			return p.anonymous(refused)
		}
		of.User = p.c.ListAs
	}
	if err := p.active(ctx, of.User); err != nil {
		return upstream.Token{}, err
	}
	if p.subjects != nil {
		return p.exchanged(ctx, of, refused)
	}
	_, c, err := p.load(ctx, of.User)
	if err != nil {
		return upstream.Token{}, err
	}
	if of.Client != "" && !slices.Contains(c.Clients, of.Client) {
		return upstream.Token{}, fmt.Errorf("%w: %s has not allowed %s to use their account", upstream.ErrNotConnected, of.User, named(of.Client))
	}
	now := p.now()
	if c.Access.fresh(refused, now) {
		return upstream.Token{Value: c.Access.Value, Grant: c.ID}, nil
	}
	value, err := once(ctx, &p.flights, of.User, func(ctx context.Context) (string, error) { return p.refresh(ctx, of.User, c.ID, refused) })
	switch {
	case err == nil:
		return upstream.Token{Value: value, Grant: c.ID}, nil
	case c.Access.usable(refused, now) && !errors.Is(err, upstream.ErrNotConnected):
		return upstream.Token{Value: c.Access.Value, Grant: c.ID}, nil // it is early yet
	case ctx.Err() != nil:
		return upstream.Token{}, ctx.Err()
	case errors.Is(err, upstream.ErrNotConnected), errors.Is(err, upstream.ErrUnauthorized):
		return upstream.Token{}, err
	}
	return upstream.Token{}, fmt.Errorf("%w: %w", upstream.ErrNoToken, err)
}

// named is a key, or a client, in words.
func named(client string) string {
	if identity.OwnClient(client) {
		return "this client"
	}
	return "the key " + client
}

// anonymous is for the lists of a server that nobody lists for.
func (p *personal) anonymous(refused string) (upstream.Token, error) {
	if refused != "" {
		return upstream.Token{}, fmt.Errorf("%w: it lists its tools for users only: name one as oauth.list-as", upstream.ErrNoToken)
	}
	return upstream.Token{}, nil
}

// active refuses everybody who may not sign in, whatever keys there are.
func (p *personal) active(ctx context.Context, user string) error {
	if user == "" {
		return fmt.Errorf("%w: the call is made for no user", upstream.ErrNotConnected)
	}
	person, err := p.people.Person(ctx, user)
	switch {
	case errors.Is(err, identity.ErrNotFound):
		return fmt.Errorf("%w: there is no person %q who could connect an account", upstream.ErrNotConnected, clean(user, 100))
	case err != nil:
		return fmt.Errorf("%w: whether %s may use their account cannot be read", upstream.ErrNoToken, clean(user, 100))
	case !person.Active(p.now()):
		return fmt.Errorf("%w: %s may not sign in any more", upstream.ErrNotConnected, user)
	}
	return nil
}

// load returns a user's connection, if it is of the client and the authorization server that are configured now.
func (p *personal) load(ctx context.Context, user string) (Sealed, connection, error) {
	r, c, err := p.stored(ctx, user)
	switch {
	case errors.Is(err, ErrNone):
		return r, c, fmt.Errorf("%w: %s has not connected an account", upstream.ErrNotConnected, user)
	case errors.Is(err, ErrDamaged):
		return r, c, fmt.Errorf("%w: %s's account: %w", upstream.ErrNotConnected, user, err)
	case err != nil:
		return r, c, fmt.Errorf("%w: %s's account cannot be read: %w", upstream.ErrNoToken, user, err)
	case !p.current(c):
		return r, c, fmt.Errorf("%w: %s connected an account before the upstream was configured otherwise", upstream.ErrNotConnected, user)
	}
	return r, c, nil
}

// stored returns a user's connection as it is kept.
func (p *personal) stored(ctx context.Context, user string) (r Sealed, c connection, err error) {
	r, text, err := p.vault.read(ctx, p.place(user))
	if err == nil && json.Unmarshal(text, &c) != nil {
		err = ErrDamaged
	}
	return r, c, err
}

// current says whether a connection's tokens were given to this client, by this server, for this resource.
func (p *personal) current(c connection) bool {
	issuer := p.c.Issuer
	if issuer == "" {
		issuer = p.c.TokenURL
	}
	return c.ClientID == p.c.ClientID && (issuer == "" || c.Issuer == issuer) && (p.c.Resource == "" || c.Resource == p.c.Resource)
}

// server returns the authorization server that a connection's tokens come from, and never another.
func (p *personal) server(ctx context.Context, c connection) (server, error) {
	if p.c.TokenURL != "" {
		return p.find(ctx)
	}
	return p.metadata(ctx, c.Issuer)
}

// refresh has a user's token renewed, unless that was done meanwhile. What comes back is kept before it is used: an
// authorization server that rotates refresh tokens takes each once.
func (p *personal) refresh(ctx context.Context, user, id, refused string) (string, error) {
	for {
		r, c, err := p.load(ctx, user)
		if err != nil {
			return "", err
		}
		if c.ID != id {
			return "", errors.New("the account was exchanged meanwhile: try again")
		}
		if c.Access.fresh(refused, p.now()) {
			return c.Access.Value, nil
		}
		if refused != "" && c.Access.Value == refused && !p.mayRenew(user) {
			return "", errRefusesAll
		}
		if c.Refresh == "" {
			return "", p.lose(ctx, r, c, "its token has ended, and there is none to renew it with")
		}
		s, err := p.server(ctx, c)
		if err != nil {
			return "", err
		}
		t, err := p.request(ctx, s, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {c.Refresh}, "resource": {c.Resource}})
		if over(err) {
			if again, _, loadErr := p.load(ctx, user); loadErr == nil && again.Version != r.Version {
				continue // another process was first, and has the new one
			}
			return "", p.lose(ctx, r, c, "its authorization server has ended it")
		}
		if err != nil {
			return "", err
		}
		c.Access = hold(t, p.now())
		if t.RefreshToken != "" {
			c.Refresh = t.RefreshToken
		}
		err = p.save(ctx, r, c, nil)
		if errors.Is(err, ErrMoved) { // disconnected, exchanged, or another consent: what is kept decides
			if again, stored, loadErr := p.load(ctx, user); loadErr == nil && stored.ID == id {
				stored.Access, stored.Refresh = c.Access, c.Refresh
				err = p.save(ctx, again, stored, nil)
			}
		}
		if err != nil {
			_ = p.revoke(ctx, s, c) // nobody has it, and it ends by itself in time
			return "", errors.New("the account was changed meanwhile: try again")
		}
		return c.Access.Value, nil
	}
}

// mayRenew counts a renewal after a refusal.
func (p *personal) mayRenew(user string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refusals[user] == nil {
		p.refusals[user] = newRefusals()
	}
	return p.refusals[user].AllowN(p.now(), 1)
}

func (p *personal) save(ctx context.Context, r Sealed, c connection, e *audit.Entry) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return p.vault.write(ctx, r, text, e)
}

// lose drops a connection that is worth nothing any more.
func (p *personal) lose(ctx context.Context, r Sealed, c connection, why string) error {
	e := p.entry("connection.lose", identity.Principal{}, r.Owner)
	e.Reason = why
	if err := p.vault.write(ctx, r, nil, &e); err != nil && !errors.Is(err, ErrMoved) {
		return fmt.Errorf("the account cannot be dropped: %w", err)
	}
	return fmt.Errorf("%w: %s's account has to be connected again: %s", upstream.ErrNotConnected, r.Owner, why)
}

func (p *personal) entry(kind string, by identity.Principal, user string) audit.Entry {
	return audit.Entry{Time: p.now(), Kind: kind, Actor: by.Actor(), Decision: audit.Changed, Detail: map[string]string{"server": p.c.Server, "person": user}}
}
