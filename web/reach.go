package web

import (
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"remit/catalog"
	"remit/identity"
	"remit/persona/usage"
)

type reachPage struct {
	frame
	Tool, Server string
	Effect       catalog.Effect
	Effects      []catalog.Effect
	Asked        bool
	Known        bool // a server offers it now, so that a slip of the keyboard does not read as "nobody can"
	Reach        usage.Reach
}

// reach answers for the first of a tool, a server and an effect that the address names.
func (s *site) reach(c echo.Context, by identity.Principal) error {
	if s.Usage == nil {
		return echo.NewHTTPError(http.StatusNotFound)
	}
	get := func(name string) string { return strings.TrimSpace(c.QueryParam(name)) }
	page := reachPage{frame: s.frame(c, by, "Reach", "catalog"), Tool: get("tool"), Server: get("server"), Effect: catalog.Effect(get("effect")),
		Effects: catalog.Effects, Asked: true}
	var of usage.Of
	switch {
	case page.Tool != "":
		_, page.Known = s.Catalog.Tool(catalog.ID(page.Tool))
		of = usage.OfTool(catalog.ID(page.Tool))
	case page.Server != "":
		page.Known = slices.ContainsFunc(s.Catalog.Tools(), func(t catalog.Tool) bool { return t.Server() == page.Server })
		of = usage.OfServer(page.Server)
	case page.Effect != "":
		page.Known = slices.Contains(catalog.Effects, page.Effect)
		of = usage.OfEffect(page.Effect)
	default:
		page.Asked = false
		return s.render(c, http.StatusOK, "reach", page)
	}
	var err error
	if page.Reach, err = usage.Find(c.Request().Context(), s.Usage, of, s.Now()); err != nil {
		return err
	}
	return s.render(c, http.StatusOK, "reach", page)
}
