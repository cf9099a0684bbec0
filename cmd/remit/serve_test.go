package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"remit/catalog"
	"remit/catalog/crawl"
	"remit/identity"
	"remit/internal/fakemcp"
	"remit/persona"
	"remit/policy"
	"remit/store"
	"remit/upstream"
	"remit/web/api"
)

// served is a remit serve that runs in this process.
type served struct {
	t    *testing.T
	data string
	url  string
	code chan int
}

var servesAt = regexp.MustCompile(`^Remit serves (http://\S+)$`)

// startServe serves one demo server and returns once the address answers.
func startServe(t *testing.T) *served {
	t.Helper()
	remit := filepath.Join(t.TempDir(), "remit")
	if err := os.Symlink(must(os.Executable()), remit); err != nil {
		t.Fatal(err)
	}
	return startServeOf(t, "{command: "+remit+", args: [demo-server, crm]}")
}

// startCalled serves a fake crm whose one tool is approved, with a key that has called it.
func startCalled(t *testing.T) (s *served, fake *fakemcp.Server, key string) {
	t.Helper()
	fake = must(fakemcp.New(fakemcp.Config{Tools: []json.RawMessage{json.RawMessage(`{"name":"get_customer","inputSchema":{"type":"object"}}`)}}))
	upstream := httptest.NewServer(fake)
	t.Cleanup(upstream.Close)
	t.Cleanup(upstream.CloseClientConnections)
	s = startServeOf(t, "{url: "+upstream.URL+"}")
	s.approve(t.Context())
	_, key, _ = s.remit("key", "create", "--persona", "support", "--agent", "bot", "--user", "zoe")
	key = strings.TrimSpace(key)
	until(t, "the tool is called", func() bool { return strings.Contains(s.call(key), "get_customer {}") })
	return s, fake, key
}

