package credential

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"remit/audit"
	"remit/identity"
	"remit/upstream"
)

// Keys lists access keys; an identity.Store is one.
type Keys interface {
	Keys(ctx context.Context, persona string) ([]identity.Key, error)
}

// Record is where it is found which clients that people sign in to asked for their accounts; an audit.Log is one.
type Record interface {
	Entries(ctx context.Context, q audit.Query) ([]audit.Entry, error) // newest first
}

// Connections are people's accounts at the upstreams that are called with them.
type Connections struct {
	vault  *Vault
	people People
	keys   Keys
	record Record
	now    func() time.Time
	own    map[string]*personal // by upstream
}

// Deps are what tokens are had with.
type Deps struct {
	Vault    *Vault
	People   People
	Keys     Keys
	Record   Record
	Subjects Subjects         // what is exchanged; nil where people do not sign in at a provider that renews sign-ins
	Issuer   string           // that provider
	Networks []netip.Prefix   // private networks in which authorization servers may be
	Now      func() time.Time // nil means time.Now
}

// New returns the authorizers of the upstreams, by name, and the connections of those that are called with people's accounts.
func New(configs []Config, d Deps) (map[string]upstream.Authorizer, *Connections, error) {
	if d.Now == nil {
		d.Now = time.Now
	}
	all := map[string]upstream.Authorizer{}
	own := &Connections{vault: d.Vault, people: d.People, keys: d.Keys, record: d.Record, now: d.Now, own: map[string]*personal{}}
	for _, c := range configs {
		if err := c.Validate(); err != nil {
			return nil, nil, err
		}
		if u, _ := url.Parse(c.URL); u.Scheme == "http" && !loopback(u.Hostname()) && len(d.Networks) == 0 {
			return nil, nil, fmt.Errorf("upstream %s: oauth: tokens would go over the network as they are: use https, or name your private network in oauth-private-networks", c.Server)
		}
		if c.Grant == TokenExchange && (d.Subjects == nil || c.Issuer != d.Issuer) {
			return nil, nil, fmt.Errorf("upstream %s: oauth: a person's sign-in is exchanged only at the provider that it is of, and only where that renews sign-ins: set issuer as oidc.issuer, and oidc.renew", c.Server)
		}
		of := &party{c: c, guard: newGuard(c, d.Networks), now: d.Now, servers: map[string]server{}}
		if c.Grant == ClientCredentials {
			all[c.Server] = &machine{party: of, refusals: newRefusals()}
			continue
		}
		p := &personal{party: of, vault: d.Vault, people: d.People, refusals: map[string]*rate.Limiter{}, exchanges: map[string]exchange{}}
		if c.Grant == TokenExchange {
			p.subjects = d.Subjects
		}
		all[c.Server], own.own[c.Server] = p, p
	}
	return all, own, nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback()
}

// Key is an access key that works for a person, or a client that they sign in to.
type Key struct {
	ID, Agent, Persona string
	By                 string    // who made the key; empty for a client
	Created            time.Time // of the key; of a client, when it asked for the account last
	Allowed            bool      `json:"-"` // to use the connection
}

// Client says that it is a client that the person signs in to.
func (k Key) Client() bool { return identity.OwnClient(k.ID) }

// Connection is what a person is shown of their account at an upstream.
type Connection struct {
	Server string
	Lists  bool // the server's tools are listed with this account
	ByName bool // it is the person's sign-in at the identity provider: nothing is connected, and clients that they sign in to may use it
	State  State
	Since  time.Time
	Issuer string
	Scopes []string
	Keys   []Key
}

// Unused says that nobody may use the account.
func (c Connection) Unused() bool {
	return c.State == Connected && !c.ByName && !slices.ContainsFunc(c.Keys, func(k Key) bool { return k.Allowed })
}

// State of a connection.
type State string

const (
	Missing   State = "not connected"
	Connected State = "connected"
	Stale     State = "outdated" // the upstream was configured otherwise since
	Damaged   State = "damaged"
)

// Any says whether there are upstreams that are called with people's accounts.
func (c *Connections) Any() bool { return c != nil && len(c.own) > 0 }

