package web

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"remit/identity"
	"remit/persona"
)

type personasPage struct {
	frame
	Waiting []personaRow       // for the review of who looks
	Due     []persona.Reminder // dates that come near or have come, of all
	Teams   []string           // that own some of them, in order
	Team    string             // whose rows are shown; empty for all
	Rows    []personaRow       // that fit, the waiting ones too; one page of them
	Query   string             // part of a title, id or author
	Total   int                // that fit
	All     int
	From    int    // of Total, from 1
	Prev    string // addresses; empty at the ends
	Next    string
	Tools   int // in the catalog
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
	page.Query, page.All = strings.TrimSpace(c.QueryParam("q")), len(page.Rows)
	page.cut(c.QueryParam("page"))
	return s.render(c, http.StatusOK, "personas", page)
}

// To is the number of the last row, from 1.
func (page personasPage) To() int { return page.From + len(page.Rows) - 1 }

// Many says that a search helps to find one.
func (page personasPage) Many() bool { return page.All > perPage || page.Query != "" }

// cut keeps one page of the rows that fit.
func (page *personasPage) cut(number string) {
	query := strings.ToLower(page.Query)
	page.Rows = slices.DeleteFunc(page.Rows, func(r personaRow) bool {
		return !strings.Contains(strings.ToLower(r.Title+"\n"+string(r.ID)+"\n"+r.Author), query)
	})
	page.Total = len(page.Rows)
	n, _ := strconv.Atoi(number)
	n = max(1, min(n, (page.Total+perPage-1)/perPage))
	from, to := (n-1)*perPage, min(n*perPage, page.Total)
	page.Rows, page.From = page.Rows[from:to], min(from+1, to)
	address := func(n int) string {
		q := url.Values{"q": {page.Query}, "page": {strconv.Itoa(n)}}
		if page.Team != "" {
			q.Set("team", page.Team)
		}
		return "/?" + q.Encode()
	}
	if n > 1 {
		page.Prev = address(n - 1)
	}
	if to < page.Total {
		page.Next = address(n + 1)
	}
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

// mayEdit says whether whoever looks may change the revision.
func (h head) mayEdit(by identity.Principal, r persona.Revision) bool {
	return r.State == persona.Draft && h.Ours && by.Has(identity.Author)
}

// dates is what comes near or has come of p's dates, and why everything of it is refused, if it is.
func (s *site) dates(p persona.Persona) (due []persona.Reminder, over string) {
	if _, live := p.Live(); !live {
		return nil, ""
	}
	o, _ := p.Term.Over(s.Now())
	return p.Reminders(s.Now(), s.RemindBefore), o.Reason
}
