package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

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
	May    bool // have a server listed now
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
	page := serversPage{frame: s.frame(c, by, "Servers", "servers"), Rows: s.serverRows(), May: by.Has(identity.Reviewer) || by.Has(identity.Admin)}
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

// errNoServer: no server of that name is configured.
var errNoServer = errors.New("there is no server of that name")

// crawl lists a server's tools now, instead of when it is due. How that went is in its status. It is for those who look after what is
// frozen and suspended.
func (s *site) crawl(ctx context.Context, by identity.Principal, server string) error {
	if !by.Has(identity.Reviewer) && !by.Has(identity.Admin) {
		return fmt.Errorf("%w: to list a server's tools anew needs the role %s or %s", identity.ErrForbidden, identity.Reviewer, identity.Admin)
	}
	if s.Crawl == nil || !slices.ContainsFunc(s.Servers(), func(st crawl.ServerStatus) bool { return st.Server == server }) {
		return errNoServer
	}
	return s.Crawl(ctx, server)
}

func (s *site) postCrawl(c echo.Context, by identity.Principal) error {
	if err := s.crawl(c.Request().Context(), by, c.Param("name")); err != nil {
		return err
	}
	return redirect(c, "/servers", "crawled")
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
