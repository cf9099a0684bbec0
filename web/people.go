package web

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"remit/identity"
)

type peoplePage struct {
	frame
	People []identity.Person
	Roles  []identity.Role
	For    string // whom the link signs in
	Link   string // just made; shown once
	Error  string
	Name   string // as typed
	Chosen []identity.Role
	now    time.Time
}

// Gone says that a provider no longer vouches for the person.
func (p peoplePage) Gone(who identity.Person) bool { return !who.Disabled && !who.Active(p.now) }

func (s *site) people(c echo.Context, by identity.Principal) error {
	return s.renderPeople(c, by, http.StatusOK, peoplePage{})
}

func (s *site) renderPeople(c echo.Context, by identity.Principal, status int, page peoplePage) error {
	var err error
	if page.People, err = s.Directory.People(c.Request().Context(), by); err != nil {
		return err
	}
	page.frame, page.Roles, page.now = s.frame(c, by, "People", "people"), identity.Roles, s.Now()
	return s.render(c, status, "people", page)
}

// postPerson adds somebody and makes the link with which they come in.
func (s *site) postPerson(c echo.Context, by identity.Principal) error {
	form := c.Request().PostForm
	page := peoplePage{Name: strings.ToLower(strings.TrimSpace(form.Get("name"))), Chosen: roles(form["role"])}
	err := s.Directory.AddPerson(c.Request().Context(), by, page.Name, page.Chosen, "")
	if err != nil && expected(err) {
		status, _, text := explain(err)
		page.Error = text
		return s.renderPeople(c, by, status, page)
	}
	if err != nil {
		return err
	}
	return s.showLink(c, by, page.Name)
}

func (s *site) postNewLink(c echo.Context, by identity.Principal) error {
	return s.showLink(c, by, c.Param("name"))
}

// showLink answers with the page itself: the link is shown once and is in no address.
func (s *site) showLink(c echo.Context, by identity.Principal, name string) error {
	token, err := s.Directory.NewLink(c.Request().Context(), by, name)
	if err != nil {
		return err
	}
	return s.renderPeople(c, by, http.StatusOK, peoplePage{For: name, Link: s.origin(c.Request()) + "/link/" + token})
}

func (s *site) postRoles(c echo.Context, by identity.Principal) error {
	return s.changed(c, s.Directory.SetRoles(c.Request().Context(), by, c.Param("name"), roles(c.Request().PostForm["role"])))
}

func (s *site) postTeams(c echo.Context, by identity.Principal) error {
	teams := strings.FieldsFunc(c.Request().PostForm.Get("teams"), func(r rune) bool { return r == ',' || r == ' ' })
	err := s.Directory.SetTeams(c.Request().Context(), by, c.Param("name"), teams)
	if err != nil && expected(err) {
		status, _, text := explain(err)
		return s.renderPeople(c, by, status, peoplePage{Error: text})
	}
	return s.changed(c, err)
}

func (s *site) postDisable(c echo.Context, by identity.Principal) error {
	var disabled bool
	switch c.Request().PostForm.Get("disabled") {
	case "true":
		disabled = true
	case "false":
	default:
		return fmt.Errorf("%w: say whether to disable or to enable", identity.ErrInvalid)
	}
	return s.changed(c, s.Directory.SetDisabled(c.Request().Context(), by, c.Param("name"), disabled))
}

func (s *site) changed(c echo.Context, err error) error {
	if err != nil {
		return err
	}
	return redirect(c, "/people", "changed")
}

func roles(names []string) []identity.Role {
	out := make([]identity.Role, len(names))
	for i, name := range names {
		out[i] = identity.Role(name)
	}
	return out
}
