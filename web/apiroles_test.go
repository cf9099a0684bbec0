package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"remit/approval"
	"remit/audit"
	"remit/catalog"
	"remit/catalog/crawl"
	"remit/composer"
	"remit/credential"
	"remit/identity"
	"remit/internal/fakeoauth"
	"remit/persona"
	"remit/web"
	"remit/web/api"
)

// apiWorld asks the API as somebody, and checks each answer against the OpenAPI document that the server hands out.
type apiWorld struct {
	*world
	t        *testing.T
	document map[string]any
	compiler *jsonschema.Compiler
	seen     map[string]bool // operations of which an answer with 200 was checked
	made     int
	team     string // that owns each persona
	provider *fakeoauth.Provider
	own      *credential.Connections
	past     atomic.Int64 // minutes since the start, so that limits by time are not what a test is about
}

func (w *apiWorld) now() time.Time { return time.Now().Add(time.Duration(w.past.Load()) * time.Minute) }

func newAPIWorld(t *testing.T) *apiWorld {
	t.Helper()
	w := &apiWorld{world: newWorld(t, shop()), t: t, compiler: jsonschema.NewCompiler(), seen: map[string]bool{}}
	w.directory.Now = w.now
	w.provider = fakeoauth.Start()
	t.Cleanup(w.provider.Close)
	vault := &credential.Vault{Store: w.store, Keys: credential.KeySource{File: filepath.Join(t.TempDir(), "secret.key")}}
	var err error
	_, w.own, err = credential.New([]credential.Config{{Server: "crm", URL: "http://127.0.0.1:1/mcp", Grant: credential.AuthorizationCode, Issuer: w.provider.URL,
		ClientID: fakeoauth.ClientID, ClientSecret: fakeoauth.Secret, Scopes: []string{"read"}}},
		credential.Deps{Vault: vault, People: w.store, Keys: w.store, Record: w.store, Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	w.must(err)
	w.desk.Now = w.now
	crawled := []crawl.ServerStatus{{Server: "crm", Tools: 2}}
	site, err := web.New(web.Config{Registry: w.registry, Directory: w.directory, Catalog: w.catalog, Composer: composer.New(composer.Config{Finder: w.catalog}),
		Audit: w.store, Evals: w.store, Usage: w.store, Shadows: w.store, Frozen: w.store, Approvals: w.desk, Connections: w.own,
		Servers: func() []crawl.ServerStatus { return crawled }, Crawl: func(context.Context, string) error { crawled[0].LastCrawl = w.now(); return nil }, Now: w.now, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	w.must(err)
	w.Config.Handler = site
	res, err := http.Get(w.URL + api.Base + "/openapi.json")
	w.must(err)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	w.must(err)
	loaded, err := openapi3.NewLoader().LoadFromData(raw)
	w.must(err)
	w.must(loaded.Validate(t.Context()))
	w.must(json.Unmarshal(raw, &w.document))
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	w.must(err)
	w.must(w.compiler.AddResource("openapi.json", parsed))
	w.compiler.AssertFormat()
	return w
}

func (w *apiWorld) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// session is what a person sends.
func (w *apiWorld) session(name string) string {
	w.t.Helper()
	link, err := w.directory.NewLink(w.t.Context(), identity.Operator(), name)
	w.must(err)
	token, err := w.directory.SignInByLink(w.t.Context(), link)
	w.must(err)
	return token
}

// token is a management token that the creator made.
func (w *apiWorld) token(creator identity.Principal, name string, roles ...identity.Role) string {
	w.t.Helper()
	secret, _, err := w.directory.IssueToken(w.t.Context(), creator, identity.TokenSpec{Name: name, Roles: roles, Expires: w.now().Add(300 * time.Hour)})
	w.must(err)
	return secret
}

// ask sends a request and returns the status and the answer. route is the path with its parameters' names.
func (w *apiWorld) ask(bearer, method, route, path string, body any) (int, string) {
	w.t.Helper()
	var content io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		w.must(err)
		content = bytes.NewReader(raw)
	}
	req, err := http.NewRequest(method, w.URL+api.Base+path, content)
	w.must(err)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	w.must(err)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	w.must(err)
	w.conforms(method, route, res, raw)
	return res.StatusCode, string(raw)
}

// conforms checks an answer against the document.
func (w *apiWorld) conforms(method, route string, res *http.Response, raw []byte) {
	w.t.Helper()
	at, kind := "200", "application/json"
	if res.StatusCode != http.StatusOK {
		at, kind = "default", "application/problem+json"
	}
	if got := res.Header.Get("Content-Type"); got != kind {
		w.t.Errorf("%s %s: got %s for %d, want %s", method, route, got, res.StatusCode, kind)
	}
	escape := strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace
	pointer := "openapi.json#/paths/" + escape(api.Base+braced(route)) + "/" + strings.ToLower(method) + "/responses/" + at + "/content/" + escape(kind) + "/schema"
	schema, err := w.compiler.Compile(pointer)
	w.must(err)
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	w.must(err)
	if err := schema.Validate(value); err != nil {
		w.t.Errorf("%s %s: the answer is not as the document says: %v\n%s", method, route, err, raw)
	}
	if at == "200" {
		w.seen[method+" "+route] = true
	}
}

// braced is a route as OpenAPI writes it.
func braced(route string) string {
	parts := strings.Split(route, "/")
	for i, p := range parts {
		if name, ok := strings.CutPrefix(p, ":"); ok {
			parts[i] = "{" + name + "}"
		}
	}
	return strings.Join(parts, "/")
}

// persona makes one that is a draft, submitted, live, or live with an earlier revision.
func (w *apiWorld) persona(stage string) string {
	w.t.Helper()
	w.made++
	id, ctx := persona.ID(fmt.Sprintf("p%d", w.made)), w.t.Context()
	teams := []string{w.team}
	maker, checker := identity.Principal{Person: "maker", Roles: []identity.Role{identity.Author}, Teams: teams}, identity.Principal{Person: "checker", Roles: []identity.Role{identity.Reviewer}, Teams: teams}
	grants := []persona.Grant{{Pin: persona.Pin{Tool: "crm/get_customer"}}, {Pin: persona.Pin{Tool: "billing/list_invoices"}}}
	w.must(w.registry.Create(ctx, maker, id, string(id), persona.Proposal{Job: job, Grants: grants, Team: w.team}))
	for number := 1; stage != "draft" && number <= 2; number++ {
		w.must(w.registry.Submit(ctx, maker, id, number))
		if stage == "submitted" {
			break
		}
		w.must(w.registry.Approve(ctx, checker, id, number, w.digests(id)))
		if stage != "two" || number == 2 {
			break
		}
		w.must(w.registry.Revise(ctx, maker, id, persona.Proposal{Job: job, Grants: grants[:1]}))
	}
	return string(id)
}

// connect gives somebody an account at the server crm.
func (w *apiWorld) connect(name string) {
	w.t.Helper()
	by := identity.Principal{Person: name}
	leave, err := w.own.Begin(w.t.Context(), by, "browser", "crm", w.URL+"/connections/crm/callback", nil)
	w.must(err)
	w.must(w.own.Finish(w.t.Context(), by, "browser", "crm", comesBack(w.t, leave.URL).Query()))
}

// waiting is a call that waits for a person.
func (w *apiWorld) waiting() approval.Request {
	w.t.Helper()
	id := w.persona("live")
	r, _, err := w.desk.Ask(w.t.Context(), approval.Binding{Key: id, Agent: "bot", User: "zoe", Persona: id, Revision: 1, Tool: "crm/get_customer", Arguments: audit.Digest([]byte("{}"))}, []byte("{}"), 5)
	w.must(err)
	return r
}

// digests are what the latest revision pins.
func (w *apiWorld) digests(id persona.ID) persona.Digests {
	w.t.Helper()
	p, err := w.store.Persona(w.t.Context(), id)
	w.must(err)
	return p.Latest().Digests()
}

// request is the path and the body with which a route does what it is for, on something of its own.
func (w *apiWorld) request(method, route string, own identity.Role) (path string, body any) {
	w.t.Helper()
	ctx, name := w.t.Context(), fmt.Sprintf("n%d", w.made)
	w.made++
	wants := []api.Want{{Tool: "crm/get_customer"}}
	on := func(stage string) string { return strings.Replace(route, ":id", w.persona(stage), 1) }
	switch method + " " + route {
	case "POST /session":
		return route, api.SignIn{Name: "vic", Password: password}
	case "POST /personas":
		return route, api.Create{Title: name, ID: persona.ID(name), Team: w.team, Job: job, Tools: wants}
	case "POST /personas/:id/draft":
		return on("draft"), api.Revise{Job: job, Tools: wants}
	case "POST /personas/:id/plan":
		path := on("draft")
		return path, api.Plan{Title: strings.Split(path, "/")[2], Job: job, Tools: wants}
	case "POST /personas/:id/submit":
		return on("draft"), api.Number{Revision: 1}
	case "POST /personas/:id/approve":
		path := on("submitted")
		return path, api.Approve{Revision: 1, Seen: w.digests(persona.ID(strings.Split(path, "/")[2]))}
	case "POST /personas/:id/send-back":
		return on("submitted"), api.SendBack{Revision: 1, Comment: "no"}
	case "POST /personas/:id/rollback":
		return on("two"), api.Number{Revision: 1}
	case "POST /personas/:id/team":
		return on("live"), api.SetTeam{Team: "red"}
	case "POST /personas/:id/narrow":
		return on("live"), api.Narrow{Remove: []catalog.ID{"crm/get_customer"}}
	case "POST /personas/:id/term":
		return on("live"), api.Term{Revision: 1, Dates: api.Dates{Expires: time.Now().Add(time.Hour).UTC()}}
	case "POST /personas/:id/recertify":
		path := on("live")
		return path, api.Recertify{Revision: 1, Offered: w.digests(persona.ID(strings.Split(path, "/")[2]))}
	case "GET /personas/:id/diff":
		return on("two") + "?from=1&to=2", nil
	case "POST /personas/:id/shadow":
		return on("two"), api.Number{Revision: 1}
	case "GET /personas/:id/shadow", "DELETE /personas/:id/shadow":
		path := on("two")
		w.must(w.registry.StartShadow(ctx, identity.Operator(), persona.ID(strings.Split(path, "/")[2]), 1))
		return path, nil
	case "POST /keys":
		return route, api.NewKey{Persona: w.persona("live"), Agent: "bot", User: "zoe"}
	case "DELETE /keys/:id":
		_, k, err := w.directory.IssueKey(ctx, identity.Operator(), identity.KeySpec{Agent: "bot", User: "zoe", Persona: w.persona("live")})
		w.must(err)
		return "/keys/" + k.ID, nil
	case "POST /keys/:id/rotate":
		_, k, err := w.directory.IssueKey(ctx, identity.Operator(), identity.KeySpec{Agent: "bot", User: "zoe", Persona: w.persona("live")})
		w.must(err)
		return "/keys/" + k.ID + "/rotate", api.RotateKey{Overlap: "1h"}
	case "GET /approvals":
		return route, nil
	case "GET /approvals/:id":
		return "/approvals/" + w.waiting().ID, nil
	case "POST /approvals/:id/approve", "POST /approvals/:id/deny":
		r := w.waiting()
		return strings.Replace(route, ":id", r.ID, 1), api.Decide{Seen: r.Arguments}
	case "POST /servers/:name/crawl":
		return "/servers/crm/crawl", nil
	case "POST /connections/:server/allow":
		return "/connections/crm/allow", api.AllowKeys{Keys: []string{}}
	case "DELETE /connections/:server":
		return "/connections/crm", nil
	case "POST /tokens":
		return route, api.NewToken{Name: name, Roles: []identity.Role{own}, Expires: w.now().Add(time.Hour)}
	case "DELETE /tokens/:id":
		_, k, err := w.directory.IssueToken(ctx, identity.Operator(), identity.TokenSpec{Name: "other", Roles: []identity.Role{identity.Viewer}, Expires: w.now().Add(time.Hour)})
		w.must(err)
		return "/tokens/" + k.ID, nil
	case "POST /suspensions":
		return route, api.Suspend{Kind: persona.OnePersona, Name: w.persona("live"), Reason: "a test"}
	case "POST /suspensions/resume":
		id := w.persona("live")
		w.must(w.registry.Suspend(ctx, identity.Operator(), persona.Target{Kind: persona.OnePersona, Name: id}, "a test"))
		return route, api.Resume{Kind: persona.OnePersona, Name: id}
	case "POST /frozen/thaw":
		return route, api.Thaw{Tool: "crm/get_customer", Digest: "none"}
	case "GET /tools":
		return route + "?q=customer", nil
	case "GET /tool":
		return route + "?id=crm/get_customer", nil
	case "GET /reach":
		return route + "?tool=crm/get_customer", nil
	case "POST /people":
		return route, api.NewPerson{Name: name, Roles: []identity.Role{}}
	case "POST /people/:name/roles", "POST /people/:name/teams", "POST /people/:name/disable":
		w.must(w.directory.AddPerson(ctx, identity.Operator(), name, nil, ""))
		if strings.HasSuffix(route, "teams") {
			return "/people/" + name + "/teams", api.SetTeams{Teams: []string{"red"}}
		}
		if strings.HasSuffix(route, "roles") {
			return "/people/" + name + "/roles", api.SetRoles{Roles: []identity.Role{}}
		}
		return "/people/" + name + "/disable", api.Disable{Disabled: true}
	}
	return on("live"), nil
}

const apiMatrixHead = `# Every route of the management API against every role of a person (their session as the bearer), and of a management token
# ("t:") that an admin with all roles made. "-" sends no credential, "agent" an agent's access key. 401 is not known, 403 refuses,
# 409 is somebody admitted who asks for what there is not. Approving, confirming and prolonging are a person's alone: 403 below "t:".
# go test ./web -run TestAPIRoles -update writes this file anew.
`

// TestAPIRoles calls every route with every role; each answer is as the OpenAPI document says, and every route is in it.
func TestAPIRoles(t *testing.T) {
	w := newAPIWorld(t)
	type column struct{ name, bearer string }
	agent, _, err := w.directory.IssueKey(t.Context(), identity.Operator(), identity.KeySpec{Agent: "bot", User: "zoe", Persona: w.persona("live")})
	w.must(err)
	columns := []column{{"-", ""}, {"agent", agent}}
	for _, role := range append([]identity.Role{"none"}, identity.Roles...) {
		roles := []identity.Role{role}
		if role == "none" {
			roles = nil
		}
		w.must(w.directory.AddPerson(t.Context(), identity.Operator(), "with-"+string(role), roles, ""))
		columns = append(columns, column{string(role), ""})
	}
	boss := identity.Principal{Person: "boss", Roles: identity.Roles}
	w.must(w.directory.AddPerson(t.Context(), identity.Operator(), "boss", identity.Roles, ""))
	for _, c := range columns {
		if _, err := w.store.Person(t.Context(), "with-"+c.name); err == nil {
			w.connect("with-" + c.name)
		}
	}
	for _, role := range identity.TokenRoles {
		columns = append(columns, column{"t:" + string(role), w.token(boss, "ci-"+string(role), role)})
	}
	var names []string
	for _, c := range columns {
		names = append(names, c.name)
	}
	var b strings.Builder
	b.WriteString(apiMatrixHead + "\n" + apiRow("", names))
	for _, e := range web.Endpoints() {
		var cells []string
		for _, c := range columns {
			bearer := c.bearer
			if bearer == "" && c.name != "-" {
				bearer = w.session("with-" + c.name) // a new one: signing out is a route, too
			}
			w.past.Add(1)
			own := identity.Role(strings.TrimPrefix(c.name, "t:"))
			if !slices.Contains(identity.TokenRoles, own) {
				own = identity.Viewer // what nobody has here, or no token may have
			}
			path, body := w.request(e[0], e[1], own)
			status, answer := w.ask(bearer, e[0], e[1], path, body)
			if status >= 500 || status == http.StatusBadRequest || status == http.StatusUnprocessableEntity {
				t.Errorf("%s %s as %s: got %d %s", e[0], path, c.name, status, answer)
			}
			cells = append(cells, fmt.Sprint(status))
		}
		b.WriteString(apiRow(fmt.Sprintf("%-6s %s", e[0], e[1]), cells))
		if !w.seen[e[0]+" "+e[1]] && e[1] != "/frozen/thaw" {
			t.Errorf("%s %s never answered with 200: the document was not held against it", e[0], e[1])
		}
	}
	w.golden("api-roles.txt", b.String())
}

const apiTeamsHead = `# Every route of the API that is about one persona, or a key of one, where the team blue owns the persona: to a member of blue / to
# somebody of another team, for each role alone; "t:" are management tokens that a member of each team made. 404 is what a persona
# that does not exist answers. go test ./web -run TestAPITeams -update writes this file anew.
`

// TestAPITeams calls every route about a persona with every role, from within the team that owns it and from another.
func TestAPITeams(t *testing.T) {
	w := newAPIWorld(t)
	w.team = "blue"
	var names []string
	for _, role := range append([]identity.Role{"none"}, identity.Roles...) {
		names = append(names, string(role))
		for _, team := range []string{"blue", "green"} {
			roles := []identity.Role{role}
			if role == "none" {
				roles = nil
			}
			w.must(w.directory.AddPerson(t.Context(), identity.Operator(), team+"-"+string(role), roles, ""))
			w.must(w.directory.SetTeams(t.Context(), identity.Operator(), team+"-"+string(role), []string{team}))
		}
	}
	tokens := map[string]string{}
	for _, role := range identity.TokenRoles {
		names = append(names, "t:"+string(role))
		for _, team := range []string{"blue", "green"} {
			of := identity.Principal{Person: team + "-" + string(role), Roles: []identity.Role{role}, Teams: []string{team}}
			tokens[team+"-t:"+string(role)] = w.token(of, team+"-ci-"+string(role), role)
		}
	}
	var b strings.Builder
	b.WriteString(apiTeamsHead + "\n" + apiRow("", names))
	for _, e := range web.Endpoints() {
		if !strings.HasPrefix(e[1], "/personas") && !strings.HasPrefix(e[1], "/keys") && !strings.HasPrefix(e[1], "/approvals") && !strings.HasPrefix(e[1], "/suspensions/") && e[1] != "/suspensions" || e[0]+e[1] == "GET/suspensions" {
			continue
		}
		var cells []string
		for _, name := range names {
			var both []string
			for _, team := range []string{"blue", "green"} {
				bearer := tokens[team+"-"+name]
				if bearer == "" {
					bearer = w.session(team + "-" + name)
				}
				w.past.Add(1)
				path, body := w.request(e[0], e[1], identity.Viewer)
				status, answer := w.ask(bearer, e[0], e[1], path, body)
				if status >= 500 || status == http.StatusBadRequest || status == http.StatusUnprocessableEntity {
					t.Errorf("%s %s as %s-%s: got %d %s", e[0], path, team, name, status, answer)
				}
				both = append(both, fmt.Sprint(status))
			}
			cells = append(cells, strings.Join(both, "/"))
		}
		b.WriteString(apiRow(fmt.Sprintf("%-6s %s", e[0], e[1]), cells))
	}
	w.golden("api-roles-teams.txt", b.String())
}

// golden compares a matrix with its file.
func (w *apiWorld) golden(name, got string) {
	w.t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		w.must(os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	w.must(err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		w.t.Errorf("who may do what over the API has changed (-want +got); if that is meant, run with -update:\n%s", diff)
	}
}

func apiRow(name string, cells []string) string {
	line := fmt.Sprintf("%-34s", name)
	for _, cell := range cells {
		line += fmt.Sprintf(" %-10s", cell)
	}
	return strings.TrimRight(line, " ") + "\n"
}

// The document has exactly the routes that the server answers.
func TestOpenAPIHasEveryRoute(t *testing.T) {
	w := newAPIWorld(t)
	var want, got []string
	for _, e := range web.Endpoints() {
		want = append(want, e[0]+" "+api.Base+braced(e[1])+" "+e[2])
	}
	for path, item := range w.document["paths"].(map[string]any) {
		for method, operation := range item.(map[string]any) {
			got = append(got, strings.ToUpper(method)+" "+path+" "+operation.(map[string]any)["operationId"].(string))
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("routes (-served +documented):\n%s", diff)
	}
	if len(slices.Compact(got)) != len(want) {
		t.Error("two operations have one id")
	}
}
