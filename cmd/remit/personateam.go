package main

import (
	"errors"
	"fmt"

	"remit/identity"
	"remit/persona"
	"remit/web/api"
)

type personaTeamCmd struct {
	ID   string `arg:"" name:"persona" help:"The persona's id."`
	Team string `arg:"" optional:"" help:"The team that owns it from now on."`
	None bool   `help:"No team: everybody with the role."`
}

// Run moves the persona to the team.
func (c personaTeamCmd) Run(a *app) error {
	if c.None == (c.Team != "") {
		return errors.New("name the team, or give --none")
	}
	err := a.registryOr(func(r *persona.Registry) error {
		return r.SetTeam(a.ctx, identity.Operator(), persona.ID(c.ID), c.Team)
	},
		path("personas", c.ID, "team"), api.SetTeam{Team: c.Team}, &api.Persona{})
	if err != nil {
		return explained(c.ID, err)
	}
	if c.None {
		_, err = fmt.Fprintf(a.out, "No team owns persona %s now: it is for everybody with the role.\n", c.ID)
		return err
	}
	_, err = fmt.Fprintf(a.out, "The team %s owns persona %s now.\n", c.Team, c.ID)
	return err
}
