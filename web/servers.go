package web

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"remit/catalog/crawl"
	"remit/identity"
	"remit/persona"
	"remit/upstream"
)

type serversPage struct {
	frame
	Rows   []serverRow
	Unwell int
	// Suspended is everything that is, of whatever kind, also what no server offers now and so has no page of its own.
	Suspended []killSwitch
}

type serverRow struct {
	crawl.ServerStatus
	State  string
	Unwell bool
	Switch killSwitch
}

func (s *site) servers(c echo.Context, by identity.Principal) error {
	all, err := s.Personas.Suspensions(c.Request().Context())
	if err != nil {
		return err
	}
	page := serversPage{frame: s.frame(c, by, "Servers", "servers"), Rows: s.serverRows()}
	for _, v := range all {
		page.Suspended = append(page.Suspended, newKillSwitch(all, by, v.Kind, v.Name))
	}
	for i, row := range page.Rows {
		page.Rows[i].Switch = newKillSwitch(all, by, persona.OneServer, row.Server)
		if row.Unwell {
			page.Unwell++
		}
	}
	return s.render(c, http.StatusOK, "servers", page)
}

func (s *site) serverRows() []serverRow {
	var rows []serverRow
	for _, st := range s.Servers() {
		rows = append(rows, serverRow{ServerStatus: st, State: st.Health.State.String(),
			Unwell: st.Health.State == upstream.Unwell || st.Err != ""})
	}
	return rows
}
