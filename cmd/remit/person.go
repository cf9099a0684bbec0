package main

import (
	"fmt"
	"strings"
	"time"

	"remit/identity"
)

type personCmd struct {
	Add     personAddCmd     `cmd:"" help:"Add a person and print their one-time sign-in link."`
	Link    personLinkCmd    `cmd:"" help:"Print a new one-time sign-in link."`
	Roles   personRolesCmd   `cmd:"" help:"Replace a person's roles."`
	Teams   personTeamsCmd   `cmd:"" help:"Replace the teams that a person is in."`
	Disable personDisableCmd `cmd:"" help:"End a person's access at once; --undo restores it."`
	Bind    personBindCmd    `cmd:"" help:"Let a person sign in at the identity provider, and there only."`
	List    personListCmd    `cmd:"" help:"List everybody."`
}

func roles(names []string) []identity.Role {
	var out []identity.Role
	for _, name := range names {
		out = append(out, identity.Role(name))
	}
	return out
}

func names(roles []identity.Role) (out []string) {
	for _, r := range roles {
		out = append(out, string(r))
	}
	return out
}

// link prints a one-time link.
func (a *app) link(d *identity.Directory, name string) error {
	token, err := d.NewLink(a.ctx, identity.Operator(), name)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "%s signs in once, within a day, at %s\n", name, linkURL(a.opts.Address(), token))
	return err
}

type personAddCmd struct {
	Name  string   `arg:"" help:"Name to sign in with."`
	Roles []string `required:"" placeholder:"ROLE" help:"Any of viewer, author, reviewer, approver, auditor, admin."`
}

func (c personAddCmd) Run(a *app) error {
	return a.directory(func(d *identity.Directory) error {
		if err := d.AddPerson(a.ctx, identity.Operator(), c.Name, roles(c.Roles), ""); err != nil {
			return err
		}
		return a.link(d, c.Name)
	})
}

type personLinkCmd struct {
	Name string `arg:"" help:"Whose link."`
}

func (c personLinkCmd) Run(a *app) error {
	return a.directory(func(d *identity.Directory) error { return a.link(d, c.Name) })
}

type personRolesCmd struct {
	Name  string   `arg:"" help:"Whose roles."`
	Roles []string `arg:"" help:"All roles from now on, of viewer, author, reviewer, approver, auditor, admin."`
}

func (c personRolesCmd) Run(a *app) error {
	return a.directory(func(d *identity.Directory) error {
		return d.SetRoles(a.ctx, identity.Operator(), c.Name, roles(c.Roles))
	})
}

type personTeamsCmd struct {
	Name  string   `arg:"" help:"Whose teams."`
	Teams []string `arg:"" optional:"" help:"All teams from now on; none takes the person out of every team."`
}

func (c personTeamsCmd) Run(a *app) error {
	return a.directory(func(d *identity.Directory) error { return d.SetTeams(a.ctx, identity.Operator(), c.Name, c.Teams) })
}

type personDisableCmd struct {
	Name string `arg:"" help:"Whose access."`
	Undo bool   `help:"Restore the access."`
}

func (c personDisableCmd) Run(a *app) error {
	return a.directory(func(d *identity.Directory) error {
		return d.SetDisabled(a.ctx, identity.Operator(), c.Name, !c.Undo)
	})
}

type personBindCmd struct {
	Name    string `arg:"" help:"Who."`
	Subject string `required:"" placeholder:"ID" help:"The person's subject (sub) at the provider; the refused sign-in shows it."`
	Issuer  string `placeholder:"URL" help:"The provider's issuer (default: oidc.issuer of the configuration)."`
}

func (c personBindCmd) Run(a *app) error {
	if c.Issuer == "" {
		c.Issuer = a.opts.OIDC.Issuer
	}
	return a.directory(func(d *identity.Directory) error {
		if err := d.Bind(a.ctx, identity.Operator(), c.Name, c.Issuer, c.Subject); err != nil {
			return err
		}
		_, err := fmt.Fprintf(a.out, "%s signs in at %s from now on; password, links and sessions ended\n", c.Name, c.Issuer)
		return err
	})
}

type personListCmd struct{}

func (personListCmd) Run(a *app) error {
	return a.directory(func(d *identity.Directory) error {
		people, err := d.People(a.ctx, identity.Operator())
		if err != nil {
			return err
		}
		var rows [][]string
		for _, p := range people {
			state := "enabled"
			switch {
			case p.Disabled:
				state = "disabled"
			case !p.Active(time.Now()):
				state = "must sign in"
			}
			rows = append(rows, []string{p.Name, orDash(strings.Join(names(p.Roles), ", ")), orDash(strings.Join(p.Teams, ", ")), state, moment(p.Created), orDash(p.Issuer)})
		}
		return table(a.out, []string{"NAME", "ROLES", "TEAMS", "STATE", "SINCE", "PROVIDER"}, rows)
	})
}
