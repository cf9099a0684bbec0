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

func (s *site) setCookie(c echo.Context, token string) {
	cookie := &http.Cookie{Name: s.cookieName(c.Request()), Value: token, Path: "/", HttpOnly: true,
		Secure: s.https(c.Request()), SameSite: http.SameSiteLaxMode, MaxAge: int(identity.SessionMax.Seconds())}
	if token == "" {
		cookie.MaxAge = -1
	}
	c.SetCookie(cookie)
}

// signOut ends the session that the request carries.
func (s *site) signOut(c echo.Context) error {
	cookie, err := c.Cookie(s.cookieName(c.Request()))
	if err != nil {
		return nil
	}
	s.setCookie(c, "")
	return s.Directory.SignOut(c.Request().Context(), cookie.Value)
}
