package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"remit/approval"
	"remit/audit"
	"remit/catalog"
	"remit/catalog/crawl"
	"remit/gateway"
	"remit/identity"
	"remit/internal/fakemcp"
	"remit/internal/remote"
	"remit/persona"
	"remit/store"
	"remit/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a gateway on a real store in front of two real servers, crm and billing, with a persona for each of three
// agents: support may look customers up, clerk may send refunds, writer may use a prompt and read resources.
type world struct {
	t       testing.TB
	store   *store.Store
	people  *identity.Directory
	persona *persona.Registry
	pool    *upstream.Pool
	fakes   map[string]*fakemcp.Server
	gateway *gateway.Gateway
	server  *httptest.Server
	crawler *crawl.Crawler
	catalog *catalog.Catalog
	desk    *approval.Desk
	keys    map[string]string // secrets, by persona
	door    string            // where they are taken
	ids     map[string]string // public ids of the keys, by persona
	ahead   atomic.Int64      // nanoseconds that the clock is ahead
}

// raw turns literals into definitions or results.
func raw(texts ...string) []json.RawMessage {
	var out []json.RawMessage
	for _, t := range texts {
		out = append(out, json.RawMessage(t))
	}
	return out
}

const findCustomer = `{"name":"find_customer","title":"Find a customer","description":"Finds a customer by e-mail.",
  "inputSchema":{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"email":{"type":"string","maxLength":40}},"required":["email"],"additionalProperties":false},
  "annotations":{"readOnlyHint":true},"x-vendor":1.0}`

var definitions = map[string][]json.RawMessage{
	"crm": raw(findCustomer,
		`{"name":"delete_customer","description":"Deletes a customer.","inputSchema":{"type":"object"}}`,
		`{"name":"echo","description":"Repeats its arguments.","inputSchema":{"type":"object","properties":{"text":{"type":"string"}}}}`,
		`{"name":"progress","description":"Takes a while.","inputSchema":{"properties":{}}}`,
		`{"name":"slow","description":"Takes long.","inputSchema":{"type":"object"}}`,
		`{"name":"error","description":"Breaks.","inputSchema":{"type":"object"}}`,
		`{"name":"die","description":"Breaks the connection.","inputSchema":{"type":"object"}}`,
		`{"name":"asks","description":"Wants input.","inputSchema":{"type":"object"}}`,
		`{"name":"remote","description":"Has a schema elsewhere.","inputSchema":{"$ref":"https://example.com/schema.json"}}`,
		`{"name":"leaks","description":"Shows too much.","inputSchema":{"type":"object"}}`,
		`{"name":"denies","description":"Shows too much.","inputSchema":{"type":"object"}}`,
		`{"name":"logs","description":"Logs what it does.","inputSchema":{"type":"object"}}`,
		`{"name":"region","description":"Mirrors a parameter.","inputSchema":{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},"count":{"type":"integer","x-mcp-header":"Count"}}}}`),
	"billing": raw(`{"name":"refund","description":"Sends money back.","inputSchema":{"type":"object","properties":{"cents":{"type":"integer","maximum":5000}},"required":["cents"]}}`,
		`{"name":"pay","description":"Pays several people.","inputSchema":{"type":"object","properties":{"payments":{"type":"array","items":{"$ref":"#/$defs/payment"}},"limits":{"type":"object","additionalProperties":{"anyOf":[{"type":"null"},{"$ref":"#/$defs/payment"}]}}},"$defs":{"payment":{"type":"object","properties":{"to":{"type":"string"},"cents":{"type":"integer","maximum":5000}}}}}}`,
		`{"name":"echo","description":"Repeats its arguments, too.","inputSchema":{"type":"object"}}`),
	"old": append(asking(), working(`,"execution":{"taskSupport":"optional"}`, `,"execution":{"x":[],"taskSupport":"required"}`)...),
}

