package web_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"remit/approval"
	"remit/audit"
	"remit/catalog"
	"remit/identity"
	"remit/persona"
	"remit/web"
)

var update = flag.Bool("update", false, "write testdata/roles.txt anew, to be read before it is kept")

const matrixHead = `# Every route of the site against every role, as the running server answers. A role comes alone, to a person who has no other.
# "-" is a request without a session: sign-in is the way to the sign-in page, 401 its form that comes too late. 403 refuses.
# 2xx and 303 are done. 404 and 409 are somebody admitted who asks for what there is not: an evaluation, a shadow.
# go test ./web -run TestRoles -update writes this file anew.
`

// TestRoles calls every route with every role, on something of its own each time, so that what is allowed happens.
func TestRoles(t *testing.T) {
	e := newElsewhere(t, create, nil)
	m := &matrix{elsewhere: e, t: t}
	m.must(e.directory.AddPerson(t.Context(), identity.Operator(), "maker", []identity.Role{identity.Author}, ""))
	m.must(e.directory.AddPerson(t.Context(), identity.Operator(), "checker", []identity.Role{identity.Reviewer}, ""))
	columns := []string{"-", "none"}
	m.must(e.directory.AddPerson(t.Context(), identity.Operator(), "with-none", nil, ""))
	for _, role := range identity.Roles {
		columns = append(columns, string(role))
		m.must(e.directory.AddPerson(t.Context(), identity.Operator(), "with-"+string(role), []identity.Role{role}, ""))
	}
	m.golden("roles.txt", matrixHead, columns, func(method, path, column string) string {
		if column == "-" {
			return m.cell(method, path, "")
		}
		return m.cell(method, path, "with-"+column)
	}, web.Routes())
}

const teamsHead = `# Every route of the site that is about one persona, as the running server answers, where the team blue owns the persona: to a
# member of blue / to somebody of another team, for each role alone. 404 is what a persona that does not exist answers.
# To suspend asks for no team: every reviewer and admin may stop a persona, and those of its team let it go on.
# go test ./web -run TestTeams -update writes this file anew.
`

// TestTeams calls every route about a persona with every role, from within the team that owns it and from another.
func TestTeams(t *testing.T) {
	e := newElsewhere(t, create, nil)
	m := &matrix{elsewhere: e, t: t, team: "blue"}
	m.must(e.directory.AddPerson(t.Context(), identity.Operator(), "maker", []identity.Role{identity.Author}, ""))
	m.must(e.directory.AddPerson(t.Context(), identity.Operator(), "checker", []identity.Role{identity.Reviewer}, ""))
	columns := []string{"none"}
	for _, role := range append([]identity.Role{"none"}, identity.Roles...) {
		roles := []identity.Role{role}
		if role == "none" {
			roles = nil
		} else {
			columns = append(columns, string(role))
		}
		for _, team := range []string{"blue", "green"} {
			name := team + "-" + string(role)
			m.must(e.directory.AddPerson(t.Context(), identity.Operator(), name, roles, ""))
			m.must(e.directory.SetTeams(t.Context(), identity.Operator(), name, []string{team}))
		}
	}
	routes := slices.DeleteFunc(web.Routes(), func(r [2]string) bool {
		return !strings.HasPrefix(r[1], "/personas/:id") && !strings.HasPrefix(r[1], "/approvals/:id") && !slices.Contains([]string{"/new", "/suspend", "/resume"}, r[1])
	})
	m.golden("roles-teams.txt", teamsHead, columns, func(method, path, column string) string {
		return m.cell(method, path, "blue-"+column) + "/" + m.cell(method, path, "green-"+column)
	}, routes)
}