// startServeOf serves the server crm as the configuration says.
func startServeOf(t *testing.T, crm string) *served {
	t.Helper()
	dir := t.TempDir()
	s := &served{t: t, data: filepath.Join(dir, "data"), code: make(chan int, 1)}
	t.Setenv("REMIT_DATA", s.data)
	t.Setenv("REMIT_LISTEN", "127.0.0.1:0")
	t.Setenv("REMIT_LOG_LEVEL", "error")
	t.Setenv("REMIT_CONFIG", filepath.Join(dir, "remit.yaml"))
	text := "upstreams:\n  crm: " + crm + "\n"
	if err := os.WriteFile(filepath.Join(dir, "remit.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start()
	return s
}

// start serves what there is and returns once the address answers.
func (s *served) start() {
	t := s.t
	t.Helper()
	s.url = ""
	out, in := io.Pipe()
	go func() {
		s.code <- Main([]string{"serve"}, strings.NewReader(""), in, t.Output())
		in.Close()
	}()
	lines := bufio.NewScanner(out)
	for s.url == "" && lines.Scan() {
		if m := servesAt.FindStringSubmatch(lines.Text()); m != nil {
			s.url = m[1]
		}
	}
	if s.url == "" {
		t.Fatal("serve ended before it listened")
	}
	go io.Copy(io.Discard, out)
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// stop sends the signal that a service manager sends.
func (s *served) stop() {
	s.t.Helper()
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	if got := <-s.code; got != exitOK {
		s.t.Errorf("serve ended with %d after SIGTERM, want %d", got, exitOK)
	}
}

// remit runs another command on the same data and returns its exit code and what it wrote.
func (s *served) remit(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = Main(args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func (s *served) list(key string) int {
	s.t.Helper()
	status, _ := s.post(key, nil, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`)
	return status
}

// call calls the approved tool and returns the answer.
func (s *served) call(key string) string { return s.callWith(key, "{}") }

func (s *served) callWith(key, arguments string) string {
	s.t.Helper()
	_, body := s.post(key, map[string]string{"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "get_customer"},
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_customer","arguments":`+arguments+`,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`)
	return body
}

func (s *served) post(key string, header map[string]string, body string) (status int, answer string) {
	s.t.Helper()
	req := must(http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+"/k/support/mcp", strings.NewReader(body)))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("Authorization", "Bearer "+key)
	for name, value := range header {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode, string(must(io.ReadAll(res.Body)))
}

// approve makes a live persona of one tool, as an author and a reviewer do on the pages.
func (s *served) approve(ctx context.Context) { s.approveWith(ctx, policy.Policy{}) }

// approveWith gives the tool a policy.
func (s *served) approveWith(ctx context.Context, rules policy.Policy) {
	s.t.Helper()
	where := os.Getenv("REMIT_DATABASE")
	if where == "" {
		where = filepath.Join(s.data, "remit.db")
	}
	db := must(store.Open(ctx, where))
	defer db.Close()
	tools := map[catalog.ID]catalog.Tool{}
	until(s.t, "the server is crawled", func() bool {
		for _, t := range must(db.Tools(ctx)) {
			tools[t.ID] = t
		}
		return len(tools) > 0
	})
	const tool catalog.ID = "crm/get_customer"
	r := persona.Registry{Store: db, Current: func(id catalog.ID) (catalog.Tool, bool) { t, ok := tools[id]; return t, ok }}
	ada := identity.Principal{Person: "ada", Roles: []identity.Role{identity.Author}}
	ravi := identity.Principal{Person: "ravi", Roles: []identity.Role{identity.Reviewer}}
	proposal := persona.Proposal{Job: "Look up customers.", Grants: []persona.Grant{{Pin: persona.Pin{Tool: tool}, Policy: rules}}}
	for _, step := range []error{
		r.Create(ctx, ada, "support", "Support", proposal),
		r.Submit(ctx, ada, "support", 1),
		r.Approve(ctx, ravi, "support", 1, persona.Digests{tool: tools[tool].Digest}),
	} {
		if step != nil {
			s.t.Fatal(step)
		}
	}
}

// A call waits for a person: the webhook is told of it, and the call goes on when the operator approves it in another process.
func TestHeldCallUnderARunningServer(t *testing.T) {
	told := make(chan []byte, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		told <- append(must(io.ReadAll(r.Body)), r.Header.Get("Webhook-Signature")...)
	}))
	defer receiver.Close()
	t.Setenv("REMIT_APPROVAL_WEBHOOK_URL", receiver.URL)
	t.Setenv("REMIT_APPROVAL_WEBHOOK_SECRET", "${HOOK_SECRET}")
	t.Setenv("HOOK_SECRET", strings.Repeat("s", 24))
	s := startServe(t)
	defer s.stop()
	s.approveWith(t.Context(), policy.Policy{Approval: &policy.Approval{Minutes: 15}})
	_, key, _ := s.remit("key", "create", "--persona", "support", "--agent", "bot", "--user", "zoe")
	answer := make(chan string, 1)
	go func() { answer <- s.callWith(strings.TrimSpace(key), `{"customer_id":"cus-1001"}`) }()
	message := ""
	select {
	case body := <-told:
		message = string(body)
	case got := <-answer:
		t.Fatalf("got %s before anybody was told", got)
	}
	var held []api.Approval
	_, list, _ := s.remit("approval", "list", "--json")
	if err := json.Unmarshal([]byte(list), &held); err != nil || len(held) != 1 {
		t.Fatalf("got %s, %v", list, err)
	}
	if !strings.Contains(message, s.url+"/approvals/"+held[0].ID) || !strings.Contains(message, "v1,") {
		t.Errorf("the webhook was told %s", message)
	}
	if code, _, stderr := s.remit("approval", "approve", held[0].ID, "--seen", held[0].Seen); code != exitOK {
		t.Fatal(stderr)
	}
	if got := <-answer; !strings.Contains(got, "cus-1001") || strings.Contains(got, "isError") {
		t.Errorf("got %s", got)
	}
}

// An admin creates and revokes a key on the command line while remit serve runs: the next request is refused.
func TestKeyIsRevokedUnderARunningServer(t *testing.T) {
	s := startServe(t)
	defer s.stop()
	s.approve(t.Context())
	code, key, stderr := s.remit("key", "create", "--persona", "support", "--agent", "bot", "--user", "zoe")
	if code != exitOK {
		t.Fatal(stderr)
	}
	key = strings.TrimSpace(key)
	if got := s.list(key); got != http.StatusOK {
		t.Errorf("with the key: got %d, want 200", got)
	}
	id := strings.Split(key, "_")[1]
	_, list, _ := s.remit("key", "list")
	if !strings.Contains(list, id) || strings.Contains(list, key) {
		t.Errorf("the list must name the key and not show its secret:\n%s", list)
	}
	if code, _, stderr := s.remit("key", "revoke", id); code != exitOK {
		t.Fatal(stderr)
	}
	if got := s.list(key); got != http.StatusUnauthorized {
		t.Errorf("with the revoked key: got %d, want 401", got)
	}
	if code, said, stderr := s.remit("audit", "verify"); code != exitOK {
		t.Errorf("audit verify: %s%s", said, stderr)
	}
}

// The operator suspends a tool, its server and its persona on the command line while remit serve runs: the next request is
// refused, and the one after resuming is not.
func TestSuspendUnderARunningServer(t *testing.T) {
	s, _, key := startCalled(t)
	defer s.stop()
	for _, target := range [][]string{{"tool", "crm/get_customer"}, {"server", "crm"}, {"persona", "support"}} {
		if code, _, stderr := s.remit(append([]string{"suspend", "--reason", "an incident"}, target...)...); code != exitOK {
			t.Fatal(stderr)
		}
		if got, want := s.call(key), strings.Join(target, " ")+" is suspended: an incident"; !strings.Contains(got, want) {
			t.Errorf("got %s, want %q", got, want)
		}
		if code, _, stderr := s.remit(append([]string{"resume"}, target...)...); code != exitOK {
			t.Fatal(stderr)
		}
		if got := s.call(key); !strings.Contains(got, "get_customer {}") {
			t.Errorf("after resuming %v: got %s", target, got)
		}
	}
}

// The operator lets a persona end in a moment: the running server refuses from then on by its own clock, and after a restart
// it reminds of the end once.
func TestExpiryUnderARunningServer(t *testing.T) {
	s, _, key := startCalled(t)
	at := time.Now().Add(1500 * time.Millisecond)
	if code, _, stderr := s.remit("persona", "term", "support", "--expires", at.Format(time.RFC3339Nano)); code != exitOK {
		t.Fatal(stderr)
	}
	until(t, "it expires", func() bool { return strings.Contains(s.call(key), "may not be used now: it expired at") })
	if time.Now().Before(at) {
		t.Error("it expired too early")
	}
	for range 2 {
		s.stop()
		s.start()
		until(t, "it reminds", func() bool {
			_, out, _ := s.remit("audit", "--kind", "persona.remind", "--json")
			return strings.Contains(out, `"due":"overdue"`)
		})
	}
	defer s.stop()
	if _, out, _ := s.remit("audit", "--kind", "persona.remind", "--json"); strings.Count(out, "persona.remind") != 1 {
		t.Errorf("got %s, want one reminder", out)
	}
	if got := s.call(key); !strings.Contains(got, "it expired at") {
		t.Errorf("after the restart: got %s", got)
	}
}

// stream opens a stream of notifications with a key.
func (s *served) stream(t *testing.T, key string) *http.Response {
	t.Helper()
	const body = `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`
	req := must(http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/k/support/mcp", strings.NewReader(body)))
	for name, value := range map[string]string{"Content-Type": "application/json", "Authorization": "Bearer " + key,
		"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "subscriptions/listen"} {
		req.Header.Set(name, value)
	}
	stream := must(http.DefaultClient.Do(req))
	t.Cleanup(func() { stream.Body.Close() })
	if first := bufio.NewScanner(stream.Body); !first.Scan() || stream.StatusCode != http.StatusOK {
		t.Fatalf("got %d, want an open stream", stream.StatusCode)
	}
	return stream
}

// A reviewer revokes a key on the pages: the agent's open stream ends at once, not only when the key is next checked.
func TestRevokedKeysStreamEnds(t *testing.T) {
	s := startServe(t)
	defer s.stop()
	s.approve(t.Context())
	_, key, _ := s.remit("key", "create", "--persona", "support", "--agent", "bot", "--user", "zoe")
	key = strings.TrimSpace(key)
	_, said, stderr := s.remit("person", "add", "ravi", "--roles", "reviewer")
	at := strings.Index(said, "/link/")
	if at < 0 {
		t.Fatal(said, stderr)
	}
	jar := must(cookiejar.New(nil))
	ravi := &http.Client{Jar: jar}
	post := func(path string) {
		res := must(ravi.Post(s.url+path, "application/x-www-form-urlencoded", nil))
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Fatalf("%s: got %d", path, res.StatusCode)
		}
	}
	post(strings.TrimSpace(said[at:]))

	stream := s.stream(t, key)
	began := time.Now()
	post("/personas/support/keys/" + strings.Split(key, "_")[1] + "/revoke")
	if _, err := io.ReadAll(stream.Body); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 10*time.Second { // the next check may be 15 s away
		t.Errorf("the stream lived on for %s", took)
	}
}

// Attack on the whole program: a server announces a change and refuses to show it. Its tools are refused from then on.
func TestServerThatHidesAChangeIsRefused(t *testing.T) {
	s, fake, key := startCalled(t)
	defer s.stop()
	fake.RefuseLists(true)
	fake.Announce()
	until(t, "the call is refused", func() bool { return strings.Contains(s.call(key), "Refused: nobody knows now whether the server crm") })
}

func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline, tick := time.After(time.Minute), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline:
			t.Fatalf("%s: it did not happen within a minute", what)
		case <-tick.C:
		}
	}
}

