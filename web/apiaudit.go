package web

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/labstack/echo/v4"

	"remit/audit"
	"remit/identity"
)

// apiRecord is one page of the record: sealed entries as they are, newest first.
type apiRecord struct {
	Entries []audit.Entry `json:"entries"`
	Older   string        `json:"older,omitempty"` // address of the next page; empty at the end
}

const maxAPIEntries = 1000

// apiAudit takes the filters of the page, before and limit. A parameter that it does not know is refused: one that was left out
// silently would show entries that were not asked for as if they fitted.
func (s *site) apiAudit(c echo.Context, by identity.Principal) error {
	refuse := func(format string, args ...any) error {
		return c.JSON(http.StatusUnprocessableEntity, map[string]string{"error": fmt.Sprintf(format, args...)})
	}
	for name, values := range c.QueryParams() {
		if !slices.Contains(slices.Concat(auditFields, auditMore, []string{"before", "limit"}), name) {
			return refuse("there is no parameter %q", name)
		}
		if len(values) > 1 {
			return refuse("%s is given more than once", name)
		}
	}
	p := s.auditPage(c, by)
	if p.Problem != "" {
		return refuse("%s", p.Problem)
	}
	if text := c.QueryParam("before"); text != "" && p.Query.Before < 1 {
		return refuse("before is %q: give the number of an entry", text)
	}
	if text := c.QueryParam("limit"); text != "" {
		var err error
		if p.Query.Limit, err = strconv.Atoi(text); err != nil || p.Query.Limit < 1 || p.Query.Limit > maxAPIEntries {
			return refuse("limit is %q: give a number from 1 to %d", text, maxAPIEntries)
		}
	}
	if d := p.Query.Decision; d != "" && !slices.Contains(p.Decisions, d) {
		return refuse("decision is %q: it is one of %v", d, p.Decisions)
	}
	entries, err := s.Audit.Entries(c.Request().Context(), p.Query)
	if err != nil {
		return err
	}
	r := apiRecord{Entries: append([]audit.Entry{}, entries...)}
	if len(entries) == p.Query.Limit {
		r.Older = "/api/audit?" + older(c, entries).Encode()
	}
	return c.JSON(http.StatusOK, r)
}
