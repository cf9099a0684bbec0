package web

import (
	"time"

	"github.com/labstack/echo/v4"

	"remit/catalog"
	"remit/persona"
	"remit/persona/usage"
	"remit/web/api"
)

// apiCatalog searches, or without words lists everything.
func (s *site) apiCatalog(a ask) (api.Hits, error) {
	limit, err := a.number("limit", 100)
	if err != nil {
		return api.Hits{}, err
	}
	out := api.Hits{Tools: []api.Hit{}}
	if !a.QueryParams().Has("q") {
		for _, t := range s.Catalog.Tools() {
			out.Tools = append(out.Tools, api.Hit{Tool: apiToolOf(t), Why: []api.Why{}})
		}
		return out, nil
	}
	if limit == 0 {
		limit = 10
	}
	found, err := s.Catalog.Search(a.ctx(), a.QueryParam("q"), limit)
	if err != nil {
		return out, err
	}
	out.Degraded = found.Degraded
	for _, m := range found.Matches {
		hit := api.Hit{Tool: apiToolOf(m.Tool), Score: m.Score, Why: []api.Why{}}
		for _, why := range m.Why {
			hit.Why = append(hit.Why, api.Why{Field: why.Field, Terms: why.Terms})
		}
		out.Tools = append(out.Tools, hit)
	}
	return out, nil
}

func apiToolOf(t catalog.Tool) api.Tool {
	return api.Tool{ID: t.ID, Title: t.Title, Description: t.Description, Effect: t.Effect.Effect, Tokens: t.Tokens, Digest: t.Digest}
}

func (s *site) apiOneTool(a ask) (api.ToolDetail, error) {
	t, ok := s.Catalog.Tool(catalog.ID(a.QueryParam("id")))
	if !ok {
		return api.ToolDetail{}, errNoTool
	}
	return api.ToolDetail{Tool: apiToolOf(t), Definition: t.Definition, FirstSeen: t.FirstSeen, LastSeen: t.LastSeen}, nil
}

func (s *site) apiFrozen(a ask) (api.List[api.Frozen], error) {
	pins, err := s.frozen(a.ctx(), a.by, "")
	var out []api.Frozen
	for _, p := range pins {
		out = append(out, api.Frozen{Persona: p.Persona, Revision: p.Revision, Tool: p.Tool, Digest: p.Digest, Offered: p.Offered, Since: p.Since})
	}
	return items(out), err
}

func (s *site) apiThaw(a ask, in api.Thaw) (api.Done, error) {
	if s.Frozen == nil {
		return api.Done{}, echo.ErrNotFound
	}
	return api.Done{Done: true}, s.Frozen.Thaw(a.ctx(), a.by, in.Tool, in.Digest, s.Now())
}

func (s *site) apiReach(a ask) (usage.Reach, error) {
	if s.Usage == nil {
		return usage.Reach{}, echo.ErrNotFound
	}
	var of []usage.Of
	if tool := a.QueryParam("tool"); tool != "" {
		of = append(of, usage.OfTool(catalog.ID(tool)))
	}
	if server := a.QueryParam("server"); server != "" {
		of = append(of, usage.OfServer(server))
	}
	if effect := a.QueryParam("effect"); effect != "" {
		of = append(of, usage.OfEffect(catalog.Effect(effect)))
	}
	if len(of) != 1 {
		return usage.Reach{}, badParam("tool", "give one of tool, server and effect")
	}
	r, err := usage.Find(a.ctx(), s.Usage, of[0], s.Now())
	r.Personas, r.Keys = append([]usage.Holder{}, r.Personas...), append([]usage.Key{}, r.Keys...)
	return r, err
}

func (s *site) apiUnused(a ask) (usage.Unused, error) {
	if s.Usage == nil {
		return usage.Unused{}, echo.ErrNotFound
	}
	p, err := s.persona(a.Context, a.by)
	if err != nil {
		return usage.Unused{}, err
	}
	days, err := a.number("days", 3650)
	if err != nil {
		return usage.Unused{}, err
	}
	if days == 0 {
		days = 30
	}
	return usage.FindUnused(a.ctx(), s.Usage, p.ID, time.Duration(days)*24*time.Hour, s.Now().UTC())
}

func (s *site) apiShadow(a ask) (usage.Shadow, error) {
	if s.Shadows == nil {
		return usage.Shadow{}, echo.ErrNotFound
	}
	p, err := s.persona(a.Context, a.by)
	if err != nil {
		return usage.Shadow{}, err
	}
	number, err := a.number("revision", len(p.Revisions))
	if err != nil {
		return usage.Shadow{}, err
	}
	out, err := usage.FindShadow(a.ctx(), s.Shadows, p.ID, number)
	out.Rows = append([]usage.ShadowRow{}, out.Rows...)
	return out, err
}

func (s *site) apiStartShadow(a ask, in api.Number) (api.Persona, error) {
	id := persona.ID(a.Param("id"))
	if err := s.Registry.StartShadow(a.ctx(), a.by, id, in.Revision); err != nil {
		return api.Persona{}, err
	}
	return s.personaOf(a, id, in.Revision)
}

func (s *site) apiStopShadow(a ask) (api.Persona, error) {
	id := persona.ID(a.Param("id"))
	if err := s.Registry.StopShadow(a.ctx(), a.by, id); err != nil {
		return api.Persona{}, err
	}
	return s.personaOf(a, id, 0)
}

func (s *site) apiEvals(a ask) (api.Evals, error) {
	runs, err := s.Evals.Runs(a.ctx(), listedRuns)
	out := api.Evals{Runs: []api.Eval{}}
	for _, run := range runs {
		e := api.Eval{ID: run.ID, At: run.At, Results: []api.SuiteMetrics{}}
		for _, r := range run.Reports {
			e.Results = append(e.Results, api.SuiteMetrics{Suite: r.Suite, Kind: r.Kind, Variant: r.Variant, Metrics: append(r.Metrics[:0:0], r.Metrics...)})
		}
		out.Runs = append(out.Runs, e)
	}
	return out, err
}