// What needs the catalog waits until it was read from the store: no call is judged by a catalog that is empty yet, and no page shows one.
func TestCatalogIsWaitedFor(t *testing.T) {
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "remit.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tool, err := catalog.Parse("crm", json.RawMessage(`{"name":"find","inputSchema":{"type":"object"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.SaveListing(t.Context(), crawl.Turn{Server: "crm"}, []catalog.Tool{tool}, time.Now()); err != nil {
		t.Fatal(err)
	}
	pool, err := upstream.NewPool([]upstream.Config{{Name: "crm", URL: "http://127.0.0.1:9/mcp"}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) { waitsForCatalog(t, db, pool.Servers()) })
}

func waitsForCatalog(t *testing.T, db *store.Store, servers []*upstream.Server) {
	s := &system{catalog: newCatalog(nil), loaded: make(chan struct{}), unread: make(chan struct{})}
	s.crawler = crawl.New(crawl.Config{Servers: servers, Store: db, Catalog: s.catalog})
	page := s.afterLoad(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strconv.Itoa(len(s.catalog.Tools()))+" tools")
	}))
	gone, leave := context.WithCancel(t.Context())
	leave()
	early := httptest.NewRecorder()
	page.ServeHTTP(early, httptest.NewRequestWithContext(gone, http.MethodGet, "/catalog", nil))
	if early.Body.Len() > 0 {
		t.Errorf("whoever left before got %q", early.Body)
	}
	shown, found := make(chan string, 1), make(chan bool, 1)
	go func() {
		w := httptest.NewRecorder()
		page.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/catalog", nil))
		shown <- w.Body.String()
	}()
	go func() { _, ok := s.tool("crm/find"); found <- ok }()
	synctest.Wait() // until both wait, or are answered
	if len(shown)+len(found) > 0 {
		t.Errorf("before the catalog was read %d pages and %d tools were answered", len(shown), len(found))
	}
	if err := s.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, ok := <-shown, <-found; got != "1 tools" || !ok {
		t.Errorf("got the page %q, and the tool is known: %v", got, ok)
	}
}

