package web

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"remit/catalog"
	"remit/composer"
	"remit/identity"
	"remit/persona"
)

// explainPage says why a tool is in a revision, or is not.
type explainPage struct {
	frame
	head
	Number   int // of the revision
	Base     string
	Editable bool
	Tool     card
	Granted  *persona.Grant // nil when the revision does not grant it
	Noted    string         // why the draft left it out, as the composer noted when it was made
	Composer composer.Explanation
	Quotes   []string // of Composer.Words
	Need     string   // the words that it comes nearest to
	Problem  string   // why the composer cannot say

	Query          string
	Found          []miss
	SearchDegraded string
}

func (s *site) explain(c echo.Context, by identity.Principal) error {
	p, err := s.persona(c, by)
	if err != nil {
		return err
	}
	h, err := s.newHead(c, by, p, "draft")
	if err != nil {
		return err
	}
	r := p.Latest()
	page := explainPage{frame: s.frame(c, by, "Explain: "+p.Title, "personas"), head: h, Number: r.Number, Base: base(r), Editable: h.mayEdit(by, r)}
	if id := catalog.ID(c.QueryParam("tool")); id != "" {
		t, ok := s.Catalog.Tool(id)
		if !ok {
			return errNoTool
		}
		if err := s.explainTool(c, &page, r, t); err != nil {
			return err
		}
	}
	if page.Query = strings.TrimSpace(c.QueryParam("q")); page.Query != "" {
		if page.Found, page.SearchDegraded, err = s.find(c.Request().Context(), page.Query, 8); err != nil {
			return err
		}
	}
	return s.render(c, http.StatusOK, "explain", page)
}

func (s *site) explainTool(c echo.Context, page *explainPage, r persona.Revision, t catalog.Tool) error {
	page.Tool = s.card(t.ID, t.Digest, t.Definition)
	if i := slices.IndexFunc(r.Grants, func(g persona.Grant) bool { return g.Tool == t.ID }); i >= 0 {
		page.Granted = &r.Grants[i]
	} else {
		for _, m := range notesOf(r).NearMisses {
			if m.Tool == t.ID {
				page.Noted = m.Reason
			}
		}
	}
	e, err := s.Composer.Explain(c.Request().Context(), r.Job, t.ID)
	if err != nil && !expected(err) {
		return fmt.Errorf("explaining %s: %w", t.ID, err)
	}
	if err != nil {
		_, _, page.Problem = explain(err)
		return nil
	}
	page.Composer, page.Quotes = e, quoted(r.Job, e.Words)
	if e.Nearest != nil {
		page.Need = strings.Join(quoted(r.Job, []persona.Span{e.Nearest.Words}), "")
	}
	return nil
}