// Of returns the connections of whoever asks, by upstream.
func (c *Connections) Of(ctx context.Context, by identity.Principal) ([]Connection, error) {
	if by.Person == "" {
		return nil, identity.ErrForbidden
	}
	keys, err := c.keysFor(ctx, by.Person)
	if err != nil {
		return nil, err
	}
	asked, err := c.clientsOf(ctx, by.Person)
	if err != nil {
		return nil, err
	}
	keys = append(keys, asked...)
	var out []Connection
	for _, name := range slices.Sorted(maps.Keys(c.own)) {
		p := c.own[name]
		shown := Connection{Server: name, Lists: p.c.ListAs == by.Person, State: Connected}
		_, stored, err := p.stored(ctx, by.Person)
		if p.subjects != nil {
			if shown, err = p.shown(ctx, by.Person, keys, stored, err); err != nil {
				return nil, err
			}
			out = append(out, shown)
			continue
		}
		switch {
		case errors.Is(err, ErrNone):
			shown.State = Missing
		case errors.Is(err, ErrDamaged):
			shown.State = Damaged
		case err != nil:
			return nil, err
		default:
			if !p.current(stored) {
				shown.State = Stale
			}
			shown.Since, shown.Issuer, shown.Scopes = stored.Since, stored.Issuer, stored.Scopes
		}
		for _, k := range with(keys, stored.Own) {
			k.Allowed = slices.Contains(stored.Clients, k.ID)
			shown.Keys = append(shown.Keys, k)
		}
		out = append(out, shown)
	}
	return out, nil
}

// shown is what a person is shown of a server that is called with their sign-in.
func (p *personal) shown(ctx context.Context, person string, keys []Key, stored connection, err error) (Connection, error) {
	out := Connection{Server: p.c.Server, Lists: p.c.ListAs == person, ByName: true, State: Connected, Issuer: p.c.Issuer, Scopes: p.c.Scopes}
	if err != nil && !errors.Is(err, ErrNone) && !errors.Is(err, ErrDamaged) {
		return out, err
	}
	if _, err := p.subjects.SignIn(ctx, person); errors.Is(err, upstream.ErrNotConnected) {
		out.State = Missing
	} else if err != nil {
		return out, err
	}
	for _, k := range keys {
		if k.Allowed = slices.Contains(stored.Clients, k.ID); !k.Client() {
			out.Keys = append(out.Keys, k)
		}
	}
	return out, nil
}

// Account says who has an account where. It is for admins.
type Account struct {
	Server, Person string
	Changed        time.Time
}

// All returns everybody's accounts.
func (c *Connections) All(ctx context.Context, by identity.Principal) (out []Account, err error) {
	if !by.Has(identity.Admin) {
		return nil, fmt.Errorf("%w: this needs the role admin", identity.ErrForbidden)
	}
	all, err := c.vault.Store.SealedOf(ctx, kindConnection, "")
	for _, r := range all {
		out = append(out, Account{Server: r.Name, Person: r.Owner, Changed: r.Changed})
	}
	return out, err
}

// keysFor returns the keys that work for a person now.
func (c *Connections) keysFor(ctx context.Context, person string) (out []Key, err error) {
	all, err := c.keys.Keys(ctx, "")
	for _, k := range all {
		if k.User == person && k.Live(c.now()) {
			out = append(out, Key{ID: k.ID, Agent: k.Agent, Persona: k.Persona, By: k.By, Created: k.Created})
		}
	}
	return out, err
}

// Of the clients that a person signs in to, those that asked for an account within the newest of their refused calls are shown.
const (
	maxRefused = 1000
	maxClients = 50
)

// clientsOf returns the clients that a person signs in to and that were refused for want of an account, the last one first. The
// gateway wrote who they are from tokens that it had verified: nobody else's client is among them.
func (c *Connections) clientsOf(ctx context.Context, person string) (out []Key, err error) {
	entries, err := c.record.Entries(ctx, audit.Query{User: person, Kind: audit.ToolCall, Policy: upstream.AccountRule, Limit: maxRefused})
	for _, e := range entries {
		if identity.OwnClient(e.Key) && len(out) < maxClients {
			out = with(out, []Key{{ID: e.Key, Agent: e.Agent, Persona: e.Persona, Created: e.Time}})
		}
	}
	return out, err
}

