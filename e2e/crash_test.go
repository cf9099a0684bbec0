package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"remit/audit"
	"remit/internal/fakemcp"
	"remit/persona"
	"remit/store"
)

const crashes = 50

// TestKilledAtAnyPoint kills the whole of remit with SIGKILL at 50 random points while one client creates, submits and
// approves personas, another calls a tool, and the crawler stores a definition that changes with every start. Whatever
// was acknowledged before the kill is there after it, the record verifies, and calls in flight are not forgotten.
func TestKilledAtAnyPoint(t *testing.T) {
	in := install(t, demoUpstreams()+changing(0))
	author, reviewer := in.browser(in.person("ada", "author")), in.browser(in.person("ravi", "reviewer"))
	for _, c := range []*http.Client{author, reviewer} {
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	w := &crashWorld{in: in, author: author, reviewer: reviewer, reached: map[persona.ID]persona.State{}}
	waitFor(t, "crawling the demo's servers", func() bool { return strings.Contains(w.get(author, "/catalog"), "search_customers") })
	if !w.persona("steady", "Look up a customer in the CRM and add a note to their record.") {
		t.Fatal("the persona for the calls could not be approved")
	}
	key := strings.TrimSpace(in.cli("key", "create", "--agent", "bot", "--user", "zoe", "--persona", "steady"))
	for i := 1; i <= crashes; i++ {
		var work sync.WaitGroup
		dead := make(chan struct{})
		work.Go(func() {
			for n := 0; running(dead); n++ {
				w.persona(persona.ID(fmt.Sprintf("p%d-%d", i, n)), "Look up customers and read their invoices. Never refund anything.")
			}
		})
		work.Go(func() {
			for running(dead) {
				w.call(key)
			}
		})
		pause := time.NewTimer(time.Duration(rand.IntN(600)) * time.Millisecond)
		<-pause.C
		_ = syscall.Kill(-in.cmd.Process.Pid, syscall.SIGKILL)
		close(dead)
		_ = in.cmd.Wait()
		work.Wait()
		w.check(i)
		w.configure(demoUpstreams() + changing(i))
		in.start()
	}
	head := in.cli("audit", "verify")
	t.Logf("after %d kills: %d personas and %d calls were acknowledged, all are there; %s", crashes, len(w.reached), w.calls, strings.SplitN(head, "\n", 2)[0])
	if w.calls == 0 || len(w.reached) < 10 {
		t.Errorf("too little happened between the kills: %d calls, %d personas", w.calls, len(w.reached))
	}
}

func running(dead <-chan struct{}) bool {
	select {
	case <-dead:
		return false
	default:
		return true
	}
}

func demoUpstreams() string {
	var b strings.Builder
	for _, name := range []string{"crm", "billing", "helpdesk", "calendar", "chat"} {
		fmt.Fprintf(&b, "  %s: {command: %s, args: [demo-server, %s]}\n", name, binary, name)
	}
	return b.String()
}

// changing is an upstream whose one tool has another description each time.
func changing(n int) string {
	env := fakemcp.Env(fakemcp.Config{Tools: []json.RawMessage{fmt.Appendf(nil,
		`{"name":"weather","description":"Tells the weather, edition %d","inputSchema":{"type":"object"}}`, n)}})
	return fmt.Sprintf("  changing: {command: %s, env: {%s: '%s'}}\n", os.Args[0], fakemcp.EnvVar, strings.TrimSpace(env[fakemcp.EnvVar]))
}

// crashWorld remembers what remit acknowledged.
type crashWorld struct {
	in               *installation
	author, reviewer *http.Client

	mu      sync.Mutex
	reached map[persona.ID]persona.State
	calls   int
}

// peopled is an installation with an author and a reviewer who are signed in.
func peopled(in *installation) *crashWorld {
	in.t.Helper()
	w := &crashWorld{in: in, author: in.browser(in.person("ada", "author")), reviewer: in.browser(in.person("ravi", "reviewer")), reached: map[persona.ID]persona.State{}}
	for _, c := range []*http.Client{w.author, w.reviewer} {
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	return w
}

func (w *crashWorld) note(id persona.ID, s persona.State) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reached[id] = s
}

func (w *crashWorld) get(c *http.Client, path string) string {
	res, err := c.Get(w.in.url + path)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body) // cut off by the kill: then nothing is found in it
	return string(body)
}

