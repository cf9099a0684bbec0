package web

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"remit/catalog"
	"remit/identity"
	"remit/persona"
)

type livePage struct {
	frame
	head
	Revision  persona.Revision // the live one; the newest if none is
	Revisions []revisionRow    // newest first
	Tools     []card
	Endpoint  string
	Keys      keysPart
	Users     usersForm
	Snippets  []snippet
	MayRetire bool
	NewTeam   string // as typed
	MayNarrow bool   // take tools away at once
	Error     string
	MayDate   bool // shorten the dates; a reviewer who did not write it prolongs them
}

// revisionRow is a revision and, for a reviewer, whether it can be made live again.
type revisionRow struct {
	persona.Revision
	Again bool
	Why   string // it cannot, although it was live before
}

func (s *site) revisionRows(c echo.Context, by identity.Principal, p persona.Persona) ([]revisionRow, error) {
	var rows []revisionRow
	for _, r := range p.Revisions {
		row := revisionRow{Revision: r}
		if r.State == persona.Approved && by.Within(p.Team) && by.Has(identity.Reviewer) {
			err := s.Registry.Rollbackable(c.Request().Context(), p, r)
			if err != nil && !expected(err) {
				return nil, err
			}
			if row.Again = err == nil; !row.Again {
				row.Why = err.Error()
			}
		}
		rows = append(rows, row)
	}
	slices.Reverse(rows)
	return rows, nil
}

func (s *site) postRollback(c echo.Context, by identity.Principal) error {
	revision, _ := strconv.Atoi(c.Request().PostForm.Get("revision")) // what is no number is revision 0, which there never is
	if err := s.Registry.Rollback(c.Request().Context(), by, persona.ID(c.Param("id")), revision); err != nil {
		return err
	}
	return redirect(c, "/personas/"+c.Param("id")+"/live", "again")
}

func (s *site) postNarrow(c echo.Context, by identity.Principal) error {
	var remove []catalog.ID
	for _, id := range c.Request().PostForm["remove"] {
		remove = append(remove, catalog.ID(id))
	}
	if err := s.Registry.Narrow(c.Request().Context(), by, persona.ID(c.Param("id")), remove); err != nil {
		return err
	}
	return redirect(c, "/personas/"+c.Param("id")+"/live", "narrowed")
}

func (s *site) live(c echo.Context, by identity.Principal) error {
	page, _, err := s.livePage(c, by)
	if err != nil {
		return err
	}
	return s.renderLive(c, http.StatusOK, page)
}

func (s *site) livePage(c echo.Context, by identity.Principal) (livePage, persona.Persona, error) {
	p, err := s.persona(c, by)
	if err != nil {
		return livePage{}, persona.Persona{}, err
	}
	h, err := s.newHead(c, by, p, "live")
	if err != nil {
		return livePage{}, persona.Persona{}, err
	}
	page := livePage{frame: s.frame(c, by, p.Title, "personas"), head: h, Revision: p.Latest(), NewTeam: p.Team, MayRetire: h.Ours && by.Has(identity.Reviewer) && !p.Retired(),
		Keys: newKeysPart(c, by, h.Ours), Users: s.newUsersForm(c.Request(), by, p), Endpoint: s.origin(c.Request()) + "/k/" + string(p.ID) + "/mcp"}
	if page.Revisions, err = s.revisionRows(c, by, p); err != nil {
		return livePage{}, persona.Persona{}, err
	}
	if live, ok := p.Live(); ok {
		page.Revision = live
		page.MayDate = h.Ours && mayNarrow(by) == nil
		page.MayNarrow = h.Ours && len(live.Grants) > 1 && (by.Has(identity.Reviewer) || by.Has(identity.Author))
	}
	page.Tools = s.grantCards(page.Revision)
	mark(page.Tools, h.stopped)
	pins, err := s.frozen(c.Request().Context(), by, p.ID)
	markFrozen(page.Tools, pins)
	return page, p, err
}

// liveAgain shows the page with what is wrong and with what was typed, so that bad input loses nothing.
func (s *site) liveAgain(c echo.Context, by identity.Principal, err error, typed func(*livePage)) error {
	if !expected(err) {
		return err
	}
	page, _, failed := s.livePage(c, by)
	if failed != nil {
		return failed
	}
	status, _, text := explain(err)
	page.Error = text
	typed(&page)
	return s.renderLive(c, status, page)
}

// renderLive adds the keys as they are now.
func (s *site) renderLive(c echo.Context, status int, page livePage) error {
	if err := s.fillKeys(c, page.By, page.ID, &page.Keys); err != nil {
		return err
	}
	page.Snippets = snippets(string(page.ID), page.Endpoint, page.Keys.Secret)
	return s.render(c, status, "live", page)
}

// postTeam says whose the persona is from now on.
func (s *site) postTeam(c echo.Context, by identity.Principal) error {
	team := strings.TrimSpace(c.Request().PostForm.Get("team"))
	if err := s.Registry.SetTeam(c.Request().Context(), by, persona.ID(c.Param("id")), team); err != nil {
		return s.liveAgain(c, by, err, func(page *livePage) { page.NewTeam = team })
	}
	return redirect(c, "/personas/"+c.Param("id")+"/live", "owned")
}

func (s *site) postRetire(c echo.Context, by identity.Principal) error {
	if err := s.Registry.Retire(c.Request().Context(), by, persona.ID(c.Param("id"))); err != nil {
		return err
	}
	return redirect(c, "/personas/"+c.Param("id")+"/live", "retired")
}
