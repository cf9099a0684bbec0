package web

import (
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"remit/identity"
	"remit/persona"
)

type personasPage struct {
	frame
	Waiting []personaRow       // for the review of who looks
	Due     []persona.Reminder // dates that come near or have come, of all
	Rows    []personaRow       // all, the waiting ones too
	Teams   []string           // that own some of them, in order
	Team    string             // whose rows are shown; empty for all
	Tools   int                // in the catalog
}

type personaRow struct {
	ID     persona.ID
	Title  string
	Team   string // that owns it; empty for none
	Path   string // the page on which it goes on
	State  persona.State
	Latest int
	Tools  int
	Live   int // revision; 0 for none
	Author string
	Mine   bool

	Suspended bool
	Due       []persona.Reminder
	Over      string // why everything is refused
}

func (s *site) personas(c echo.Context, by identity.Principal) error {
	all, err := s.Registry.Personas(c.Request().Context(), by)
	if err != nil {
		return err
	}
	stopped, err := s.Registry.Store.Suspensions(c.Request().Context())
	if err != nil {
		return err
	}
	page := personasPage{frame: s.frame(c, by, "Personas", "personas"), Tools: len(s.Catalog.Tools())}
	page.Team = c.QueryParam("team")
	for _, p := range all {
		if p.Team != "" && !slices.Contains(page.Teams, p.Team) {
			page.Teams = append(page.Teams, p.Team)
		}
		if page.Team != "" && page.Team != p.Team {
			continue
		}
		latest := p.Latest()
		row := personaRow{ID: p.ID, Title: p.Title, Team: p.Team, Path: onwards(p), State: latest.State, Latest: latest.Number,
			Tools: len(latest.Grants), Author: latest.Author, Mine: latest.WrittenBy(by.Person)}
		_, row.Suspended = persona.Stopped(stopped, p.ID, "")
		row.Due, row.Over = s.dates(p)
		page.Due = append(page.Due, row.Due...)
		if live, ok := p.Live(); ok {
			row.Live = live.Number
		}
		page.Rows = append(page.Rows, row)
		if s.mayApprove(by, p) {
			page.Waiting = append(page.Waiting, row)
		}
	}
	slices.Sort(page.Teams)
	return s.render(c, http.StatusOK, "personas", page)
}

// onwards is the page on which the newest revision of p goes on.
func onwards(p persona.Persona) string {
	base := "/personas/" + string(p.ID)
	switch p.Latest().State {
	case persona.Submitted:
		return base + "/review"
	case persona.Live, persona.Approved, persona.Retired:
		return base + "/live"
	}
	return base
}

// mayApprove mirrors what the registry will decide.
func (s *site) mayApprove(by identity.Principal, p persona.Persona) bool {
	r := p.Latest()
	again := s.Registry.TwoReviewers && r.NeedsTwo() && r.FirstReview == by.Person
	return r.State == persona.Submitted && by.Within(p.Team) && by.Has(identity.Reviewer) && (!r.WrittenBy(by.Person) || s.SingleOperator) && !again
}

// persona reads the one that the path names, if by sees it.
func (s *site) persona(c echo.Context, by identity.Principal) (persona.Persona, error) {
	id := persona.ID(c.Param("id"))
	if id.Validate() != nil {
		return persona.Persona{}, persona.ErrNotFound
	}
	p, err := s.Registry.Persona(c.Request().Context(), by, id)
	if err == nil && len(p.Revisions) == 0 {
		err = persona.ErrNotFound
	}
	return p, err
}

// head is what the pages of one persona have in common.
type head struct {
	ID      persona.ID
	Name    string // the persona's title
	Team    string // that owns it; empty for none
	Ours    bool   // whoever looks may do in it what their roles allow
	Tab     string
	Latest  persona.Revision
	Basis   int // revision that a new draft starts from
	Live    int // revision; 0 for none
	Beside  int // revision that runs as its shadow; 0 for none
	Retired bool
	Switch  killSwitch
	Term    persona.Term
	Dates   datesForm // of the term
	Due     []persona.Reminder
	Over    string               // why everything is refused
	stopped []persona.Suspension // all there are
}

func (s *site) newHead(c echo.Context, by identity.Principal, p persona.Persona, tab string) (head, error) {
	all, err := s.Registry.Store.Suspensions(c.Request().Context())
	h := head{ID: p.ID, Name: p.Title, Team: p.Team, Ours: by.Within(p.Team), Tab: tab, Latest: p.Latest(), Basis: p.Basis().Number, Retired: p.Retired(), Beside: p.Shadow.Revision,
		Switch: newKillSwitch(all, by, persona.OnePersona, string(p.ID)), Term: p.Term, Dates: newDatesForm(p.Term.Dates, s.Now()), stopped: all}
	h.Due, h.Over = s.dates(p)
	if live, ok := p.Live(); ok {
		h.Live = live.Number
	}
	return h, err
}

// dates is what comes near or has come of p's dates, and why everything of it is refused, if it is.
func (s *site) dates(p persona.Persona) (due []persona.Reminder, over string) {
	if _, live := p.Live(); !live {
		return nil, ""
	}
	o, _ := p.Term.Over(s.Now())
	return p.Reminders(s.Now(), s.RemindBefore), o.Reason
}
