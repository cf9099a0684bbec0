package web

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"remit/identity"
	"remit/persona"
)

// usersForm is who may use a persona with a client of their own, one name a line, as it is typed.
type usersForm struct {
	Groups, People string
	Was            identity.Users // when the page was shown
	Address        string         // where their clients connect; empty without an identity provider
	May            bool           // set them
}

// Shown is Was in a field of the form.
func (f usersForm) Shown() string {
	text, _ := json.Marshal(f.Was) // texts always encode
	return string(text)
}

func (s *site) newUsersForm(r *http.Request, by identity.Principal, p persona.Persona) usersForm {
	f := usersForm{Groups: strings.Join(p.Users.Groups, "\n"), People: strings.Join(p.Users.People, "\n"), Was: p.Users,
		May: by.Within(p.Team) && (by.Has(identity.Reviewer) || by.Has(identity.Admin))}
	if s.Provider != nil {
		f.Address = s.origin(r) + "/p/" + string(p.ID) + "/mcp"
	}
	return f
}

// postUsers sets who may use a persona. What was typed is on the page again when it does not do.
func (s *site) postUsers(c echo.Context, by identity.Principal) error {
	form := c.Request().PostForm
	var was identity.Users
	if json.Unmarshal([]byte(form.Get("was")), &was) != nil {
		return errForm
	}
	want := identity.Users{Groups: strings.Split(form.Get("groups"), "\n"), People: strings.Split(form.Get("people"), "\n")}
	err := s.Registry.SetUsers(c.Request().Context(), by, persona.ID(c.Param("id")), was, want)
	if err == nil {
		return redirect(c, "/personas/"+c.Param("id")+"/live", "let-in")
	}
	return s.liveAgain(c, by, err, func(page *livePage) {
		page.Users.Groups, page.Users.People = form.Get("groups"), form.Get("people")
	})
}