// working are the tools whose calls are made as tasks, at crm, and at old, which is of the older era.
func working(may, must string) (out []json.RawMessage) {
	for _, name := range slices.Sorted(maps.Keys(tasks)) {
		execution := may
		if tasks[name].Insists {
			execution = must
		}
		out = append(out, json.RawMessage(`{"name":"`+name+`","description":"Takes its time.","inputSchema":{"type":"object","properties":{"text":{"type":"string"}}}`+execution+`}`))
	}
	return append(slices.DeleteFunc(out, func(d json.RawMessage) bool { return bytes.Contains(d, []byte("strict_job")) }), json.RawMessage(`{"name":"strict_job","description":"Promises a number.","inputSchema":{"type":"object"},"outputSchema":{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}`+may+`}`))
}

const (
	atWork = `"status":"working"`
	done   = `"status":"completed","result":{"content":[{"type":"text","text":"done for ada@example.com"}],"x":1.50}`
)

// lure is an error that sends a person to a page, to which nobody let the server send them.
const lure = `{"code":-32042,"message":"Sign in first.","data":{"elicitations":[{"mode":"url","message":"Sign in.","url":"https://crm.example/lure","elicitationId":"e3"}]}}`

// tasks are what becomes of calls of the tools of that name.
var tasks = map[string]fakemcp.Task{
	"job": {States: []string{atWork + `,"_meta":{"note":"for ada@example.com","n":1.0},"statusMessage":"of-the-upstream works for ada@example.com"`, atWork, done},
		Result: json.RawMessage(`{"result":{"content":[{"type":"text","text":"done for ada@example.com"}],"x":1.50,"_meta":{"y":1.0,"io.modelcontextprotocol/related-task":{"taskId":"$ID"}}}}`)},
	"insists": {States: []string{atWork, atWork, done}, Insists: true,
		Result: json.RawMessage(`{"result":{"content":[],"isError":true,"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"$ID"}}}}`)},
	"breaks": {States: []string{atWork, `"status":"failed","error":{"code":-32050,"message":"No, ada@example.com.","data":{"n":12345678901234567890}}`},
		Result: json.RawMessage(`{"error":{"code":-32050,"message":"No, ada@example.com.","data":{"n":12345678901234567890}}}`)},
	"fails_job": {States: []string{atWork, `"status":"failed","error":{"code":-32050,"message":"No."}`},
		Result: json.RawMessage(`{"result":{"content":[],"isError":true}}`)},
	"huge_job":     {States: []string{atWork, `"status":"completed","result":{"content":[{"type":"text","text":"` + strings.Repeat("x", 5000) + `"}]}`}},
	"endless_job":  {States: []string{atWork}, Insists: true, Result: json.RawMessage(`{"result":{"content":[]}}`)},
	"asking_must":  {States: []string{atWork, `"status":"input_required","inputRequests":{"q1":` + string(questions["form"][0]) + `}`, done}, Insists: true},
	"asks_at_once": {States: []string{`"status":"input_required","inputRequests":{"q1":` + string(questions["form"][0]) + `}`, done}, Insists: true},
	"twice_must":   {States: []string{atWork}, Insists: true},
	"asking_job": {States: []string{atWork, `"status":"input_required","inputRequests":{"q1":` + string(questions["form"][0]) + `}`, done},
		Result: json.RawMessage(`{"result":{"content":[]}}`)},
	"roots_job": {States: []string{atWork, `"status":"input_required","inputRequests":{"q1":{"method":"roots/list"}}`}},
	// What is passed to no client.
	"posing_job":  {States: []string{atWork, `"taskId":"job-1",` + done}},
	"double_job":  {States: []string{atWork, done + `,"result":{"content":[]}`}},
	"cased_job":   {States: []string{atWork, done + `,"Result":{"content":[]}`}},
	"smuggle_job": {States: []string{atWork, atWork + `,"createdAt":"of-the-upstream"`}},
	"nested_job":  {States: []string{atWork, `"status":"completed","result":{"resultType":"input_required","inputRequests":{}}`}},
	"strict_job":  {States: []string{atWork, `"status":"completed","result":{"structuredContent":{"n":"seven"},"content":[]}`}},
	"wordy_job":   {States: []string{atWork + `,"statusMessage":"` + strings.Repeat("x", 5000) + `"`, done}},
	"luring_job":  {States: []string{atWork, `"status":"failed","error":` + lure}, Insists: true, Result: json.RawMessage(`{"error":` + lure + `}`)},
	"hasty_job":   {States: []string{`"status":"completed"`, done}, Insists: true},
	"secret_job":  {States: []string{atWork, `"status":"failed","error":{"code":-32050,"message":"Bearer of-the-upstream","data":"of%2Dthe%2Dupstream"}`}},
}

