package web

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"remit/identity"
)

type linkPage struct {
	frame
	Token string
	Error string
}

// link asks first, so that a preview or a scanner that follows the address does not use it up.
func (s *site) link(c echo.Context, by identity.Principal) error {
	return s.render(c, http.StatusOK, "link", linkPage{frame: s.frame(c, by, "One-time sign-in", ""), Token: c.Param("token")})
}

// postLink uses the link up, and sets a password if one was typed: the only way to replace a forgotten one.
func (s *site) postLink(c echo.Context, by identity.Principal) error {
	ctx, password := c.Request().Context(), c.Request().PostForm.Get("password")
	page := linkPage{frame: s.frame(c, by, "One-time sign-in", ""), Token: c.Param("token")}
	if !s.addresses.allow(c.RealIP()) {
		if err := s.Directory.TooManyTries(ctx, ""); err != nil {
			return err
		}
		page.Error = "Too many tries. Wait a minute and try again."
		return s.render(c, http.StatusTooManyRequests, "link", page)
	}
	if password != "" && (len(password) < 12 || len(password) > 200) {
		page.Error = "A password has 12 to 200 characters. The link is not used up yet."
		return s.render(c, http.StatusUnprocessableEntity, "link", page)
	}
	token, err := s.Directory.SignInByLink(ctx, page.Token)
	if errors.Is(err, identity.ErrCredential) {
		page.Token, page.Error = "", "This link was used already, has expired, or never was one. Ask an admin for a new one."
		return s.render(c, http.StatusUnauthorized, "link", page)
	}
	if err != nil {
		return err
	}
	if err := s.enter(c, token); err != nil {
		return err
	}
	if password != "" {
		who, err := s.Directory.Session(ctx, token)
		if err != nil {
			return fmt.Errorf("reading the session that a link opened: %w", err)
		}
		if err := s.Directory.SetPassword(ctx, who, who.Person, password, token); err != nil {
			return err
		}
	}
	return redirect(c, "/", "")
}
