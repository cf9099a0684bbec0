package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"remit/identity"
	"remit/persona"
	"remit/web/api"
)

type tokenCmd struct {
	Create tokenCreateCmd `cmd:"" help:"Create a management token, for CI and other programs. Its secret is shown once."`
	List   tokenListCmd   `cmd:"" help:"List management tokens."`
	Revoke tokenRevokeCmd `cmd:"" help:"End a management token: its next request is refused."`
}

type tokenCreateCmd struct {
	Name    string   `required:"" placeholder:"NAME" help:"What it is for; the record calls it token:NAME."`
	Roles   []string `required:"" placeholder:"ROLE" help:"Any of viewer, author, reviewer, auditor, admin. No token can approve."`
	Team    []string `placeholder:"TEAM" help:"Only for the personas of these teams, and those of none; repeat it for more. For a token made here they have to be named (default: those of none)."`
	Expires string   `default:"90d" placeholder:"DATE" help:"Until when it is valid: 30d, or 2027-02-01; at most 366 days (default: 90d)."`
}

// Run creates the token, with remit --server as the person who is signed in.
func (c tokenCreateCmd) Run(a *app) error {
	until, err := days(c.Expires, time.Now())
	if err != nil {
		return err
	}
	return a.directory(func(d *identity.Directory) error {
		secret, t, err := d.IssueToken(a.ctx, identity.Operator(), identity.TokenSpec{Name: c.Name, Roles: roles(c.Roles), Teams: c.Team, Expires: until})
		if err != nil {
			return err
		}
		fmt.Fprintf(a.err, "Token %s for %s, valid until %s; it is shown this once. Use it as REMIT_TOKEN with --server %s:\n", t.ID, t.Name, moment(t.Expires), a.opts.Address())
		_, err = fmt.Fprintln(a.out, secret)
		return err
	})
}

type tokenListCmd struct{}

func (tokenListCmd) Run(a *app) error {
	if a.remote != nil {
		all, err := list[api.Token](a, "/tokens", nil)
		if err != nil {
			return err
		}
		return a.showTokens(all)
	}
	return a.directory(func(d *identity.Directory) error {
		tokens, err := d.Tokens(a.ctx, identity.Operator())
		if err != nil {
			return err
		}
		var all []api.Token
		for _, t := range tokens {
			all = append(all, api.TokenOf(t, time.Now()))
		}
		return a.showTokens(all)
	})
}

func (a *app) showTokens(all []api.Token) error {
	var rows [][]string
	for _, t := range all {
		rows = append(rows, []string{t.ID, t.Name, strings.Join(names(t.Roles), ", "), orDash(strings.Join(t.Teams, ", ")), t.By, t.State, moment(t.Created), moment(t.Expires), moment(t.LastUse)})
	}
	return table(a.out, []string{"TOKEN", "NAME", "ROLES", "TEAMS", "CREATED BY", "STATE", "CREATED", "EXPIRES", "LAST USE"}, rows)
}

type tokenRevokeCmd struct {
	ID string `arg:"" help:"The token's id, as remit token list shows it."`
}

func (c tokenRevokeCmd) Run(a *app) error {
	var err error
	if a.remote != nil {
		err = a.remote.Delete(a.ctx, path("tokens", c.ID), &api.Done{})
	} else {
		err = a.directory(func(d *identity.Directory) error { return d.RevokeToken(a.ctx, identity.Operator(), c.ID) })
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "token %s is revoked: its next request is refused\n", c.ID)
	return err
}

// days reads a date that has to be there.
func days(text string, now time.Time) (time.Time, error) {
	at, err := persona.ParseDate(text, now)
	if err == nil && at.IsZero() {
		err = errors.New("--expires: a management token cannot live for ever; give a date within 366 days")
	}
	return at, err
}
