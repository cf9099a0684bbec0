package web

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/labstack/echo/v4"

	"remit/audit"
	"remit/identity"
	"remit/internal/invalid"
	"remit/web/api"
)

const maxAPIEntries = 1000

// apiAudit answers at the address that the record had before there was a version in it.
func (s *site) apiAudit(c echo.Context, by identity.Principal) error {
	r, err := s.readRecord(c, by)
	if name := invalid.Field(err); name != "" {
		return c.JSON(http.StatusUnprocessableEntity, map[string]string{"error": err.Error()})
	}
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, r)
}

// readRecord takes the filters of the page, before and limit. A parameter that it does not know is refused: one that was left
// out silently would show entries that were not asked for as if they fitted.
func (s *site) readRecord(c echo.Context, by identity.Principal) (api.Record, error) {
	if err := s.knownParams(c, slices.Concat(auditFields, auditMore, []string{"before", "limit"})); err != nil {
		return api.Record{}, err
	}
	p := s.auditPage(c, by)
	if p.Problem != "" {
		return api.Record{}, badParam(p.about, "%s", p.Problem)
	}
	if text := c.QueryParam("before"); text != "" && p.Query.Before < 1 {
		return api.Record{}, badParam("before", "before is %q: give the number of an entry", text)
	}
	if text := c.QueryParam("limit"); text != "" {
		var err error
		if p.Query.Limit, err = strconv.Atoi(text); err != nil || p.Query.Limit < 1 || p.Query.Limit > maxAPIEntries {
			return api.Record{}, badParam("limit", "limit is %q: give a number from 1 to %d", text, maxAPIEntries)
		}
	}
	if d := p.Query.Decision; d != "" && !slices.Contains(p.Decisions, d) {
		return api.Record{}, badParam("decision", "decision is %q: it is one of %v", d, p.Decisions)
	}
	entries, err := s.entries(c.Request().Context(), by, p.Query)
	if err != nil {
		return api.Record{}, err
	}
	r := api.Record{Entries: append([]audit.Entry{}, entries...)}
	if len(entries) == p.Query.Limit {
		r.Older = c.Request().URL.Path + "?" + older(c, entries).Encode()
	}
	return r, nil
}

// paramError is what is wrong with a parameter of the address.
type paramError string

func (e paramError) Error() string { return string(e) }

func badParam(name, format string, args ...any) error {
	return invalid.At(name, paramError(fmt.Sprintf(format, args...)))
}

// knownParams refuses parameters that nobody knows, and ones that are given twice.
func (s *site) knownParams(c echo.Context, names []string) error {
	for name, values := range c.QueryParams() {
		if !slices.Contains(names, name) {
			return badParam(name, "there is no parameter %q", name)
		}
		if len(values) > 1 {
			return badParam(name, "%s is given more than once", name)
		}
	}
	return nil
}