// questions are what the tools of that name ask of the client before they answer, at crm and at old, which is of the older era.
var questions = map[string][]json.RawMessage{
	"form": raw(`{"method":"elicitation/create","params":{"message":"Which account?","requestedSchema":{"type":"object","properties":{"account":{"type":"string","minLength":1.0,"x-vendor":1}},"required":["account"]}}}`),
	"twice": raw(`{"method":"elicitation/create","params":{"mode":"form","message":"First?","requestedSchema":{"type":"object","properties":{"sure":{"type":"boolean"}}}}}`,
		`{"method":"elicitation/create","params":{"message":"And of-the-upstream, ada@example.com?","requestedSchema":{"type":"object","properties":{"pets":{"type":"array","items":{"anyOf":[{"const":"a","title":"A"}]}}}}}}`),
	"page":    raw(`{"method":"elicitation/create","params":{"mode":"url","message":"Sign in.","url":"https://crm.example/connect?as=1","elicitationId":"e1"}}`),
	"muse":    raw(`{"method":"sampling/createMessage","params":{"messages":[{"role":"user","content":{"type":"text","text":"A name for a cat?"}}],"includeContext":"allServers","maxTokens":10}}`),
	"endless": slices.Repeat(raw(`{"method":"elicitation/create","params":{"message":"Again?","requestedSchema":{"type":"object","properties":{}}}}`), 20),
	// What is passed to no client.
	"roots":  raw(`{"method":"roots/list"}`),
	"hidden": raw("{\"method\":\"elicitation/create\",\"params\":{\"message\":\"Pay\\u202e me \U000E0041 now\",\"requestedSchema\":{\"type\":\"object\",\"properties\":{}}}}"),
	"lure":   raw(`{"method":"elicitation/create","params":{"message":"x","requestedSchema":{"type":"object","properties":{"a":{"type":"string","title":"A\u200bB"}}}}}`),
	"nested": raw(`{"method":"elicitation/create","params":{"message":"x","requestedSchema":{"type":"object","properties":{"a":{"type":"object","properties":{}}}}}}`),
	"refers": raw(`{"method":"elicitation/create","params":{"message":"x","requestedSchema":{"type":"object","properties":{"a":{"type":"string","not":{"$ref":"https://evil.example/s"}}}}}}`),
	"script": raw(`{"method":"elicitation/create","params":{"mode":"url","message":"x","url":"javascript:alert(1)"}}`),
	"posing": raw(`{"method":"elicitation/create","params":{"mode":"url","message":"x","url":"https://bank.example@evil.example/"}}`),
	"tooled": raw(`{"method":"sampling/createMessage","params":{"messages":[{"role":"user","content":{"type":"text","text":"x"}}],"maxTokens":1,"tools":[{"name":"rm","inputSchema":{"type":"object"}}]}}`),
	"wordy":  raw(`{"method":"elicitation/create","params":{"message":"` + strings.Repeat("x", 5000) + `","requestedSchema":{"type":"object","properties":{}}}}`),
	"double": raw(`{"method":"elicitation/create","params":{"message":"x","Message":"y","requestedSchema":{"type":"object","properties":{}}}}`),
}