// with is keys and those of more that are not among them.
func with(keys, more []Key) []Key {
	keys = slices.Clone(keys)
	for _, k := range more {
		if !slices.ContainsFunc(keys, func(o Key) bool { return o.ID == k.ID }) {
			keys = append(keys, k)
		}
	}
	return keys
}

// clients returns the ids that are keys of the person, or clients that they sign in to, and those clients. before are clients that
// were allowed already.
func (c *Connections) clients(ctx context.Context, person string, ids []string, before []Key) (all []string, own []Key, err error) {
	keys, err := c.keysFor(ctx, person)
	if err != nil {
		return nil, nil, err
	}
	asked, err := c.clientsOf(ctx, person)
	if err != nil {
		return nil, nil, err
	}
	keys = with(append(keys, asked...), before)
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	for _, id := range ids {
		at := slices.IndexFunc(keys, func(k Key) bool { return k.ID == id })
		if at < 0 {
			return nil, nil, fmt.Errorf("%w: the key %q is not one that works for you; reload the page", identity.ErrInvalid, clean(id, 40))
		}
		if keys[at].Client() {
			own = append(own, keys[at])
		}
	}
	return ids, own, nil
}

func (c *Connections) of(server string) (*personal, error) {
	p, ok := c.own[server]
	if !ok {
		return nil, fmt.Errorf("%w: no upstream of that name is called with people's accounts", identity.ErrNotFound)
	}
	return p, nil
}

// Allow says which of a person's keys, and of the clients that they sign in to, may use their account from the next call on.
func (c *Connections) Allow(ctx context.Context, by identity.Principal, server string, ids []string) error {
	p, err := c.of(server)
	if err != nil {
		return err
	}
	for {
		r, stored, err := p.stored(ctx, by.Person)
		if p.subjects != nil && (errors.Is(err, ErrNone) || errors.Is(err, ErrDamaged)) {
			r.Place, err = p.place(by.Person), nil
			stored = connection{ID: rand.Text(), Issuer: p.c.Issuer, ClientID: p.c.ClientID, Since: p.now().UTC()}
		}
		if err != nil {
			return unusable(err)
		}
		if stored.Clients, stored.Own, err = c.clients(ctx, by.Person, ids, stored.Own); err != nil {
			return err
		}
		e := p.entry("connection.allow", by, by.Person)
		e.Detail["keys"] = list(stored.Clients)
		if err = p.save(ctx, r, stored, &e); !errors.Is(err, ErrMoved) {
			return err
		}
	}
}

// Disconnect drops a person's account, and then has its authorization server end its tokens; problem says why not.
func (c *Connections) Disconnect(ctx context.Context, by identity.Principal, name string) (problem, err error) {
	p, err := c.of(name)
	if err != nil {
		return nil, err
	}
	var stored connection
	for {
		r, text, err := p.vault.read(ctx, p.place(by.Person))
		if err != nil && !errors.Is(err, ErrDamaged) {
			return nil, unusable(err)
		}
		stored = connection{}
		if text != nil && json.Unmarshal(text, &stored) != nil {
			err = ErrDamaged
		}
		e := p.entry("connection.end", by, by.Person)
		werr := p.vault.write(ctx, r, nil, &e)
		switch {
		case errors.Is(werr, ErrMoved):
			continue
		case werr != nil:
			return nil, werr
		case err != nil:
			return err, nil // there is nothing to end
		}
		break
	}
	if p.subjects != nil {
		return nil, nil // its tokens end by themselves, in an hour at most
	}
	return p.end(ctx, stored), nil
}

// end has the authorization server end a connection's tokens.
func (p *personal) end(ctx context.Context, c connection) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), maxWait)
	defer cancel()
	if c.ClientID != p.c.ClientID {
		return errors.New("it was connected with another client")
	}
	s, err := p.server(ctx, c)
	if err != nil {
		return err
	}
	if s.id() != c.Issuer {
		return errors.New("it was connected at another authorization server")
	}
	return p.revoke(ctx, s, c)
}

func unusable(err error) error {
	switch {
	case errors.Is(err, ErrNone):
		return fmt.Errorf("%w: you have no account connected there", identity.ErrNotFound)
	case errors.Is(err, ErrDamaged):
		return fmt.Errorf("%w: your account there cannot be read: %w; connect it again", identity.ErrInvalid, err)
	}
	return err
}
