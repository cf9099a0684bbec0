package web_test

import (
	"context"
	"encoding/json"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"remit/approval"
	"remit/catalog"
	"remit/catalog/crawl"
	"remit/composer"
	"remit/identity"
	"remit/persona"
	"remit/store"
	"remit/web"
)

const password = "correct horse battery"

// world is the whole site over a real store, with three people.
type world struct {
	*httptest.Server
	store     *store.Store
	directory *identity.Directory
	registry  *persona.Registry
	catalog   *catalog.Catalog
	servers   []crawl.ServerStatus
	desk      *approval.Desk
}

func newWorld(t *testing.T, definitions map[string][]string) *world {
	t.Helper()
	return newWorldOf(t, catalog.New(catalog.Config{}), definitions)
}

func newWorldOf(t *testing.T, c *catalog.Catalog, definitions map[string][]string) *world {
	t.Helper()
	return newWorldWith(t, c, definitions, composer.Config{})
}

// newWorldWith has a composer with the settings.
func newWorldWith(t *testing.T, c *catalog.Catalog, definitions map[string][]string, drafter composer.Config) *world {
	t.Helper()
	drafter.Finder = c
	ctx := t.Context()
	db, err := store.Open(ctx, filepath.Join(t.TempDir(), "remit.db"))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{store: db, directory: &identity.Directory{Store: db}, catalog: c}
	w.offer(t, definitions)
	w.desk = &approval.Desk{Store: db, Key: make([]byte, 32)}
	w.registry = &persona.Registry{Store: db, Current: w.catalog.Tool}
	for name, roles := range map[string][]identity.Role{"ann": {identity.Author}, "rob": {identity.Author, identity.Reviewer},
		"root": {identity.Admin}, "vic": {}} {
		if err := w.directory.AddPerson(ctx, identity.Operator(), name, roles, password); err != nil {
			t.Fatal(err)
		}
	}
	site, err := web.New(web.Config{Registry: w.registry, Submissions: db, Directory: w.directory, Catalog: w.catalog,
		Composer: composer.New(drafter), Audit: db, Evals: db, Usage: db, Shadows: db, Approvals: w.desk, Frozen: db, RemindBefore: 14 * 24 * time.Hour,
		Servers: func() []crawl.ServerStatus { return w.servers }, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	w.Server = httptest.NewServer(site)
	t.Cleanup(func() {
		w.Close()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) offer(t *testing.T, definitions map[string][]string) {
	t.Helper()
	var tools []catalog.Tool
	for server, list := range definitions {
		for _, d := range list {
			tool, err := catalog.Parse(server, json.RawMessage(d))
			if err != nil {
				t.Fatal(err)
			}
			tool.Tokens, tool.FirstSeen, tool.LastSeen = len(d)/4, time.Now(), time.Now()
			tools = append(tools, tool)
		}
	}
	if err := w.catalog.Replace(tools, nil); err != nil {
		t.Fatal(err)
	}
}

func define(name, description string) string {
	b, err := json.Marshal(map[string]any{"name": name, "description": description,
		"inputSchema": map[string]any{"type": "object", "properties": map[string]any{"id": map[string]any{"type": "string"}}}})
	if err != nil {
		panic(err)
	}
	return string(b)
}

func shop() map[string][]string {
	return map[string][]string{
		"crm":     {define("get_customer", "Look up a customer by e-mail address."), define("delete_customer", "Delete a customer for ever.")},
		"billing": {define("list_invoices", "List the invoices of a customer."), define("refund_payment", "Refund a payment to the customer.")},
		"chat":    {define("post_message", "Post a message to a chat channel."), define("list_channels", "List the chat channels.")},
	}
}

const job = "Look up the customer who wrote and list their invoices. Never refund a payment."

// browser keeps cookies and the last page.
type browser struct {
	t      *testing.T
	base   string
	client *http.Client
	status int
	path   string
	body   string
	header http.Header
}

func (w *world) browser(t *testing.T) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, base: w.URL, client: &http.Client{Jar: jar}}
}

func (w *world) as(t *testing.T, name string) *browser {
	t.Helper()
	b := w.browser(t)
	b.post("/sign-in", url.Values{"name": {name}, "password": {password}})
	b.wants(200, name)
	return b
}

func (b *browser) send(req *http.Request) {
	b.t.Helper()
	res, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.status, b.path, b.body, b.header = res.StatusCode, res.Request.URL.Path, string(body), res.Header
}

func (b *browser) get(path string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), "GET", b.base+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	b.send(req)
}

func (b *browser) post(path string, form url.Values) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), "POST", b.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	b.send(req)
}

func (b *browser) wants(status int, texts ...string) {
	b.t.Helper()
	if b.status != status {
		b.t.Fatalf("%s: got status %d, want %d\n%s", b.path, b.status, status, mainOf(b.body))
	}
	for _, text := range texts {
		if !strings.Contains(b.body, text) {
			b.t.Fatalf("%s: the page lacks %q\n%s", b.path, text, mainOf(b.body))
		}
	}
}

func (b *browser) lacks(text string) {
	b.t.Helper()
	if strings.Contains(b.body, text) {
		b.t.Fatalf("%s: the page has %q", b.path, text)
	}
}

// mainOf leaves the frame of a page out.
func mainOf(body string) string {
	_, after, _ := strings.Cut(body, "<main")
	return after[:min(len(after), 4000)]
}

// values are those of all inputs with the name on the page.
func (b *browser) values(name string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`name="`+name+`" value="([^"]*)"`).FindAllStringSubmatch(b.body, -1) {
		out = append(out, html.UnescapeString(m[1]))
	}
	return out
}

func (b *browser) value(name string) string {
	b.t.Helper()
	v := b.values(name)
	if len(v) == 0 {
		b.t.Fatalf("%s: there is no input %q\n%s", b.path, name, b.body)
	}
	return v[0]
}
