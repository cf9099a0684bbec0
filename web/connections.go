package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"remit/credential"
	"remit/identity"
)

type connectionsPage struct {
	frame
	Rows  []credential.Connection
	Leave *credential.Leave    // where to go on to, instead of the rows
	All   []credential.Account // for admins
	Error string
}

// errNoConnections: there is no page where no server is called with people's accounts.
var errNoConnections = errors.New("no server is called with people's accounts")

func (s *site) connections(c echo.Context, by identity.Principal) error {
	return s.renderConnections(c, by, http.StatusOK, connectionsPage{})
}

func (s *site) renderConnections(c echo.Context, by identity.Principal, status int, page connectionsPage) error {
	ctx := c.Request().Context()
	page.frame = s.frame(c, by, "Your connections", "connections")
	if page.Leave == nil && s.Connections.Any() {
		var err error
		if page.Rows, err = s.Connections.Of(ctx, by); err != nil {
			return err
		}
		if page.Admin {
			if page.All, err = s.Connections.All(ctx, by); err != nil {
				return err
			}
		}
	}
	return s.render(c, status, "connections", page)
}

// browser is what the session of a request is known by.
func (s *site) browser(c echo.Context) string {
	cookie, err := c.Cookie(s.cookieName(c.Request()))
	if err != nil {
		return ""
	}
	return cookie.Value
}

// back is the exact address to which the authorization server of a server sends people back.
func (s *site) back(c echo.Context, server string) string {
	return s.origin(c.Request()) + "/connections/" + url.PathEscape(server) + "/callback"
}

// postConnect shows where the person is sent, and they go there by a link: no form of ours is answered by another site.
func (s *site) postConnect(c echo.Context, by identity.Principal) error {
	server := c.Param("server")
	if !s.Connections.Any() {
		return errNoConnections
	}
	leave, err := s.Connections.Begin(c.Request().Context(), by, s.browser(c), server, s.back(c, server), c.Request().PostForm["key"])
	if err != nil {
		return s.notConnected(c, by, err)
	}
	return s.renderConnections(c, by, http.StatusOK, connectionsPage{Leave: &leave})
}

// connectCallback is where the authorization server sends the browser back to. It is the one GET that changes something: the
// state in its address is good once, in the session that began.
func (s *site) connectCallback(c echo.Context, by identity.Principal) error {
	if !s.Connections.Any() {
		return errNoConnections
	}
	err := s.Connections.Finish(c.Request().Context(), by, s.browser(c), c.Param("server"), c.QueryParams())
	if err != nil {
		return s.notConnected(c, by, err)
	}
	return redirect(c, "/connections", "connected")
}

// notConnected shows what went wrong above the connections.
func (s *site) notConnected(c echo.Context, by identity.Principal, err error) error {
	if errors.Is(err, credential.ErrConnect) {
		return s.renderConnections(c, by, http.StatusBadGateway, connectionsPage{Error: err.Error()})
	}
	if status, _, text := explain(err); expected(err) {
		return s.renderConnections(c, by, status, connectionsPage{Error: text})
	}
	return err
}

func (s *site) postAllow(c echo.Context, by identity.Principal) error {
	if !s.Connections.Any() {
		return errNoConnections
	}
	if err := s.Connections.Allow(c.Request().Context(), by, c.Param("server"), c.Request().PostForm["key"]); err != nil {
		return s.notConnected(c, by, err)
	}
	return redirect(c, "/connections", "allowed")
}

func (s *site) postDisconnect(c echo.Context, by identity.Principal) error {
	if !s.Connections.Any() {
		return errNoConnections
	}
	problem, err := s.Connections.Disconnect(context.WithoutCancel(c.Request().Context()), by, c.Param("server"))
	switch {
	case err != nil:
		return s.notConnected(c, by, err)
	case problem != nil:
		return redirect(c, "/connections", "dropped")
	}
	return redirect(c, "/connections", "disconnected")
}
