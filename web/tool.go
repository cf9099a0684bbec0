package web

import (
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"remit/catalog"
	"remit/identity"
	"remit/internal/visible"
)

type toolPage struct {
	frame
	Tool                card
	FirstSeen, LastSeen time.Time
}

var errNoTool = errors.New("no upstream offers that tool now")

func (s *site) tool(c echo.Context, by identity.Principal) error {
	t, ok := s.Catalog.Tool(catalog.ID(c.QueryParam("id")))
	if !ok {
		return errNoTool
	}
	page := toolPage{frame: s.frame(c, by, visible.Text(string(t.ID)), "catalog"), Tool: s.card(t.ID, t.Digest, t.Definition),
		FirstSeen: t.FirstSeen, LastSeen: t.LastSeen}
	return s.render(c, http.StatusOK, "tool", page)
}