// asking are the tools that ask.
func asking() (out []json.RawMessage) {
	for _, name := range slices.Sorted(maps.Keys(questions)) {
		out = append(out, json.RawMessage(`{"name":"`+name+`","description":"Asks the client.","inputSchema":{"type":"object"}}`))
	}
	return append(out, json.RawMessage(`{"name":"first","description":"Has a page opened first.","inputSchema":{"type":"object"}}`),
		json.RawMessage(`{"name":"sudden","description":"Answers with a task.","inputSchema":{"type":"object"}}`),
		json.RawMessage(`{"name":"presumes","description":"Answers with a task of the older era.","inputSchema":{"type":"object"}}`),
		json.RawMessage(`{"name":"needs","description":"Needs a model.","inputSchema":{"type":"object"}}`))
}

// logs are what the tool of that name says before it answers.
var logs = []string{
	`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"debug","data":{"n":12345678901234567890}}}`,
	`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","logger":"crm","data":"found ada@example.com with of-the-upstream","x":1.50}}`,
	`{"jsonrpc":"2.0","method":"notifications/message","params":{"data":{"a":[null]},"level":"error"}}`,
	`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"loud","data":1}}`,
	`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"error","level":"debug","data":2}}`,
}

// What crm offers beside tools.
var (
	prompts = raw(`{"name":"welcome","title":"Welcome","description":"Welcomes a customer.","arguments":[{"name":"customer","description":"Who it is.","required":true},{"name":"tone"}],"x-vendor":1.0}`,
		`{"name":"secret_prompt","description":"Is for nobody."}`)
	resources = raw(`{"uri":"crm://notes/today","name":"notes","description":"The notes of today.","mimeType":"text/plain","annotations":{"priority":0.50}}`,
		`{"uri":"crm://customers/vip","name":"vip","description":"The one that matters."}`)
	templates = raw(`{"uriTemplate":"crm://customers/{id}","name":"customer","description":"A customer's record."}`)
)

var results = map[string]json.RawMessage{
	"find_customer": json.RawMessage("{\n \"content\": [{\"type\":\"text\",\"text\":\"Ada\"}],\n \"structuredContent\":{\"id\":9007199254740993,\"x\":1.50}}"),
	"leaks":         json.RawMessage(`{"content":[{"type":"text","text":"curl -H 'Authorization: Basic Ym90Om9mLXRoZS11cHN0cmVhbQ==' https://crm.example/"}],"isError":true}`),
	"region":        json.RawMessage(`{"content":[]}`),
	"refund":        json.RawMessage(`{"content":[{"type":"text","text":"refunded"}]}`),
	"sudden":        json.RawMessage(`{"resultType":"task","taskId":"s1","status":"completed","createdAt":"2026-11-25T10:30:00Z","lastUpdatedAt":"2026-11-25T10:40:00Z","ttlMs":1,"result":{"content":[{"type":"text","text":"Bearer of-the-upstream"}],"isError":true}}`),
	"presumes":      json.RawMessage(`{"task":{"taskId":"s1","status":"working","createdAt":"2026-11-25T10:30:00Z","lastUpdatedAt":"2026-11-25T10:40:00Z","ttl":1}}`),
	"asks":          json.RawMessage(`{"resultType":"input_required","requestState":"x","inputRequests":{}}`),
}

var failures = map[string]json.RawMessage{
	"first":  json.RawMessage(`{"code":-32042,"message":"Sign in first.","data":{"elicitations":[{"mode":"url","message":"Sign in.","url":"https://crm.example/connect","elicitationId":"e2"}]}}`),
	"needs":  json.RawMessage(`{"code":-32021,"message":"Missing required client capability","data":{"requiredCapabilities":{"sampling":{}}}}`),
	"denies": json.RawMessage(`{"code":-32001,"message":"denied: of%2Dthe%2Dupstream","data":{"sent":["Bearer \u006ff-the-upstream"],"n":1.0}}`),
}

