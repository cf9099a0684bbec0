package web

import (
	"errors"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"remit/identity"
)

type signInPage struct {
	frame
	Name  string
	Next  string // path of this site to go to afterwards
	Error string

	Provider  string // what to call the identity provider; empty without one
	Passwords bool
}

// newSignIn is the page without what was typed.
func (s *site) newSignIn(c echo.Context, by identity.Principal, next string) signInPage {
	page := signInPage{frame: s.frame(c, by, "Sign in", ""), Next: local(next), Passwords: s.Provider == nil || !s.NoPasswords}
	if s.Provider != nil {
		page.Provider = s.Provider.Label()
	}
	return page
}

func (s *site) signIn(c echo.Context, by identity.Principal) error {
	next := local(c.QueryParam("next"))
	if by.Person != "" {
		return redirect(c, next, "")
	}
	return s.render(c, http.StatusOK, "signin", s.newSignIn(c, by, next))
}

// postSignIn gives one answer for an unknown name, a wrong password and a disabled person.
func (s *site) postSignIn(c echo.Context, by identity.Principal) error {
	form := c.Request().PostForm
	page := s.newSignIn(c, by, form.Get("next"))
	if page.Name = strings.TrimSpace(form.Get("name")); !page.Passwords {
		page.Error = "Sign in at " + page.Provider + ": passwords are switched off here."
		return s.render(c, http.StatusForbidden, "signin", page)
	}
	if !s.addresses.allow(c.RealIP()) || !s.names.allow(cutName(page.Name)) {
		if err := s.Directory.TooManyTries(c.Request().Context(), page.Name); err != nil {
			return err
		}
		page.Error = "Too many tries. Wait a minute and try again."
		c.Response().Header().Set("Retry-After", "60")
		return s.render(c, http.StatusTooManyRequests, "signin", page)
	}
	token, err := s.Directory.SignIn(c.Request().Context(), page.Name, form.Get("password"))
	if errors.Is(err, identity.ErrCredential) {
		page.Error = "That name and password do not fit together. If you have no password yet, ask an admin for a one-time link."
		return s.render(c, http.StatusUnauthorized, "signin", page)
	}
	if err != nil {
		return err
	}
	if err := s.enter(c, token); err != nil {
		return err
	}
	return redirect(c, page.Next, "")
}

func (s *site) postSignOut(c echo.Context, _ identity.Principal) error {
	if err := s.signOut(c); err != nil {
		return err
	}
	return redirect(c, "/sign-in", "out")
}

// cutName keeps the limiter's keys short; no name is longer.
func cutName(name string) string { return name[:min(len(name), 64)] }
