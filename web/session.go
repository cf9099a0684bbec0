package web

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"remit/identity"
)

// cookieName has the prefix by which browsers refuse a cookie that another host or an insecure page set; they accept it
// over https only.
func (s *site) cookieName(r *http.Request) string {
	if s.https(r) {
		return "__Host-remit"
	}
	return "remit_session"
}

// token is the one of the session that the request carries; empty without one.
func (s *site) token(c echo.Context) string {
	cookie, err := c.Cookie(s.cookieName(c.Request()))
	if err != nil {
		return ""
	}
	return cookie.Value
}

func (s *site) setCookie(c echo.Context, token string) {
	cookie := &http.Cookie{Name: s.cookieName(c.Request()), Value: token, Path: "/", HttpOnly: true,
		Secure: s.https(c.Request()), SameSite: http.SameSiteLaxMode, MaxAge: int(identity.SessionMax.Seconds())}
	if token == "" {
		cookie.MaxAge = -1
	}
	c.SetCookie(cookie)
}

// enter gives the browser a session that was just opened; the one that it had ends.
func (s *site) enter(c echo.Context, token string) error {
	if err := s.signOut(c); err != nil {
		return err
	}
	s.setCookie(c, token)
	return s.Directory.Describe(c.Request().Context(), token, c.Request().UserAgent(), c.RealIP())
}

// signOut ends the session that the request carries.
func (s *site) signOut(c echo.Context) error {
	token := s.token(c)
	if token == "" {
		return nil
	}
	s.setCookie(c, "")
	return s.Directory.SignOut(c.Request().Context(), token)
}
