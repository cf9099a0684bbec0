package main

import (
	"errors"
	"fmt"
	"strings"

	"remit/identity"
	"remit/persona"
	"remit/store"
)

type personaUsersCmd struct {
	ID     string   `arg:"" name:"persona" help:"The persona's id."`
	Group  []string `sep:"none" placeholder:"NAME" help:"A group at the identity provider, letter by letter; repeat it for more."`
	Person []string `sep:"none" placeholder:"NAME" help:"A person, as remit person list shows them; repeat it for more."`
	None   bool     `help:"Nobody any more."`
}

// Run shows who may use the persona with a client of their own, or says who may from now on.
func (c personaUsersCmd) Run(a *app) error {
	want := identity.Users{Groups: c.Group, People: c.Person}
	if c.None && !want.None() {
		return errors.New("--none is nobody: leave --group and --person out")
	}
	return a.registryOn(func(s *store.Store, r *persona.Registry) error {
		p, err := s.Persona(a.ctx, persona.ID(c.ID))
		if err != nil {
			return explained(c.ID, err)
		}
		if c.None || !want.None() {
			if err := r.SetUsers(a.ctx, identity.Operator(), p.ID, p.Users, want); err != nil {
				return explained(c.ID, err)
			}
			if p, err = s.Persona(a.ctx, p.ID); err != nil {
				return err
			}
		}
		return a.showUsers(s, p)
	})
}

// showUsers lists them. Somebody whom nobody knows under that name is marked: they may be a slip of the keyboard.
func (a *app) showUsers(s *store.Store, p persona.Persona) error {
	fmt.Fprintf(a.out, "%s: %s\naddress for people's own clients: %s/p/%s/mcp\n", p.ID, plain(p.Title), a.opts.Address(), p.ID)
	if p.Users.None() {
		_, err := fmt.Fprintln(a.out, "nobody may use it there")
		return err
	}
	fmt.Fprintf(a.out, "groups: %s\n", orDash(plain(strings.Join(p.Users.Groups, ", "))))
	var people []string
	for _, name := range p.Users.People {
		known, err := s.Person(a.ctx, name)
		switch {
		case errors.Is(err, identity.ErrNotFound):
			name += " (nobody has that name)"
		case err != nil:
			return err
		case !known.Provided():
			name += " (does not sign in at the identity provider, so cannot use it there)"
		}
		people = append(people, plain(name))
	}
	_, err := fmt.Fprintf(a.out, "people: %s\n", orDash(strings.Join(people, ", ")))
	return err
}
