package web

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

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
	Keys      []keyRow
	Users     usersForm
	Snippets  []snippet
	MayKey    bool // issue and revoke keys
	MayRetire bool
	MayNarrow bool // take tools away at once
	MayDate   bool // shorten the dates; a reviewer who did not write it prolongs them

	Secret  string // of the key that was just issued; shown once
	Error   string
	Agent   string // as typed
	User    string
	Expires string
}

// ExpiryChoices are after how many days a key may expire.
func (livePage) ExpiryChoices() []string { return []string{"7", "30", "90", "365", "never"} }

type keyRow struct {
	identity.Key
	Usable bool
	Idle   bool // it would be usable if its user might do anything
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
		if r.State == persona.Approved && by.Has(identity.Reviewer) {
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
	page, err := s.livePage(c, by)
	if err != nil {
		return err
	}
	return s.renderLive(c, http.StatusOK, page)
}

func (s *site) livePage(c echo.Context, by identity.Principal) (livePage, error) {
	p, err := s.persona(c)
	if err != nil {
		return livePage{}, err
	}
	h, err := s.newHead(c, by, p, "live")
	if err != nil {
		return livePage{}, err
	}
	page := livePage{frame: s.frame(c, by, p.Title, "personas"), head: h, Revision: p.Latest(), MayKey: by.Has(identity.Reviewer) || by.Has(identity.Admin), MayRetire: by.Has(identity.Reviewer) && !p.Retired(),
		Expires: "90", User: by.Person, Endpoint: s.origin(c.Request()) + "/k/" + string(p.ID) + "/mcp"}
	page.Users = s.newUsersForm(c.Request(), by, p)
	if page.Revisions, err = s.revisionRows(c, by, p); err != nil {
		return livePage{}, err
	}
	if live, ok := p.Live(); ok {
		page.Revision = live
		page.MayDate = mayNarrow(by) == nil
		page.MayNarrow = len(live.Grants) > 1 && (by.Has(identity.Reviewer) || by.Has(identity.Author))
	}
	page.Tools = s.grantCards(page.Revision)
	mark(page.Tools, h.stopped)
	pins, err := s.frozen(c.Request().Context(), by, p.ID)
	markFrozen(page.Tools, pins)
	return page, err
}

// renderLive adds the keys as they are now.
func (s *site) renderLive(c echo.Context, status int, page livePage) error {
	keys, err := s.Directory.Keys(c.Request().Context(), page.By, string(page.ID))
	if err != nil {
		return err
	}
	for _, k := range keys {
		page.Keys = append(page.Keys, keyRow{k, k.Live(s.Now()), k.Stopped(s.Now()) && (k.Expires.IsZero() || s.Now().Before(k.Expires))})
	}
	page.Snippets = snippets(string(page.ID), page.Endpoint, page.Secret)
	return s.render(c, status, "live", page)
}

// postKey answers with the page itself, not a redirect: the secret is in no address and is shown once.
func (s *site) postKey(c echo.Context, by identity.Principal) error {
	page, err := s.livePage(c, by)
	if err != nil {
		return err
	}
	form := c.Request().PostForm
	page.Agent, page.User, page.Expires = strings.TrimSpace(form.Get("agent")), strings.TrimSpace(form.Get("user")), form.Get("expires")
	spec := identity.KeySpec{Agent: page.Agent, User: page.User, Persona: string(page.ID)}
	if spec.Expires, err = expiry(page.Expires, s.Now()); err == nil {
		if page.Retired {
			err = fmt.Errorf("%w: the persona is retired", persona.ErrState)
		} else {
			page.Secret, _, err = s.Directory.IssueKey(c.Request().Context(), by, spec)
		}
	}
	if err != nil && !expected(err) {
		return err
	}
	if err != nil {
		status, _, text := explain(err)
		page.Error = text
		return s.renderLive(c, status, page)
	}
	return s.renderLive(c, http.StatusOK, page)
}

// expiry reads a number of days; "never" is said, not left out.
func expiry(days string, now time.Time) (time.Time, error) {
	if days == "never" {
		return time.Time{}, nil
	}
	n, err := strconv.Atoi(days)
	if err != nil || n < 1 || n > 3650 {
		return time.Time{}, fmt.Errorf("%w: choose after how many days the key expires", identity.ErrInvalid)
	}
	return now.Add(time.Duration(n) * 24 * time.Hour), nil
}

func (s *site) postRevokeKey(c echo.Context, by identity.Principal) error {
	if err := s.Directory.RevokeKey(c.Request().Context(), by, c.Param("key")); err != nil {
		return err
	}
	return redirect(c, "/personas/"+c.Param("id")+"/live", "revoked")
}

func (s *site) postRetire(c echo.Context, by identity.Principal) error {
	if err := s.Registry.Retire(c.Request().Context(), by, persona.ID(c.Param("id"))); err != nil {
		return err
	}
	return redirect(c, "/personas/"+c.Param("id")+"/live", "retired")
}
