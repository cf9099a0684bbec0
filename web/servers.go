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
	Frozen []persona.FrozenPin // of its tools, one each
}

func (s *site) servers(c echo.Context, by identity.Principal) error {
	all, err := s.Registry.Store.Suspensions(c.Request().Context())
	if err != nil {
		return err
	}
	page := serversPage{frame: s.frame(c, by, "Servers", "servers"), Rows: s.serverRows()}
	for _, v := range all {
		page.Suspended = append(page.Suspended, newKillSwitch(all, by, v.Kind, v.Name))
	}
	pins, err := s.frozen(c.Request().Context(), by, "")
	if err != nil {
		return err
	}
	for i, row := range page.Rows {
		page.Rows[i].Frozen = ofServer(pins, row.Server)
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

// ofServer is the frozen pins of a server's tools, the first of each tool.
func ofServer(pins []frozenPin, server string) (out []persona.FrozenPin) {
	for _, p := range pins {
		if of, _ := p.Tool.Split(); of == server && (len(out) == 0 || out[len(out)-1].Tool != p.Tool) {
			out = append(out, p.FrozenPin)
		}
	}
	return out
}
