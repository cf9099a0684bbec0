package web

import (
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"remit/catalog"
	"remit/identity"
	"remit/internal/visible"
	"remit/persona"
)

type toolPage struct {
	frame
	Tool                card
	FirstSeen, LastSeen time.Time
	Switch, Server      killSwitch
	Frozen              []frozenPin // of live revisions
	Confirm             *frozenPin  // one of them that is what was approved; nil for none
}

var errNoTool = errors.New("no upstream offers that tool now")

func (s *site) tool(c echo.Context, by identity.Principal) error {
	t, ok := s.Catalog.Tool(catalog.ID(c.QueryParam("id")))
	if !ok {
		return errNoTool
	}
	all, err := s.Registry.Store.Suspensions(c.Request().Context())
	if err != nil {
		return err
	}
	server, _ := t.ID.Split()
	page := toolPage{frame: s.frame(c, by, visible.Text(string(t.ID)), "catalog"), Tool: s.card(t.ID, t.Digest, t.Definition),
		FirstSeen: t.FirstSeen, LastSeen: t.LastSeen,
		Switch: newKillSwitch(all, by, persona.OneTool, string(t.ID)), Server: newKillSwitch(all, by, persona.OneServer, server)}
	pins, err := s.frozen(c.Request().Context(), by, "")
	if err != nil {
		return err
	}
	for _, p := range pins {
		if p.Tool != t.ID {
			continue
		}
		if page.Frozen = append(page.Frozen, p); p.Confirmable() && p.Digest == t.Digest {
			page.Confirm = &p
		}
	}
	return s.render(c, http.StatusOK, "tool", page)
}
