package web

import (
	"fmt"

	"remit/internal/invalid"
	"remit/persona"
	"remit/web/api"
)

// items is a list that is never null.
func items[T any](all []T) api.List[T] { return api.List[T]{Items: append([]T{}, all...)} }

func (s *site) apiPersonas(a ask) (api.List[api.Summary], error) {
	all, err := s.Registry.Personas(a.ctx(), a.by)
	if err != nil {
		return api.List[api.Summary]{}, err
	}
	stopped, err := s.Registry.Store.Suspensions(a.ctx())
	if err != nil {
		return api.List[api.Summary]{}, err
	}
	var out []api.Summary
	for _, p := range all {
		shown := p.Latest()
		row := api.Summary{ID: p.ID, Title: p.Title, Team: p.Team, Latest: shown.Number, State: shown.State, Author: shown.Author}
		if live, ok := p.Live(); ok {
			row.Live, shown = live.Number, live
		}
		row.Tools = len(shown.Grants)
		due, over := s.dates(p)
		for _, r := range due {
			row.Reminder = append(row.Reminder, r.Text())
		}
		row.Over = over
		_, row.Stopped = persona.Stopped(stopped, p.ID, "")
		out = append(out, row)
	}
	return items(out), nil
}

// apiPersona shows a revision: the one asked for, or the live one, or the latest.
func (s *site) apiPersona(a ask) (api.Persona, error) {
	p, err := s.persona(a.Context, a.by)
	if err != nil {
		return api.Persona{}, err
	}
	number, err := a.number("revision", len(p.Revisions))
	if err != nil {
		return api.Persona{}, err
	}
	if number == 0 {
		number = p.Latest().Number
		if live, ok := p.Live(); ok {
			number = live.Number
		}
	}
	return s.personaNow(p, number), nil
}

// personaOf reads the persona after a change of it.
func (s *site) personaOf(a ask, id persona.ID, number int) (api.Persona, error) {
	p, err := s.Registry.Persona(a.ctx(), a.by, id)
	if err != nil {
		return api.Persona{}, err
	}
	if number == 0 {
		number = p.Latest().Number
	}
	return s.personaNow(p, number), nil
}

func (s *site) personaNow(p persona.Persona, number int) api.Persona {
	return api.PersonaOf(p, number, s.Catalog.Tool, s.Now())
}

func (s *site) apiCreate(a ask, in api.Create) (api.Persona, error) {
	var id persona.ID
	var err error
	if in.Tools == nil {
		id, err = s.create(a.ctx(), a.by, in.ID, in.Title, in.Team, jobText(in.Job))
	} else {
		var p persona.Proposal
		if p, err = api.ProposalOf(s.Registry, a.by, in.Job, in.Tools, persona.Revision{}); err == nil {
			p.Team = in.Team
			id, err = s.createAs(a.ctx(), a.by, in.ID, in.Title, p)
		}
	}
	if err != nil {
		return api.Persona{}, err
	}
	return s.personaOf(a, id, 0)
}

func (s *site) apiRevise(a ask, in api.Revise) (api.Persona, error) {
	p, err := s.persona(a.Context, a.by)
	if err != nil {
		return api.Persona{}, err
	}
	if in.Base != "" && in.Base != base(p.Latest()) {
		return api.Persona{}, errStale
	}
	var next persona.Proposal
	if in.Tools == nil {
		next, err = s.composeAgain(a.ctx(), a.by, p.Latest(), jobText(in.Job))
	} else {
		next, err = api.ProposalOf(s.Registry, a.by, in.Job, in.Tools, p.Basis())
	}
	if err != nil {
		return api.Persona{}, err
	}
	if err := s.Registry.Revise(a.ctx(), a.by, p.ID, next); err != nil {
		return api.Persona{}, err
	}
	return s.personaOf(a, p.ID, 0)
}

func (s *site) apiPlan(a ask, in api.Plan) (api.Difference, error) {
	id := persona.ID(a.Param("id"))
	if err := id.Validate(); err != nil {
		return api.Difference{}, invalid.At("id", fmt.Errorf("%w: %w", persona.ErrInvalid, err))
	}
	p, err := s.Registry.Persona(a.ctx(), a.by, id)
	if err != nil && err != persona.ErrNotFound {
		return api.Difference{}, err
	}
	return api.PlanOf(s.Registry, a.by, p, in)
}

