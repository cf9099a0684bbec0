package web

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

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
	Problem   string     // with a filter; nothing is shown then
	about     string     // which filter
	Since     string     // as typed
	Until     string     // as typed
	More      []labelled // filters that have no field of their own but are in force
}

type labelled struct{ Name, Value string }

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

// auditFields are the filters with a field on the page; auditMore those that only an address gives.
var (
	auditFields = []string{"persona", "agent", "user", "person", "tool", "kind", "decision", "policy", "since", "until"}
	auditMore   = []string{"server", "key", "client", "trace", "revision", "shadow", "shadow_decision", "shadow_policy"}
)

func (s *site) auditPage(c echo.Context, by identity.Principal) auditPage {
	before, _ := strconv.ParseInt(c.QueryParam("before"), 10, 64) // what is no number starts at the newest
	get := func(name string) string { return strings.TrimSpace(c.QueryParam(name)) }
	p := auditPage{frame: s.frame(c, by, "Audit", "audit"), Since: get("since"), Until: get("until"),
		Query: audit.Query{Persona: get("persona"), Agent: get("agent"), User: get("user"), Person: get("person"), Tool: get("tool"),
			Server: get("server"), Key: get("key"), Policy: get("policy"), Client: get("client"), Trace: get("trace"),
			Kind: get("kind"), Decision: audit.Decision(get("decision")), ShadowDecision: audit.Decision(get("shadow_decision")), ShadowPolicy: get("shadow_policy"), Before: before, Limit: entriesPerPage},
		Decisions: []audit.Decision{audit.Allowed, audit.Refused, audit.Failed, audit.Unknown, audit.Changed}}
	for _, name := range auditMore {
		if value := get(name); value != "" {
			p.More = append(p.More, labelled{name, value})
		}
	}
	p.Problem = p.bounds(get("revision"), get("shadow"))
	return p
}

// bounds reads the filters that are no plain text, and says what is wrong with one. A filter is never left out silently.
func (p *auditPage) bounds(revision, shadow string) string {
	var err error
	now := time.Now()
	p.about = "since"
	if p.Query.Since, err = audit.ParseTime(p.Since, now); err != nil {
		return err.Error()
	}
	p.about = "until"
	if p.Query.Until, err = audit.ParseTime(p.Until, now); err != nil {
		return err.Error()
	}
	for _, number := range []struct {
		name, text string
		at         *int
	}{{"revision", revision, &p.Query.Revision}, {"shadow", shadow, &p.Query.Shadow}} {
		p.about = number.name
		if number.text == "" {
			continue
		}
		if *number.at, err = strconv.Atoi(number.text); err != nil || *number.at < 1 {
			return strconv.Quote(number.text) + " is no revision: give its number, from 1 on"
		}
	}
	return ""
}

func (s *site) renderAudit(c echo.Context, page auditPage) error {
	if page.Problem != "" {
		return s.render(c, http.StatusUnprocessableEntity, "audit", page)
	}
	entries, err := s.entries(c.Request().Context(), page.By, page.Query)
	if err != nil {
		return err
	}
	for _, e := range entries {
		page.Entries = append(page.Entries, row(e))
	}
	if len(entries) == entriesPerPage {
		page.Older = "/audit?" + older(c, entries).Encode()
	}
	return s.render(c, http.StatusOK, "audit", page)
}

// entries are those of the record that by may read: what happened with the personas of other teams is for auditors and admins.
func (s *site) entries(ctx context.Context, by identity.Principal, q audit.Query) (found []audit.Entry, err error) {
	if q.Without, err = s.Registry.Hidden(ctx, by); err != nil {
		return nil, err
	}
	return s.Audit.Entries(ctx, q)
}

// older is the query of the page that follows a full one.
func older(c echo.Context, entries []audit.Entry) url.Values {
	q := url.Values{"before": {strconv.FormatInt(entries[len(entries)-1].Seq, 10)}}
	for _, name := range slices.Concat(auditFields, auditMore, []string{"limit"}) {
		if value := strings.TrimSpace(c.QueryParam(name)); value != "" {
			q.Set(name, value)
		}
	}
	return q
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
		if key == "note" { // a signature is for programs to check
			parts = append(parts, "signed")
			continue
		}
		parts = append(parts, key+"="+e.Detail[key])
	}
	if e.Client != "" {
		parts = append(parts, "client="+strings.TrimSpace(e.Client+" "+e.ClientVersion))
	}
	if e.Trace != "" {
		parts = append(parts, "trace="+e.Trace)
	}
	r.Detail = strings.Join(parts, ", ")
	if e.Micros > 0 {
		r.Took = fmt.Sprintf("%.1f ms", float64(e.Micros)/1000)
	}
	if e.UpstreamMicros > 0 {
		r.Took += fmt.Sprintf(", %.1f of it the server's", float64(e.UpstreamMicros)/1000)
	}
	return r
}