// post says whether the change was acknowledged.
func (w *crashWorld) post(c *http.Client, path string, form url.Values) bool {
	res, err := c.PostForm(w.in.url+path, form)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusSeeOther {
		body, _ := io.ReadAll(res.Body)
		w.in.t.Errorf("POST %s: %s\n%.500s", path, res.Status, body)
		return false
	}
	return true
}

var hiddenField = regexp.MustCompile(`name="(base|seen|revision)"\s+value="([^"]*)"`)

// hidden returns the fields by which a form says what was on the screen.
func hidden(page string) url.Values {
	v := url.Values{}
	for _, m := range hiddenField.FindAllStringSubmatch(page, -1) {
		v.Add(m[1], html.UnescapeString(m[2]))
	}
	return v
}

// persona creates, submits and approves one; it says whether all three were acknowledged.
func (w *crashWorld) persona(id persona.ID, job string) bool {
	if !w.post(w.author, "/new", url.Values{"title": {string(id)}, "id": {string(id)}, "job": {job}}) {
		return false
	}
	w.note(id, persona.Draft)
	form := hidden(w.get(w.author, "/personas/"+string(id)))
	if form.Get("base") == "" {
		return false
	}
	form.Set("move", "submit")
	if !w.post(w.author, "/personas/"+string(id), form) {
		return false
	}
	w.note(id, persona.Submitted)
	form = hidden(w.get(w.reviewer, "/personas/"+string(id)+"/review"))
	if form.Get("revision") == "" || !w.post(w.reviewer, "/personas/"+string(id)+"/approve", form) {
		return false
	}
	w.note(id, persona.Live)
	return true
}

func (w *crashWorld) call(key string) {
	body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search_customers","arguments":{"query":"Nora"},
		"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},
		"io.modelcontextprotocol/clientInfo":{"name":"e2e","version":"1"}}}}`
	req, err := http.NewRequest("POST", w.in.url+"/k/steady/mcp", bytes.NewReader([]byte(body)))
	if err != nil {
		w.in.t.Error(err)
		return
	}
	for name, value := range map[string]string{"Authorization": "Bearer " + key, "Content-Type": "application/json",
		"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "search_customers"} {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode == http.StatusOK && bytes.Contains(answer, []byte("Lindqvist")) {
		w.mu.Lock()
		w.calls++
		w.mu.Unlock()
	}
}

// check reads what the dead process left.
func (w *crashWorld) check(i int) {
	t := w.in.t
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(w.in.dir, "data", "remit.db"))
	if err != nil {
		t.Fatalf("after kill %d: %v", i, err)
	}
	defer s.Close()
	if _, err := s.Verify(t.Context()); err != nil {
		t.Errorf("after kill %d: %v", i, err)
	}
	if _, err := s.Tools(t.Context()); err != nil {
		t.Errorf("after kill %d: the catalog: %v", i, err)
	}
	order := map[persona.State]int{persona.Draft: 1, persona.Submitted: 2, persona.Live: 3}
	for id, want := range w.reached {
		p, err := s.Persona(t.Context(), id)
		if err != nil {
			t.Errorf("after kill %d: persona %s was acknowledged as %s: %v", i, id, want, err)
			continue
		}
		if got := p.Latest().State; order[got] < order[want] {
			t.Errorf("after kill %d: persona %s is %s, but was acknowledged as %s", i, id, got, want)
		}
		for _, g := range p.Latest().Grants {
			if len(g.Definition) == 0 {
				t.Errorf("after kill %d: persona %s lost the definition of %s", i, id, g.Tool)
			}
		}
	}
	recorded := 0
	for before := int64(0); ; {
		entries, err := s.Entries(t.Context(), audit.Query{Kind: audit.ToolCall, Before: before, Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Decision == audit.Allowed {
				recorded++
			}
		}
		if len(entries) < 1000 {
			break
		}
		before = entries[len(entries)-1].Seq
	}
	if recorded < w.calls {
		t.Errorf("after kill %d: %d calls were answered, %d are recorded", i, w.calls, recorded)
	}
}

// configure replaces the upstreams of the configuration.
func (w *crashWorld) configure(upstreams string) {
	text, err := os.ReadFile(w.in.config)
	if err != nil {
		w.in.t.Fatal(err)
	}
	head, _, _ := strings.Cut(string(text), "upstreams:\n")
	if err := os.WriteFile(w.in.config, []byte(head+"upstreams:\n"+upstreams), 0o600); err != nil {
		w.in.t.Fatal(err)
	}
}