func (s *site) apiSubmit(a ask, in api.Number) (api.Persona, error) {
	id := persona.ID(a.Param("id"))
	if err := s.Registry.Submit(a.ctx(), a.by, id, in.Revision); err != nil {
		return api.Persona{}, err
	}
	return s.personaOf(a, id, in.Revision)
}

func (s *site) apiApprove(a ask, in api.Approve) (api.Persona, error) {
	id, err := persona.ID(a.Param("id")), error(nil)
	if in.Dates == nil {
		err = s.Registry.Approve(a.ctx(), a.by, id, in.Revision, in.Seen)
	} else {
		err = s.Registry.ApproveUntil(a.ctx(), a.by, id, in.Revision, in.Seen, persona.Dates(in.Was), persona.Dates(*in.Dates))
	}
	if err != nil {
		return api.Persona{}, err
	}
	return s.personaOf(a, id, in.Revision)
}

func (s *site) apiSendBack(a ask, in api.SendBack) (api.Persona, error) {
	id := persona.ID(a.Param("id"))
	if err := s.Registry.SendBack(a.ctx(), a.by, id, in.Revision, jobText(in.Comment)); err != nil {
		return api.Persona{}, err
	}
	return s.personaOf(a, id, in.Revision)
}

func (s *site) apiRollback(a ask, in api.Number) (api.Persona, error) {
	id := persona.ID(a.Param("id"))
	if err := s.Registry.Rollback(a.ctx(), a.by, id, in.Revision); err != nil {
		return api.Persona{}, err
	}
	return s.personaOf(a, id, in.Revision)
}

func (s *site) apiNarrow(a ask, in api.Narrow) (api.Persona, error) {
	id := persona.ID(a.Param("id"))
	if err := s.Registry.Narrow(a.ctx(), a.by, id, in.Remove); err != nil {
		return api.Persona{}, err
	}
	return s.personaOf(a, id, 0)
}

func (s *site) apiRetire(a ask) (api.Persona, error) {
	id := persona.ID(a.Param("id"))
	if err := s.Registry.Retire(a.ctx(), a.by, id); err != nil {
		return api.Persona{}, err
	}
	return s.personaOf(a, id, 0)
}

func (s *site) apiSetTeam(a ask, in api.SetTeam) (api.Persona, error) {
	id := persona.ID(a.Param("id"))
	if err := s.Registry.SetTeam(a.ctx(), a.by, id, in.Team); err != nil {
		return api.Persona{}, err
	}
	return s.personaOf(a, id, 0)
}

func (s *site) apiTerm(a ask, in api.Term) (api.Persona, error) {
	id := persona.ID(a.Param("id"))
	if err := mayNarrow(a.by); err != nil {
		return api.Persona{}, err
	}
	if err := s.Registry.SetTerm(a.ctx(), a.by, id, persona.Shown{Revision: in.Revision, Dates: persona.Dates(in.Was)}, persona.Dates(in.Dates)); err != nil {
		return api.Persona{}, err
	}
	return s.personaOf(a, id, in.Revision)
}

func (s *site) apiRecertify(a ask, in api.Recertify) (api.Persona, error) {
	id := persona.ID(a.Param("id"))
	if err := s.Registry.Recertify(a.ctx(), a.by, id, persona.Shown{Revision: in.Revision, Dates: persona.Dates(in.Was)}, in.Offered, persona.Dates(in.Dates)); err != nil {
		return api.Persona{}, err
	}
	return s.personaOf(a, id, in.Revision)
}

func (s *site) apiDiff(a ask) (api.Difference, error) {
	p, err := s.persona(a.Context, a.by)
	if err != nil {
		return api.Difference{}, err
	}
	from, err := a.number("from", len(p.Revisions))
	if err != nil {
		return api.Difference{}, err
	}
	to, err := a.number("to", len(p.Revisions))
	if err != nil {
		return api.Difference{}, err
	}
	one, _ := p.Revision(from)
	other, _ := p.Revision(to)
	return api.DifferenceOf(one, other), nil
}
