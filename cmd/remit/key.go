package main

import (
	"fmt"
	"time"

	"remit/identity"
	"remit/persona"
	"remit/store"
	"remit/web/api"
)

type keyCmd struct {
	Create keyCreateCmd `cmd:"" help:"Create a key for an agent, bound to its user and one persona. Its secret is shown once."`
	List   keyListCmd   `cmd:"" help:"List keys."`
	Revoke keyRevokeCmd `cmd:"" help:"End a key: its next call is refused."`
}

type keyCreateCmd struct {
	Persona string        `required:"" placeholder:"ID" help:"Persona that the agent acts as."`
	Agent   string        `required:"" placeholder:"NAME" help:"Which agent uses the key."`
	User    string        `required:"" placeholder:"NAME" help:"For whom the agent works."`
	Expires time.Duration `default:"2160h" placeholder:"TIME" help:"How long the key is valid; 0 means until it is revoked (default: 2160h, which is 90 days)."`
}

func (c keyCreateCmd) Run(a *app) error {
	if a.remote != nil {
		return c.remote(a)
	}
	return a.withStore(func(s *store.Store) error {
		if _, err := s.Persona(a.ctx, persona.ID(c.Persona)); err != nil {
			return fmt.Errorf("persona %q: %w; remit persona list shows them", c.Persona, err)
		}
		spec := identity.KeySpec{Agent: c.Agent, User: c.User, Persona: c.Persona}
		if c.Expires != 0 {
			spec.Expires = time.Now().Add(c.Expires)
		}
		d := &identity.Directory{Store: s}
		secret, key, err := d.IssueKey(a.ctx, identity.Operator(), spec)
		if err != nil {
			return err
		}
		fmt.Fprintf(a.err, "Key %s for %s/k/%s/mcp; it is shown this once:\n", key.ID, a.opts.Address(), c.Persona)
		_, err = fmt.Fprintln(a.out, secret)
		return err
	})
}

type keyListCmd struct {
	Persona string `placeholder:"ID" help:"Only keys of this persona."`
}

func (c keyListCmd) Run(a *app) error {
	if a.remote != nil {
		return c.remote(a)
	}
	return a.directory(func(d *identity.Directory) error {
		keys, err := d.Keys(a.ctx, identity.Operator(), c.Persona)
		if err != nil {
			return err
		}
		var all []api.Key
		for _, k := range keys {
			all = append(all, api.KeyOf(k, time.Now()))
		}
		return a.showKeys(all)
	})
}

func (a *app) showKeys(keys []api.Key) error {
	var rows [][]string
	for _, k := range keys {
		rows = append(rows, []string{k.ID, k.Persona, k.Agent, k.User, k.State, moment(k.Created), moment(k.Expires), moment(k.LastUse)})
	}
	return table(a.out, []string{"KEY", "PERSONA", "AGENT", "USER", "STATE", "CREATED", "EXPIRES", "LAST USE"}, rows)
}

type keyRevokeCmd struct {
	ID string `arg:"" help:"The key's id, as remit key list shows it."`
}

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
