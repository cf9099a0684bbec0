package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"remit/internal/fakemcp"
	"remit/persona"
)

// soakFor is how long the soak takes; `make soak` gives it longer.
const soakFor = 20 * time.Second

// TestSoak calls, lists, opens sessions and streams without pause while personas come and change, keys are made and revoked, servers
// die and return. When that ends, nothing of it is held: goroutines, descriptors and children are as many as before, and memory did
// not grow with the work. What is measured is printed ten times on the way.
func TestSoak(t *testing.T) {
	lasts := soakFor
	if given := os.Getenv("REMIT_SOAK"); given != "" {
		var err error
		if lasts, err = time.ParseDuration(given); err != nil {
			t.Fatal(err)
		}
	}
	remote := newRemote(t)
	metrics := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	t.Setenv("REMIT_METRICS_ADDRESS", metrics)
	in := install(t, demoUpstreams()+fmt.Sprintf("  remote: {url: 'http://%s/mcp'}\n", remote.address))
	author, reviewer := in.browser(in.person("ada", "author")), in.browser(in.person("ravi", "reviewer"))
	for _, c := range []*http.Client{author, reviewer} {
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	w := &crashWorld{in: in, author: author, reviewer: reviewer, reached: map[persona.ID]persona.State{}}
	waitFor(t, "crawling the demo's servers", func() bool { return strings.Contains(w.get(author, "/catalog"), "search_customers") })
	waitFor(t, "crawling the remote server", func() bool { return strings.Contains(in.cli("search", "look up a parcel"), "lookup_parcel") })
	if !w.persona("steady", "Look up a customer in the CRM, look up a parcel, and add a note to their record.") {
		t.Fatal("the persona for the calls could not be approved")
	}
	s := &soak{t: t, in: in, metrics: metrics, key: strings.TrimSpace(in.cli("key", "create", "--agent", "bot", "--user", "zoe", "--persona", "steady"))}
	for range 200 { // what is made once is made
		s.request()
	}
	http.DefaultClient.CloseIdleConnections()
	before := s.measure()
	t.Logf("before: %s", before)

	ctx, cancel := context.WithTimeout(t.Context(), lasts)
	defer cancel()
	var busy sync.WaitGroup
	for range 4 {
		busy.Go(func() {
			for ctx.Err() == nil {
				s.request()
			}
		})
	}
	busy.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			w.persona(persona.ID(fmt.Sprintf("p%d", n)), "Look up customers and read their invoices. Never refund anything.")
			key := strings.TrimSpace(in.cli("key", "create", "--agent", "bot", "--user", "zoe", "--persona", "steady"))
			in.cli("key", "revoke", strings.Split(key, "_")[1])
			s.churned.Add(1)
		}
	})
	busy.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			pause(ctx, lasts/20)
			if pids := children(in.cmd.Process.Pid); len(pids) > 0 {
				_ = syscall.Kill(pids[n%len(pids)], syscall.SIGKILL)
			}
			remote.stop()
			pause(ctx, lasts/20)
			remote.start()
		}
	})
	for range 10 {
		pause(ctx, lasts/10)
		t.Logf("%s; %d requests answered, %d refused, %d changes", s.measure(), s.answered.Load(), s.refused.Load(), s.churned.Load())
	}
	busy.Wait()
	remote.start()
	if s.answered.Load() == 0 || s.refused.Load() == 0 || s.churned.Load() == 0 {
		t.Errorf("too little happened: %d answered, %d refused, %d changes", s.answered.Load(), s.refused.Load(), s.churned.Load())
	}
	http.DefaultClient.CloseIdleConnections()
	for _, c := range []*http.Client{author, reviewer} {
		c.CloseIdleConnections()
	}
	var after reading
	waitFor(t, "letting go of what the work held", func() bool {
		after = s.measure()
		return after.goroutines <= before.goroutines+10 && after.descriptors <= before.descriptors+10 && after.children == before.children
	})
	t.Logf("after: %s", after)
	if most := 4*before.heap + 64<<20; after.heap > most { // garbage that is not collected yet is three times what is in use
		t.Errorf("the heap grew from %d to %d bytes", before.heap, after.heap)
	}
	in.cli("audit", "verify")
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// soak is an agent with one key.
type soak struct {
	t                          *testing.T
	in                         *installation
	metrics, key               string
	n                          atomic.Int64
	answered, refused, churned atomic.Int64
}