var grants = map[persona.ID][]persona.Grant{
	"support": grant("crm/find_customer", "crm/echo", "billing/echo", "crm/progress", "crm/slow", "crm/error", "crm/die", "crm/asks", "crm/remote", "crm/region", "crm/leaks", "crm/denies", "crm/logs"),
	"clerk":   grant("billing/refund"),
	"writer":  grant("crm/@prompt/welcome", "crm/@resource/crm://notes/today", "crm/@resourceTemplate/crm://customers/{id}", "crm/echo"),
}

func grant(ids ...catalog.ID) (out []persona.Grant) {
	for _, id := range ids {
		out = append(out, persona.Grant{Pin: persona.Pin{Tool: id}})
	}
	return out
}

var (
	ann = identity.Principal{Person: "ann", Roles: []identity.Role{identity.Author}}
	bob = identity.Principal{Person: "bob", Roles: []identity.Role{identity.Reviewer, identity.Admin}}
	dan = identity.Principal{Person: "dan", Roles: []identity.Role{identity.Approver}}
	// carol is whom every key's agent works for.
	carol = identity.Principal{Person: "carol", Roles: []identity.Role{identity.Approver, identity.Reviewer, identity.Admin}}
)

// newWorld builds it. change may adapt the gateway's configuration.
func newWorld(t testing.TB, change func(*gateway.Config)) *world {
	t.Helper()
	return newWorldOn(t, t.TempDir()+"/remit.db", change)
}

// newWorldOn builds it on a database.
func newWorldOn(t testing.TB, where string, change func(*gateway.Config)) *world {
	t.Helper()
	ctx := context.Background()
	db, err := store.Open(ctx, where)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	w := &world{t: t, store: db, fakes: map[string]*fakemcp.Server{}, keys: map[string]string{}, door: "/k/", ids: map[string]string{},
		catalog: catalog.New(catalog.Config{})}
	var configs []upstream.Config
	for name, tools := range definitions {
		offered := fakemcp.Config{Name: name, Tools: tools, Results: results, Errors: failures, Before: map[string][]string{"logs": logs}}
		switch name {
		case "old":
			offered.Era, offered.Asks, offered.Tasks, offered.Resources = fakemcp.Legacy, maps.Clone(questions), tasks, raw(`{"uri":"old://notes","name":"notes"}`)
			offered.Asks["result of asking_job"], offered.Asks["result of asking_must"] = questions["form"], questions["form"]
			offered.Asks["result of twice_must"] = questions["form"]
		case "crm":
			offered.Tools, offered.Asks, offered.Tasks = slices.Concat(tools, asking(), working("", "")), questions, tasks
			offered.Prompts, offered.Resources, offered.Templates = prompts, resources, templates
		default:
			offered.Resources, offered.Templates = raw(`{"uri":"crm://notes/today","name":"theirs"}`), raw(`{"uriTemplate":"crm://{kind}/{id}","name":"theirs"}`)
		}
		fake, err := fakemcp.New(offered)
		if err != nil {
			t.Fatal(err)
		}
		s := httptest.NewServer(fake)
		t.Cleanup(s.Close)
		t.Cleanup(s.CloseClientConnections)
		w.fakes[name] = fake
		configs = append(configs, upstream.Config{Name: name, URL: s.URL, Lists: []string{upstream.Prompts, upstream.Resources}, Asks: []string{upstream.Form, upstream.Page, upstream.Model}, Headers: map[string]string{"Authorization": "Bearer of-the-upstream"}})
	}
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	if w.pool, err = upstream.NewPool(configs, quiet); err != nil {
		t.Fatal(err)
	}
	w.pool.Start(ctx)
	t.Cleanup(func() { _ = w.pool.Close(context.Background()) })
	w.crawler = crawl.New(crawl.Config{Servers: w.pool.Servers(), Store: db, Catalog: w.catalog, Tokens: func(b []byte) int { return len(b) }})
	must(t, w.crawler.Load(ctx))
	w.crawl()
	w.follow()
	cache, err := store.NewCache(ctx, db)
	must(t, err)
	c := gateway.Config{Personas: cache, Audit: db, Current: w.current, Listed: w.crawler.Listed, Upstreams: gateway.Pool(w.pool), Log: quiet,
		AllowedOrigins: []string{"https://tools.example"}, MaxBody: 1 << 20, Recheck: 20 * time.Millisecond, Version: "1", Now: w.now}
	w.desk = &approval.Desk{Store: db, Key: make([]byte, 32), URL: "http://remit.test", Now: w.now}
	c.Approvals = w.desk
	c.Proxies, err = remote.Trust([]string{"127.0.0.0/8"}) // so that a story says where a client is
	must(t, err)
	w.people = &identity.Directory{Store: cache}
	c.Keys = w.people
	if change != nil {
		change(&c)
	}
	w.gateway = gateway.New(c)
	w.people.Revoked = func(of string) { w.gateway.Notify(persona.ID(of)) }
	w.persona = &persona.Registry{Store: db, Current: w.current, Changed: w.gateway.Notify, Now: w.now}
	for id, g := range grants {
		must(t, w.persona.Create(ctx, ann, id, string(id), persona.Proposal{Job: "Do the job.", Grants: g}))
		w.approve(id, 1)
		secret, key, err := w.people.IssueKey(ctx, bob, identity.KeySpec{Agent: "bot", User: "carol", Persona: string(id)})
		must(t, err)
		w.keys[string(id)], w.ids[string(id)] = secret, key.ID
	}
	w.server = httptest.NewServer(w.gateway)
	t.Cleanup(w.server.Close)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = w.gateway.Close(ctx) // what hangs is ended by it
	})
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// now is the time by a clock that stories set.
func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }

