package web

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"remit/catalog"
	"remit/identity"
)

type cataloguePage struct {
	frame
	Query, Server, Effect string
	Servers               []string
	Effects               []catalog.Effect
	Rows                  []catalogueRow
	Total                 int // that fit
	All, Tokens           int // of the whole catalog
	Degraded              string
	Unwell                []serverRow
	From, To              int    // of Total, from 1
	Prev, Next            string // addresses; empty at the ends
}

type catalogueRow struct {
	ID          catalog.ID
	Description string
	Judgement   catalog.Judgement
	Tokens      int
	Why         string
}

const (
	perPage   = 50
	maxSearch = 200 // matches of a search; beyond that words are too vague to help
)

func (s *site) catalogue(c echo.Context, by identity.Principal) error {
	page := cataloguePage{frame: s.frame(c, by, "Catalog", "catalog"), Query: strings.TrimSpace(c.QueryParam("q")),
		Server: c.QueryParam("server"), Effect: c.QueryParam("effect"), Effects: catalog.Effects, Tokens: s.Catalog.Tokens()}
	all := s.Catalog.Tools()
	page.All = len(all)
	for _, t := range all {
		if server := t.Server(); len(page.Servers) == 0 || page.Servers[len(page.Servers)-1] != server {
			page.Servers = append(page.Servers, server)
		}
	}
	page.Servers = slices.Compact(slices.Sorted(slices.Values(page.Servers)))
	matches := make([]catalog.Match, len(all))
	for i, t := range all {
		matches[i] = catalog.Match{Tool: t}
	}
	if page.Query != "" {
		results, err := s.Catalog.Search(c.Request().Context(), page.Query, maxSearch)
		if err != nil {
			return err
		}
		matches, page.Degraded = results.Matches, results.Degraded
	}
	matches = slices.DeleteFunc(matches, func(m catalog.Match) bool {
		return page.Server != "" && m.Tool.Server() != page.Server || page.Effect != "" && string(m.Tool.Effect.Effect) != page.Effect
	})
	page.cut(matches, c.QueryParam("page"))
	for _, row := range s.serverRows() {
		if row.Unwell {
			page.Unwell = append(page.Unwell, row)
		}
	}
	return s.render(c, http.StatusOK, "catalog", page)
}

// cut keeps one page of the matches.
func (page *cataloguePage) cut(matches []catalog.Match, number string) {
	page.Total = len(matches)
	n, _ := strconv.Atoi(number)
	n = max(1, min(n, (page.Total+perPage-1)/perPage))
	from, to := (n-1)*perPage, min(n*perPage, page.Total)
	for _, m := range matches[from:to] {
		page.Rows = append(page.Rows, catalogueRow{m.Tool.ID, m.Tool.Description, m.Tool.Effect, m.Tool.Tokens, why(m)})
	}
	page.From, page.To = min(from+1, to), to
	address := func(n int) string {
		return "/catalog?" + url.Values{"q": {page.Query}, "server": {page.Server}, "effect": {page.Effect}, "page": {strconv.Itoa(n)}}.Encode()
	}
	if n > 1 {
		page.Prev = address(n - 1)
	}
	if to < page.Total {
		page.Next = address(n + 1)
	}
}
