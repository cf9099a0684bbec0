package main

import (
	"errors"
	"fmt"
	"time"

	"remit/identity"
	"remit/internal/remote"
	"remit/persona"
	"remit/policy"
	"remit/store"
	"remit/web/api"
)

type keyCmd struct {
	Create keyCreateCmd `cmd:"" help:"Create a key for an agent, bound to its user and one persona. Its secret is shown once."`
	List   keyListCmd   `cmd:"" help:"List keys, who uses them and when they end."`
	Rotate keyRotateCmd `cmd:"" help:"Replace a key by a new one for the same; the old one goes on for a while."`
	Revoke keyRevokeCmd `cmd:"" help:"End a key: its next call is refused."`
}

type keyCreateCmd struct {
	Persona string   `required:"" placeholder:"ID" help:"Persona that the agent acts as."`
	Agent   string   `required:"" placeholder:"NAME" help:"Which agent uses the key."`
	User    string   `required:"" placeholder:"NAME" help:"For whom the agent works. The name of a person of Remit: the key stops when they are disabled."`
	Expires string   `default:"90d" placeholder:"WHEN" help:"When the key ends: a time from now such as 90d or 36h, a day in UTC such as 2026-12-31, or never (default: 90d)."`
	Tool    []string `placeholder:"TOOL" help:"Narrow the key to these tools of the persona, as SERVER/TOOL or as the agent calls them (default: all that the persona grants)."`
	Limit   []string `placeholder:"CALLS/PERIOD" help:"Most calls with the key, of all its tools together, such as 100/hour; beside the limits of the persona (default: none)."`
	Address []string `placeholder:"CIDR" help:"Networks or addresses from which the key may be used (default: everywhere)."`
}

// bounds reads what the key allows less than its persona.
func (c keyCreateCmd) bounds(p persona.Persona) (b identity.Bounds, err error) {
	if b.Tools, err = p.Granted(c.Tool); err != nil {
		return b, err
	}
	for _, text := range c.Limit {
		l, err := policy.ParseLimit(text)
		if err != nil {
			return b, err
		}
		b.Limits = append(b.Limits, l)
	}
	for _, text := range c.Address {
		n, err := remote.Network(text)
		if err != nil {
			return b, err
		}
		b.Addresses = append(b.Addresses, n)
	}
	return b, nil
}

// Run creates the key and prints its secret alone on standard output.
func (c keyCreateCmd) Run(a *app) error {
	if a.remote != nil {
		return c.remote(a)
	}
	return a.withStore(func(s *store.Store) error {
		p, err := s.Persona(a.ctx, persona.ID(c.Persona))
		if err != nil {
			return fmt.Errorf("persona %q: %w; remit persona list shows them", c.Persona, err)
		}
		spec := identity.KeySpec{Agent: c.Agent, User: c.User, Persona: c.Persona}
		if spec.Expires, err = identity.ParseExpiry(c.Expires, time.Now()); err != nil {
			return err
		}
		if spec.Bounds, err = c.bounds(p); err != nil {
			return err
		}
		secret, key, err := (&identity.Directory{Store: s}).IssueKey(a.ctx, identity.Operator(), spec)
		if err != nil {
			return err
		}
		if _, err := s.Person(a.ctx, c.User); errors.Is(err, identity.ErrNotFound) {
			fmt.Fprintf(a.err, "Nobody who signs in here is called %q, so only revoking or expiry ends this key.\n", c.User)
		}
		return a.showKey(key, secret)
	})
}

// showKey prints a secret, which is never shown again.
func (a *app) showKey(k identity.Key, secret string) error {
	until := "never expires"
	if !k.Expires.IsZero() {
		until = "expires " + moment(k.Expires)
	}
	fmt.Fprintf(a.err, "Key %s for %s/k/%s/mcp %s; it is shown this once:\n", k.ID, a.opts.Address(), k.Persona, until)
	_, err := fmt.Fprintln(a.out, secret)
	return err
}

type keyRotateCmd struct {
	ID      string `arg:"" help:"The key's id, as remit key list shows it."`
	Overlap string `default:"24h" placeholder:"TIME" help:"How long the old key goes on, such as 7d or 36h; 0 ends it at once (default: 24h)."`
	Expires string `placeholder:"WHEN" help:"When the new key ends, as for remit key create (default: as long from now as the old one was made for)."`
}

// Run replaces the key.
func (c keyRotateCmd) Run(a *app) error {
	overlap, err := identity.ParseSpan(c.Overlap)
	if err != nil {
		return fmt.Errorf("the overlap is %q: write a time such as 24h or 7d", c.Overlap)
	}
	var expires *time.Time
	if c.Expires != "" {
		at, err := identity.ParseExpiry(c.Expires, time.Now())
		if err != nil {
			return err
		}
		expires = &at
	}
	if a.remote != nil {
		var k api.IssuedKey
		if err := a.remote.Post(a.ctx, path("keys", c.ID, "rotate"), api.RotateKey{Overlap: c.Overlap, Expires: expires}, &k); err != nil {
			return err
		}
		c.oldKey(a, overlap)
		return a.showRemoteKey(k)
	}
	return a.directory(func(d *identity.Directory) error {
		secret, next, err := d.RotateKey(a.ctx, identity.Operator(), c.ID, overlap, expires)
		if errors.Is(err, identity.ErrNotFound) {
			return fmt.Errorf("%w; remit key list shows them", err)
		}
		if err != nil {
			return err
		}
		c.oldKey(a, overlap)
		return a.showKey(next, secret)
	})
}

// oldKey says what becomes of the key that was replaced.
func (c keyRotateCmd) oldKey(a *app, overlap time.Duration) {
	if overlap == 0 {
		fmt.Fprintf(a.err, "Key %s has ended.\n", c.ID)
		return
	}
	fmt.Fprintf(a.err, "Key %s goes on for at most %s; remit key revoke %s ends it.\n", c.ID, c.Overlap, c.ID)
}

type keyRevokeCmd struct {
	ID string `arg:"" help:"The key's id, as remit key list shows it."`
}

// Run ends the key.
func (c keyRevokeCmd) Run(a *app) error {
	revoke := func(d *identity.Directory) error { return d.RevokeKey(a.ctx, identity.Operator(), c.ID) }
	var err error
	if a.remote != nil {
		err = a.remote.Delete(a.ctx, path("keys", c.ID), &api.Done{})
	} else {
		err = a.directory(revoke)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "key %s is revoked: its next call is refused\n", c.ID)
	return err
}
