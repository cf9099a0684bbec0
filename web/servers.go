package web

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"remit/catalog/crawl"
	"remit/identity"
	"remit/upstream"
)

type serversPage struct {
	frame
	Rows   []serverRow
	Unwell int
}

type serverRow struct {
	crawl.ServerStatus
	State  string
	Unwell bool
}

func (s *site) servers(c echo.Context, by identity.Principal) error {
	page := serversPage{frame: s.frame(c, by, "Servers", "servers"), Rows: s.serverRows()}
	for _, row := range page.Rows {
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
