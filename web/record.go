package web

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"remit/audit"
	"remit/identity"
)

type auditPage struct {
	frame
	Query     audit.Query
	Decisions []audit.Decision
	Entries   []entryRow
	Older     string // address of the next page; empty at the end
	Verified  *audit.Head
	Broken    string
}

type entryRow struct {
	audit.Entry
	Who    string
	Detail string
	Took   string
}

const entriesPerPage = 100

func (s *site) audit(c echo.Context, by identity.Principal) error {
	return s.renderAudit(c, s.auditPage(c, by))
}

// postVerify walks the whole chain; it is a POST because it costs, not because it changes anything.
func (s *site) postVerify(c echo.Context, by identity.Principal) error {
	page := s.auditPage(c, by)
	head, err := s.Audit.Verify(c.Request().Context())
	if err != nil {
		if c.Request().Context().Err() != nil {
			return err
		}
		page.Broken = err.Error()
	} else {
		page.Verified = &head
	}
	return s.renderAudit(c, page)
}

func (s *site) auditPage(c echo.Context, by identity.Principal) auditPage {
	before, _ := strconv.ParseInt(c.QueryParam("before"), 10, 64) // what is no number starts at the newest
	get := func(name string) string { return strings.TrimSpace(c.QueryParam(name)) }
	return auditPage{frame: s.frame(c, by, "Audit", "audit"),
		Query: audit.Query{Persona: get("persona"), Agent: get("agent"), User: get("user"), Person: get("person"), Tool: get("tool"),
			Kind: get("kind"), Decision: audit.Decision(get("decision")), Before: before, Limit: entriesPerPage},
		Decisions: []audit.Decision{audit.Allowed, audit.Refused, audit.Failed, audit.Unknown, audit.Changed}}
}

func (s *site) renderAudit(c echo.Context, page auditPage) error {
	entries, err := s.Audit.Entries(c.Request().Context(), page.Query)
	if err != nil {
		return err
	}
	for _, e := range entries {
		page.Entries = append(page.Entries, row(e))
	}
	if len(entries) == entriesPerPage {
		q := url.Values{"before": {strconv.FormatInt(entries[len(entries)-1].Seq, 10)}}
		for name, value := range map[string]string{"persona": page.Query.Persona, "agent": page.Query.Agent, "user": page.Query.User,
			"person": page.Query.Person, "tool": page.Query.Tool, "kind": page.Query.Kind, "decision": string(page.Query.Decision)} {
			if value != "" {
				q.Set(name, value)
			}
		}
		page.Older = "/audit?" + q.Encode()
	}
	return s.render(c, http.StatusOK, "audit", page)
}

func row(e audit.Entry) entryRow {
	r := entryRow{Entry: e, Who: "Remit"}
	var parts []string
	agent := e.Agent
	if e.User != "" {
		agent += " for " + e.User
	}
	switch {
	case e.Person != "": // and the agent, where there is one, is whom the change is about
		r.Who = e.Person
		if agent != "" {
			parts = append(parts, "key of "+agent)
		}
	case agent != "":
		r.Who = agent
	}
	for _, key := range slices.Sorted(maps.Keys(e.Detail)) {
		parts = append(parts, key+"="+e.Detail[key])
	}
	r.Detail = strings.Join(parts, ", ")
	if e.Micros > 0 {
		r.Took = fmt.Sprintf("%.1f ms", float64(e.Micros)/1000)
	}
	return r
}
