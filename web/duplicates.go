package web

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/labstack/echo/v4"

	"remit/catalog"
	"remit/identity"
)

type duplicatesPage struct {
	frame
	Least          string // likeness that was asked for
	Groups         []duplicateGroup
	Total          int // groups in all
	Overlaps       []catalog.Overlap
	MoreOverlaps   int // that are not shown
	Wasted, Tokens int // of the catalog's tokens
	Percent        int
	Degraded       string
	From, To       int    // of Total, from 1
	Prev, Next     string // addresses; empty at the ends
}

type duplicateGroup struct {
	Name    string // of its cheapest tool
	Percent int    // likeness
	Wasted  int
	Tools   []duplicateTool
}

type duplicateTool struct {
	catalogueRow
	Server, Tool string
	Keep         bool // the cheapest
}

const maxOverlaps = 30 // shown; the rest is counted

func (s *site) duplicates(c echo.Context, by identity.Principal) error {
	least := catalog.DefaultLikeness
	if text := c.QueryParam("min"); text != "" {
		var err error
		if least, err = strconv.ParseFloat(text, 64); err != nil {
			return catalog.ErrLikeness
		}
	}
	found, err := s.Catalog.Duplicates(c.Request().Context(), least)
	if err != nil {
		return err
	}
	page := duplicatesPage{frame: s.frame(c, by, "Duplicates", "catalog"), Least: strconv.FormatFloat(least, 'f', -1, 64),
		Total: len(found.Groups), Overlaps: found.Overlaps[:min(len(found.Overlaps), maxOverlaps)], Wasted: found.Wasted,
		Tokens: s.Catalog.Tokens(), Degraded: found.Degraded}
	page.MoreOverlaps = len(found.Overlaps) - len(page.Overlaps)
	if page.Tokens > 0 {
		page.Percent = (100*page.Wasted + page.Tokens/2) / page.Tokens
	}
	page.cut(found.Groups, c.QueryParam("page"))
	return s.render(c, http.StatusOK, "duplicates", page)
}

// cut keeps one page of the groups.
func (page *duplicatesPage) cut(groups []catalog.Group, number string) {
	n, _ := strconv.Atoi(number)
	n = max(1, min(n, (len(groups)+perPage-1)/perPage))
	from, to := (n-1)*perPage, min(n*perPage, len(groups))
	for _, g := range groups[from:to] {
		_, name := g.Tools[0].ID.Split()
		row := duplicateGroup{Name: name, Percent: int(100*g.Likeness + 0.5), Wasted: g.Wasted}
		for i, t := range g.Tools {
			server, tool := t.ID.Split()
			row.Tools = append(row.Tools, duplicateTool{catalogueRow: catalogueRow{ID: t.ID, Description: t.Description, Judgement: t.Effect, Tokens: t.Tokens},
				Server: server, Tool: tool, Keep: i == 0})
		}
		page.Groups = append(page.Groups, row)
	}
	page.From, page.To = min(from+1, to), to
	address := func(n int) string {
		return "/catalog/duplicates?" + url.Values{"min": {page.Least}, "page": {strconv.Itoa(n)}}.Encode()
	}
	if n > 1 {
		page.Prev = address(n - 1)
	}
	if to < len(groups) {
		page.Next = address(n + 1)
	}
}