// request does one of the things that clients do, also those that they should not.
func (s *soak) request() {
	n := s.n.Add(1)
	const modern = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`
	call := func(name, arguments string) (method, tool, params string) {
		return "tools/call", name, `{"name":"` + name + `","arguments":` + arguments + `,` + modern + `}`
	}
	var method, tool, params string
	switch n % 8 {
	case 0, 1, 2:
		method, tool, params = call("search_customers", `{"query":"Nora"}`)
	case 3:
		method, tool, params = call("lookup_parcel", `{"text":"x"}`)
	case 4:
		method, tool, params = call("refund_everything", `{}`)
	case 5:
		method, params = "tools/list", `{`+modern+`}`
	case 6:
		s.session()
		return
	case 7:
		s.stream()
		return
	}
	res, err := s.post(context.Background(), `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":`+params+`}`,
		map[string]string{"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method, "Mcp-Name": tool})
	if err != nil {
		s.t.Error(err)
		return
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Error(err)
	}
	var answer struct {
		Result struct {
			IsError bool `json:"isError"`
		}
		Error any
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		s.t.Errorf("%s %s: %s", method, tool, text)
	}
	if answer.Error != nil || answer.Result.IsError {
		s.refused.Add(1)
	} else {
		s.answered.Add(1)
	}
}

// session opens one of the older era, and leaves every other open.
func (s *soak) session() {
	res, err := s.post(context.Background(), `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"soak","version":"1"}}}`, nil)
	if err != nil {
		s.t.Error(err)
		return
	}
	res.Body.Close()
	id := res.Header.Get("Mcp-Session-Id")
	if id == "" {
		s.t.Errorf("no session: %s", res.Status)
		return
	}
	s.answered.Add(1)
	if s.n.Load()%2 == 0 {
		return
	}
	req, err := http.NewRequest(http.MethodDelete, s.in.url+"/k/steady/mcp", nil)
	if err != nil {
		s.t.Error(err)
		return
	}
	req.Header.Set("Authorization", "Bearer "+s.key)
	req.Header.Set("Mcp-Session-Id", id)
	if res, err := http.DefaultClient.Do(req); err != nil {
		s.t.Error(err)
	} else {
		res.Body.Close()
	}
}

// stream opens one and breaks it off after its first line.
func (s *soak) stream() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	res, err := s.post(ctx, `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`,
		map[string]string{"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "subscriptions/listen"})
	if err != nil {
		s.t.Error(err)
		return
	}
	defer res.Body.Close()
	if _, err := bufio.NewReader(res.Body).ReadString('\n'); err != nil {
		s.t.Errorf("a stream: %s, %v", res.Status, err)
		return
	}
	s.answered.Add(1)
}

func (s *soak) post(ctx context.Context, body string, headers map[string]string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.in.url+"/k/steady/mcp", bytes.NewReader([]byte(body)))
	if err != nil {
		return nil, err
	}
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("Authorization", "Bearer "+s.key)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	return http.DefaultClient.Do(req)
}

// reading is what the process holds.
type reading struct {
	goroutines, descriptors, children int
	heap, resident                    int64 // bytes
}

func (r reading) String() string {
	return fmt.Sprintf("%d goroutines, %d descriptors, %d children, %d MB of heap, %d MB resident", r.goroutines, r.descriptors, r.children, r.heap>>20, r.resident>>20)
}

func (s *soak) measure() (r reading) {
	res, err := http.Get("http://" + s.metrics + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	values := map[string]float64{}
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			values[name] = v
		}
	}
	if err := lines.Err(); err != nil {
		s.t.Fatal(err)
	}
	return reading{int(values["go_goroutines"]), int(values["process_open_fds"]), len(children(s.in.cmd.Process.Pid)),
		int64(values["go_memstats_heap_inuse_bytes"]), int64(values["process_resident_memory_bytes"])}
}

// children are the processes that pid has started and that have not ended.
func children(pid int) (pids []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(fields) > 1 && fields[0] != "Z" && fields[1] == strconv.Itoa(pid) {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			pids = append(pids, child)
		}
	}
	return pids
}

// remoteServer is an MCP server over HTTP that can be gone for a while.
type remoteServer struct {
	t       *testing.T
	address string
	handler http.Handler

	mu     sync.Mutex
	server *http.Server
}

func newRemote(t *testing.T) *remoteServer {
	handler, err := fakemcp.New(fakemcp.Config{Tools: []json.RawMessage{json.RawMessage(
		`{"name":"lookup_parcel","description":"Looks up where a parcel is","inputSchema":{"type":"object","properties":{"text":{"type":"string"}}},"annotations":{"readOnlyHint":true}}`)}})
	if err != nil {
		t.Fatal(err)
	}
	r := &remoteServer{t: t, address: fmt.Sprintf("127.0.0.1:%d", freePort(t)), handler: handler}
	r.start()
	t.Cleanup(r.stop)
	return r
}

func (r *remoteServer) start() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.server != nil {
		return
	}
	l, err := net.Listen("tcp", r.address)
	if err != nil {
		r.t.Error(err)
		return
	}
	r.server = &http.Server{Handler: r.handler}
	go r.server.Serve(l)
}

func (r *remoteServer) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.server != nil {
		r.server.Close()
		r.server = nil
	}
}