// golden compares what each route answers to each column with the file.
func (m *matrix) golden(name, head string, columns []string, cell func(method, path, column string) string, routes [][2]string) {
	t := m.t
	t.Helper()
	var b strings.Builder
	b.WriteString(head + "\n" + row("", columns))
	for _, route := range routes {
		var cells []string
		for _, column := range columns {
			cells = append(cells, cell(route[0], route[1], column))
		}
		b.WriteString(row(fmt.Sprintf("%-4s %s", route[0], route[1]), cells))
	}
	file := filepath.Join("testdata", name)
	if *update {
		m.must(os.MkdirAll("testdata", 0o755))
		m.must(os.WriteFile(file, []byte(b.String()), 0o644))
	}
	want, err := os.ReadFile(file)
	m.must(err)
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("who may do what has changed (-want +got); if that is meant, run with -update:\n%s", diff)
	}
}

func row(name string, cells []string) string {
	line := fmt.Sprintf("%-36s", name)
	for _, cell := range cells {
		line += fmt.Sprintf(" %-9s", cell)
	}
	return strings.TrimRight(line, " ") + "\n"
}

type matrix struct {
	*elsewhere
	t    *testing.T
	team string // that owns each persona
	made int    // personas, people
}

func (m *matrix) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

// cell is the answer to one request of the person; of nobody without a name.
func (m *matrix) cell(method, path, person string) string {
	m.t.Helper()
	m.later(identity.FlowMax) // what is limited by time is not what this is about
	to, form := m.request(method, path)
	req, err := http.NewRequestWithContext(m.t.Context(), method, m.URL+to, strings.NewReader(form.Encode()))
	m.must(err)
	if method == "POST" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if person != "" {
		link, err := m.directory.NewLink(m.t.Context(), identity.Operator(), person)
		m.must(err)
		token, err := m.directory.SignInByLink(m.t.Context(), link)
		m.must(err)
		req.AddCookie(&http.Cookie{Name: "remit_session", Value: token})
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	m.must(err)
	defer res.Body.Close()
	if to := res.Header.Get("Location"); to == "/sign-in" || strings.HasPrefix(to, "/sign-in?next=") {
		return "sign-in"
	}
	if res.StatusCode >= 500 {
		m.t.Errorf("%s %s as %s: got %s", method, path, person, res.Status)
	}
	return fmt.Sprint(res.StatusCode)
}

// request fills the path in and adds a form with which the route does what it is for.
func (m *matrix) request(method, path string) (string, url.Values) {
	m.made++
	id, name := fmt.Sprintf("p%d", m.made), fmt.Sprintf("n%d", m.made)
	form := url.Values{}
	switch path {
	case "/static/:name":
		return "/static/style.css", nil
	case "/tool":
		return "/tool?id=crm/get_customer", nil
	case "/api/tools":
		return "/api/tools?q=customer", nil
	case "/personas/:id/diff":
		path += "?from=1&to=1"
	case "/new":
		form = url.Values{"title": {id}, "id": {id}, "job": {job}, "team": {m.team}}
	case "/servers/:name/crawl":
		return "/servers/crm/crawl", nil
	case "/people":
		form = url.Values{"name": {name}}
	case "/suspend", "/resume":
		form = url.Values{"kind": {"persona"}, "name": {id}, "reason": {"a test"}}
	case "/account/password":
		form = url.Values{"password": {password}, "again": {password}, "current": {password}}
	case "/personas/:id/comments":
		form = url.Values{"revision": {"1"}, "tool": {"crm/get_customer"}, "text": {"why?"}}
	case "/personas/:id/keys/:key/rotate":
		form = url.Values{"overlap": {"1h"}}
	case "/account/tokens":
		form = url.Values{"name": {name}, "role": {"viewer"}, "expires": {"7"}}
	case "/account/sessions/end":
		form = url.Values{"others": {"yes"}}
	}
	if strings.Contains(path, ":id") && strings.HasPrefix(path, "/personas/") || path == "/suspend" || path == "/resume" {
		form = m.persona(persona.ID(id), method, path, form)
	}
	if path == "/resume" {
		m.must(m.registry.Suspend(m.t.Context(), identity.Operator(), persona.Target{Kind: persona.OnePersona, Name: id}, "a test"))
	}
	if strings.HasPrefix(path, "/people/") {
		m.must(m.directory.AddPerson(m.t.Context(), identity.Operator(), name, nil, ""))
		form = url.Values{"role": {"author"}, "disabled": {"true"}, "teams": {"red, blue"}}
	}
	if strings.HasPrefix(path, "/approvals/:id") {
		m.persona(persona.ID(id), method, path, nil)
		asked, _, err := m.desk.Ask(m.t.Context(), approval.Binding{Key: id, Agent: "bot", User: "zoe", Persona: id, Revision: 1, Tool: "crm/get_customer", Arguments: audit.Digest([]byte("{}"))}, []byte("{}"), 5)
		m.must(err)
		id, form = asked.ID, url.Values{"seen": {asked.Arguments}}
	}
	key := "none"
	if strings.Contains(path, ":key") {
		_, k, err := m.directory.IssueKey(m.t.Context(), identity.Operator(), identity.KeySpec{Agent: "bot", User: "zoe", Persona: id})
		m.must(err)
		key = k.ID
	}
	return strings.NewReplacer(":id", id, ":key", key, ":name", name, ":token", "none").Replace(path), form
}

// persona makes one in the state that the route needs, and returns the route's form.
func (m *matrix) persona(id persona.ID, method, path string, form url.Values) url.Values {
	m.t.Helper()
	ctx := m.t.Context()
	teams := []string{m.team}
	maker, checker := identity.Principal{Person: "maker", Roles: []identity.Role{identity.Author}, Teams: teams}, identity.Principal{Person: "checker", Roles: []identity.Role{identity.Reviewer}, Teams: teams}
	var grants []persona.Grant
	for _, tool := range []catalog.ID{"crm/get_customer", "billing/list_invoices"} {
		grants = append(grants, persona.Grant{Pin: persona.Pin{Tool: tool}})
	}
	m.must(m.registry.Create(ctx, maker, id, string(id), persona.Proposal{Job: job, Grants: grants, Team: m.team}))
	p, err := m.store.Persona(ctx, id)
	m.must(err)
	if method == "POST" && slices.Contains([]string{"/personas/:id", "/personas/:id/compose", "/personas/:id/refine", "/personas/:id/drafts"}, path) || path == "/personas/:id" {
		before, err := json.Marshal(map[string]any{"Job": job, "Earlier": []any{map[string]any{"Notes": map[string]any{"Job": job}, "Grants": grants[:1]}}})
		m.must(err)
		m.must(m.registry.Revise(ctx, maker, id, persona.Proposal{Job: job, Grants: grants, Notes: before}))
		p, err := m.store.Persona(ctx, id)
		m.must(err)
		return url.Values{"base": {web.Base(p.Latest())}, "job": {job}, "change": {"also let it list channels"}, "take": {"1"}}
	}
	m.must(m.registry.Submit(ctx, maker, id, 1))
	seen := p.Latest().Digests()
	if path == "/personas/:id/comments" {
		return form
	}
	if path == "/personas/:id/approve" || path == "/personas/:id/send-back" {
		form = url.Values{"revision": {"1"}}
		for tool, digest := range seen {
			form.Add("seen", string(digest)+" "+string(tool))
		}
		return form
	}
	m.must(m.registry.Approve(ctx, checker, id, 1, seen))
	if path == "/personas/:id/rollback" { // to the first, from a second
		m.must(m.registry.Revise(ctx, maker, id, persona.Proposal{Job: job, Grants: grants[:1]}))
		m.must(m.registry.Submit(ctx, maker, id, 2))
		p, err := m.store.Persona(ctx, id)
		m.must(err)
		m.must(m.registry.Approve(ctx, checker, id, 2, p.Latest().Digests()))
		return url.Values{"revision": {"1"}}
	}
	if path == "/personas/:id/team" {
		return url.Values{"team": {"red"}}
	}
	if path == "/personas/:id/users" {
		return url.Values{"was": {"{}"}, "groups": {"support"}}
	}
	if method == "POST" && slices.Contains([]string{"/personas/:id/keys", "/personas/:id/narrow"}, path) {
		return url.Values{"agent": {"bot"}, "user": {"zoe"}, "expires": {"7"}, "remove": {"billing/list_invoices"}}
	}
	return form
}
