package web

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/labstack/echo/v4"

	"remit/catalog"
	"remit/identity"
	"remit/persona"
)

// commentsPart is what was said of a tool, and the form to say more.
type commentsPart struct {
	Persona  persona.ID
	Revision int
	Tool     catalog.ID
	Number   int // of the card
	From     string
	Said     []persona.RevisionComment
	May      bool
}

// withComments puts what was said on the cards of a revision. from is the page that is gone back to.
func withComments(cards []card, by identity.Principal, p persona.Persona, r persona.Revision, from string) {
	may := (by.Has(identity.Author) || by.Has(identity.Reviewer)) && (r.State == persona.Draft || r.State == persona.Submitted)
	for i, c := range cards {
		cards[i].Comments = &commentsPart{Persona: p.ID, Revision: r.Number, Tool: c.ID, Number: c.Number, From: from, Said: p.Said(r.Number, c.ID), May: may}
	}
}

func (s *site) postComment(c echo.Context, by identity.Principal) error {
	id, form := persona.ID(c.Param("id")), c.Request().PostForm
	revision, _ := strconv.Atoi(form.Get("revision")) // what is no number is revision 0, which there never is
	tool := catalog.ID(form.Get("tool"))
	if err := s.Registry.Comment(c.Request().Context(), by, id, revision, tool, jobText(form.Get("text"))); err != nil {
		return err
	}
	to := "/personas/" + string(id)
	if form.Get("from") == "review" {
		to += "/review"
	}
	p, err := s.persona(c, by)
	if err != nil {
		return err
	}
	to += "?did=said"
	if r, ok := p.Revision(revision); ok {
		at := slices.IndexFunc(r.Grants, func(g persona.Grant) bool { return g.Tool == tool })
		to += fmt.Sprintf("#tool-%d", at+1)
	}
	return c.Redirect(http.StatusSeeOther, to)
}

// served answers with the list of tools as agents get it, byte for byte.
func (s *site) served(c echo.Context, by identity.Principal) error {
	p, err := s.persona(c, by)
	if err != nil {
		return err
	}
	r := p.Latest()
	if number := c.QueryParam("revision"); number != "" {
		n, _ := strconv.Atoi(number)
		var ok bool
		if r, ok = p.Revision(n); !ok {
			return persona.ErrNotFound
		}
	}
	list := []byte{'['}
	for i, g := range r.Grants {
		one, _, err := g.Served()
		if err != nil {
			return fmt.Errorf("%w: %w", persona.ErrInvalid, err)
		}
		if i > 0 {
			list = append(list, ',')
		}
		list = append(list, one...)
	}
	return c.Blob(http.StatusOK, "application/json", append(list, ']'))
}