func (w *world) current(id catalog.ID) (catalog.Tool, bool) { return w.catalog.Tool(id) }

// crawl makes the catalog what the servers offer now.
func (w *world) crawl() {
	w.t.Helper()
	report, err := w.crawler.Crawl(context.Background(), nil)
	must(w.t, err)
	for server, why := range report.Failed {
		w.t.Fatalf("%s could not be listed: %s", server, why)
	}
}

// follow has the crawler hear what the servers announce, as remit serve does.
func (w *world) follow() {
	ctx, end := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { _ = w.crawler.Run(ctx) }) // it ends with ctx only
	w.t.Cleanup(func() { end(); done.Wait() })
}

func (w *world) approve(id persona.ID, rev int) {
	w.t.Helper()
	ctx := context.Background()
	must(w.t, w.persona.Submit(ctx, ann, id, rev))
	p, err := w.store.Persona(ctx, id)
	must(w.t, err)
	r, _ := p.Revision(rev)
	must(w.t, w.persona.Approve(ctx, bob, id, rev, r.Digests()))
}

// revise makes a further revision live.
func (w *world) revise(id persona.ID, g ...persona.Grant) {
	w.t.Helper()
	must(w.t, w.persona.Revise(context.Background(), ann, id, persona.Proposal{Job: "Do less.", Grants: g}))
	p, err := w.store.Persona(context.Background(), id)
	must(w.t, err)
	w.approve(id, p.Latest().Number)
}

func (w *world) revoke(id string) {
	w.t.Helper()
	must(w.t, w.people.RevokeKey(context.Background(), bob, w.ids[id]))
}

// entries are the gateway's, oldest first.
func (w *world) entries() []audit.Entry {
	w.t.Helper()
	all, err := w.store.Entries(context.Background(), audit.Query{Limit: 1000})
	must(w.t, err)
	var out []audit.Entry
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].Kind == audit.ToolCall || all[i].Kind == audit.TaskCall || all[i].Kind == audit.RequestRefused {
			out = append(out, all[i])
		}
	}
	return out
}

// calls is how many calls reached the servers.
func (w *world) calls() int {
	n := 0
	for _, f := range w.fakes {
		n += f.Stats().Calls
	}
	return n
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: it did not happen", what)
		}
		<-tick.C
	}
}

var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
