package persona

import (
	"context"
	"fmt"

	"remit/identity"
)

// Persona returns a persona as by may see it, with the definitions of all its pins. One that by may not see does not exist.
func (r *Registry) Persona(ctx context.Context, by identity.Principal, id ID) (Persona, error) {
	p, err := r.Store.Persona(ctx, id)
	if err == nil && !by.Sees(p.Team) {
		return Persona{}, ErrNotFound
	}
	return p, err
}

// Personas returns those that by may see, by id, without definitions.
func (r *Registry) Personas(ctx context.Context, by identity.Principal) ([]Persona, error) {
	seen, _, err := r.parted(ctx, by)
	return seen, err
}

// Hidden returns the ids of those that by may not see, so that what is told of all leaves them out.
func (r *Registry) Hidden(ctx context.Context, by identity.Principal) ([]string, error) {
	_, hidden, err := r.parted(ctx, by)
	return hidden, err
}

func (r *Registry) parted(ctx context.Context, by identity.Principal) (seen []Persona, hidden []string, err error) {
	all, err := r.Store.Personas(ctx)
	for _, p := range all {
		if by.Sees(p.Team) {
			seen = append(seen, p)
		} else {
			hidden = append(hidden, string(p.ID))
		}
	}
	return seen, hidden, err
}

// SetTeam says which team owns a persona; none with an empty name. Admins alone do: who gives a persona away, or takes one over,
// changes who may review it.
func (r *Registry) SetTeam(ctx context.Context, by identity.Principal, id ID, team string) error {
	return r.change(ctx, by, identity.Admin, id, "persona.team", func(p *Persona, d detail) (int, error) {
		if len(p.Revisions) == 0 {
			return 0, ErrNotFound
		}
		if team != "" {
			if err := identity.ValidTeam(team); err != nil {
				return 0, err
			}
		}
		if team == p.Team {
			return 0, fmt.Errorf("%w: it is the team's already", ErrState)
		}
		d["team"], d["before_team"] = orNone(team), orNone(p.Team)
		p.Team = team
		return p.Latest().Number, nil
	})
}

func orNone(team string) string {
	if team == "" {
		return "none"
	}
	return team
}

// within refuses whom the persona is not. Whoever does not see it hears that there is none.
func (p Persona) within(by identity.Principal) error {
	switch {
	case by.Within(p.Team):
		return nil
	case by.Sees(p.Team):
		return fmt.Errorf("%w: the persona belongs to the team %s; ask one of them, or an admin", ErrForbidden, p.Team)
	}
	return ErrNotFound
}

// mayOwn refuses to put a new persona into a team that its author is not of.
func mayOwn(by identity.Principal, team string) error {
	if team == "" {
		return nil
	}
	if err := identity.ValidTeam(team); err != nil {
		return err
	}
	if !by.Within(team) {
		return fmt.Errorf("%w: you are not in the team %s", ErrForbidden, team)
	}
	return nil
}