// A second serve on the same data is refused with what to do; crawl may run beside the first.
func TestSecondServeIsRefused(t *testing.T) {
	s := startServe(t)
	defer s.stop()
	code, _, stderr := s.remit("serve")
	if code != exitFailed || !strings.Contains(stderr, "another remit serves the data folder") {
		t.Errorf("got %d, %q; want %d and the reason", code, stderr, exitFailed)
	}
	code, stdout, stderr := s.remit("crawl")
	if code != exitOK || !strings.Contains(stdout, "of 1 servers: ") {
		t.Errorf("crawl beside serve: got %d, %s%s", code, stdout, stderr)
	}
}

// Attack: clients that hold connections open without a credential, by a request that never ends: its headers, or one byte
// of a body to the gateway, to the pages, and to a path that the router answers itself.
func TestRequestsThatNeverEnd(t *testing.T) {
	t.Setenv("REMIT_READ_TIMEOUT", "1s")
	s := startServe(t)
	defer s.stop()
	host := strings.TrimPrefix(s.url, "http://")
	var done sync.WaitGroup
	for _, start := range []string{
		"POST /k/support/mcp HTTP/1.1\r\nHost: ",
		"POST /k/support/mcp HTTP/1.1\r\nHost: " + host + "\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
		"POST /sign-in HTTP/1.1\r\nHost: " + host + "\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nn",
		"POST /link/x HTTP/1.1\r\nHost: " + host + "\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nn",
		"GET /k/../sign-in HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 100\r\n\r\n{",
	} {
		c := must(net.Dial("tcp", host))
		defer c.Close()
		must(c.Write([]byte(start)))
		done.Go(func() {
			_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
			if answer, err := io.ReadAll(c); err != nil {
				t.Errorf("%q: got %q and then %v, want the connection closed", start, answer, err)
			}
		})
	}
	done.Wait()
}

func TestUsageErrors(t *testing.T) {
	for _, args := range [][]string{{"serve", "--no-such-flag"}, {"person", "add"}, {"audit", "--decision", "maybe"}, {"nonsense"}, {"--log-level", "loud", "version"}} {
		var out, errs bytes.Buffer
		if got := Main(args, strings.NewReader(""), &out, &errs); got != exitUsage || !strings.HasPrefix(errs.String(), "remit: ") || strings.Count(errs.String(), "\n") != 1 {
			t.Errorf("%v: got %d and %q, want %d and one line", args, got, errs.String(), exitUsage)
		}
	}
}
