package main

import (
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"syscall"
	"testing"
	"time"

	"remit/internal/services"
	"remit/policy"
)

// probe returns the status and the words of a probe, which comes to an address of the machine and not to a name.
func (s *served) probe(path string) string {
	s.t.Helper()
	r := must(http.NewRequest(http.MethodGet, s.url+path, nil))
	r.Host = "10.1.2.3:8321"
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	return answer.Status + " " + strings.TrimSpace(string(must(io.ReadAll(answer.Body))))
}

// A replica on PostgreSQL and Redis serves, limits and refuses as the matrix says while either is away, and goes on when they are back. Told
// to stop, it first says that it is not ready, and serves meanwhile.
func TestServeOnPostgresAndRedis(t *testing.T) {
	postgres, redis := must(services.NewPostgres()), must(services.NewRedis())
	t.Setenv("REMIT_DATABASE", postgres.URL)
	t.Setenv("REMIT_REDIS", redis.URL)
	t.Setenv("REMIT_MAX_STALENESS", "100ms")
	t.Setenv("REMIT_DRAIN", "10s")
	s := startServe(t)
	s.approveWith(t.Context(), policy.Policy{Limits: []policy.Limit{{Calls: 1000, Per: policy.Hour}}})
	_, key, _ := s.remit("key", "create", "--persona", "support", "--agent", "bot", "--user", "zoe")
	key = strings.TrimSpace(key)
	call := func() string { return s.callWith(key, `{"customer_id":"cus-1001"}`) }
	called := func() bool {
		got := call()
		return strings.Contains(got, "cus-1001") && !strings.Contains(got, "isError")
	}
	until(t, "the tool is called", called)
	if got := s.probe("/readyz"); got != "200 OK ok" {
		t.Errorf("ready: got %s", got)
	}
	health := func() string {
		code, out, errs := s.remit("health", "--listen", strings.TrimPrefix(s.url, "http://"))
		return fmt.Sprint(code, " ", out, errs)
	}
	if got := health(); got != "0 ok\n" {
		t.Errorf("remit health: got %s", got)
	}
	if err := redis.Stop(); err != nil {
		t.Fatal(err)
	}
	if got := call(); !strings.Contains(got, "cannot be checked now") {
		t.Errorf("without Redis: got %s, want a refusal", got)
	}
	if err := redis.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "Redis is back", called)
	if err := postgres.Stop(); err != nil {
		t.Fatal(err)
	}
	until(t, "nothing is called", func() bool { return !called() })
	if ready, alive := s.probe("/readyz"), s.probe("/healthz"); ready != "503 Service Unavailable the database does not answer" || alive != "200 OK ok" {
		t.Errorf("without PostgreSQL: got %s and %s", ready, alive)
	}
	if got := health(); got != "1 remit: not ready: the database does not answer\n" {
		t.Errorf("remit health without PostgreSQL: got %s", got)
	}
	if err := postgres.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "PostgreSQL is back", called)
	if code, out, errs := s.remit("audit", "verify"); code != exitOK {
		t.Errorf("the record: got %s%s", out, errs)
	}
	balancer := &http.Client{Transport: &http.Transport{}}
	kept := func() (reused bool, status string) {
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) { reused = c.Reused }})
		res, err := balancer.Do(must(http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/healthz", nil)))
		if err != nil {
			return reused, err.Error()
		}
		defer res.Body.Close()
		_, err = io.Copy(io.Discard, res.Body)
		return reused, fmt.Sprint(res.Status, " ", res.Close, " ", err)
	}
	if _, got := kept(); got != "200 OK false <nil>" {
		t.Errorf("got %s", got)
	}
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	until(t, "it says that it stops", func() bool { return strings.Contains(s.probe("/readyz"), "503") })
	if !called() {
		t.Error("while it drains nothing is served")
	}
	if reused, got := kept(); !reused || got != "200 OK true <nil>" {
		t.Errorf("on a connection that was idle when the drain began: got %s, the same one: %v; want an answer and then its end", got, reused)
	}
	if got := <-s.code; got != exitOK {
		t.Errorf("serve ended with %d", got)
	}
	if got := health(); !strings.HasPrefix(got, "1 remit: nothing answers at 127.0.0.1:") {
		t.Errorf("remit health when it ended: got %s", got)
	}
}

// Agents get their lists while the catalog is read from the database; pages and calls wait for it, and are answered then.
func TestListsWhileTheCatalogLoads(t *testing.T) {
	where := services.Postgres(t)
	t.Setenv("REMIT_DATABASE", where)
	s, _, key := startCalled(t)
	s.stop()
	db := must(sql.Open("pgx", where))
	defer db.Close()
	reading := must(db.Begin())
	if _, err := reading.Exec("lock table tool in access exclusive mode"); err != nil { // which holds up whoever reads the catalog
		t.Fatal(err)
	}
	s.start()
	defer s.stop()
	defer reading.Rollback()
	status, list := s.post(key, map[string]string{"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/list"},
		`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`)
	if status != http.StatusOK || !strings.Contains(list, "get_customer") {
		t.Errorf("the list: got %d %s", status, list)
	}
	until(t, "the catalog is waited for", func() bool {
		var waits int
		if err := db.QueryRow("select count(*) from pg_locks where not granted and relation = 'tool'::regclass").Scan(&waits); err != nil {
			t.Fatal(err)
		}
		return waits > 0
	})
	called := make(chan string, 1)
	go func() { called <- s.call(key) }()
	hasty := &http.Client{Timeout: time.Second}
	if res, err := hasty.Get(s.url + "/"); err == nil {
		res.Body.Close()
		t.Errorf("a page was answered before the catalog was read: %s", res.Status)
	}
	if len(called) > 0 {
		t.Errorf("a call was answered before the catalog was read: %s", <-called)
	}
	if err := reading.Rollback(); err != nil {
		t.Fatal(err)
	}
	res := must(http.Get(s.url + "/"))
	res.Body.Close()
	if got := <-called; !strings.Contains(got, "get_customer") || res.StatusCode != http.StatusOK {
		t.Errorf("then: got the page %s and %s", res.Status, got)
	}
}
