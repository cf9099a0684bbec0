package upstream

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// accepting is the address of a server that is told of each connection and its number, and ends it after that.
func accepting(t testing.TB, serve func(c net.Conn, connection int)) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for n := 1; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c, n)
			}()
		}
	}()
	return "http://" + l.Addr().String() + "/mcp"
}

// rawServer answers each request with what answer returns for the number of its connection and its own on that; it ends the
// connection after an answer that says so.
func rawServer(t *testing.T, answer func(connection, request int) (text string, end bool)) (url string, connections *atomic.Int32) {
	t.Helper()
	connections = new(atomic.Int32)
	return accepting(t, func(c net.Conn, n int) {
		connections.Add(1)
		in := bufio.NewReader(c)
		for k := 1; ; k++ {
			req, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				return
			}
			text, end := answer(n, k)
			if _, err := io.WriteString(c, text); err != nil || end {
				return
			}
		}
	}), connections
}

func piped(t *testing.T, url string) *pipes {
	p := newPipes(url, 2, (&net.Dialer{}).DialContext)
	t.Cleanup(p.close)
	return p
}

func (p *pipes) RoundTrip(req *http.Request) (*http.Response, error) { return p.send(req, callHead{}) }

func post(ctx context.Context, rt http.RoundTripper, url, body string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// A connection is used again after an answer that was read to its end, and after no other.
func TestPipesAreKept(t *testing.T) {
	long := "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + strings.Repeat("x", 50)
	for name, tc := range map[string]struct {
		answer func(connection, request int) (string, bool)
		want   []string // of three requests
		conns  int32
	}{
		"kept": {func(int, int) (string, bool) { return ok, false }, []string{"ok", "ok", "ok"}, 1},
		"chunked": {func(int, int) (string, bool) {
			return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", false
		}, []string{"ok", "ok", "ok"}, 1},
		"nothing in it":     {func(int, int) (string, bool) { return "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", false }, []string{"", "", ""}, 1},
		"first continue":    {func(int, int) (string, bool) { return "HTTP/1.1 100 Continue\r\n\r\n" + ok, false }, []string{"ok", "ok", "ok"}, 1},
		"ended unannounced": {func(int, int) (string, bool) { return ok, true }, []string{"ok", "ok", "ok"}, 3},
		"says it ends": {func(int, int) (string, bool) {
			return "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", false
		}, []string{"ok", "ok", "ok"}, 3},
		"until the end":      {func(int, int) (string, bool) { return "HTTP/1.1 200 OK\r\n\r\nok", true }, []string{"ok", "ok", "ok"}, 3},
		"more than was said": {func(int, int) (string, bool) { return ok + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", false }, []string{"ok", "ok", "ok"}, 3},
		"cut":                {func(int, int) (string, bool) { return long, true }, []string{"error", "error", "error"}, 3},
		"no HTTP":            {func(int, int) (string, bool) { return "hello\r\n\r\n", true }, []string{"error", "error", "error"}, 3},
		"endless header": {func(int, int) (string, bool) {
			return "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 2*maxAnswerHeader) + "\r\n\r\n", true
		}, []string{"error", "error", "error"}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			url, connections := rawServer(t, tc.answer)
			p := piped(t, url)
			for i, want := range tc.want {
				got, err := post(t.Context(), p, url, "{}")
				if err != nil {
					got = "error"
				}
				if got != want {
					t.Fatalf("request %d: got %q, %v, want %q", i+1, got, err, want)
				}
				for deadline := time.Now().Add(time.Minute); tc.conns == 3 && i < 2 && !idleEnded(p); { // what the server did has arrived
					if time.Now().After(deadline) {
						t.Fatal("the connection was not ended")
					}
				}
			}
			if got := connections.Load(); got != tc.conns {
				t.Errorf("got %d connections, want %d", got, tc.conns)
			}
		})
	}
}

// idleEnded says that there is no connection that could be used again.
func idleEnded(p *pipes) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.idle {
		if !c.ended() {
			return false
		}
	}
	return true
}

// A request that is cancelled ends, wherever it waits, and its connection with it.
func TestPipeIsCancelled(t *testing.T) {
	reached := make(chan struct{}, 1)
	hold := make(chan struct{})
	defer close(hold)
	url, connections := rawServer(t, func(connection, _ int) (string, bool) {
		if connection == 1 {
			reached <- struct{}{}
			<-hold
		}
		return ok, false
	})
	p := piped(t, url)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-reached; cancel() }()
	if _, err := post(ctx, p, url, "{}"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if got, err := post(t.Context(), p, url, "{}"); err != nil || got != "ok" || connections.Load() != 2 {
		t.Errorf("the next one: got %q, %v over connection %d", got, err, connections.Load())
	}
}

// At most so many idle connections are kept, and none after the end.
func TestPipesEnd(t *testing.T) {
	both := make(chan struct{}, 4)
	url, connections := rawServer(t, func(int, int) (string, bool) {
		both <- struct{}{}
		for len(both) < 3 {
			time.Sleep(time.Millisecond)
		}
		return ok, false
	})
	p := piped(t, url)
	results := make(chan error)
	for range 3 {
		go func() { _, err := post(t.Context(), p, url, "{}"); results <- err }()
	}
	for range 3 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if n := len(p.idle); connections.Load() != 3 || n != 2 {
		t.Errorf("got %d idle of %d connections, want 2 of 3", n, connections.Load())
	}
	for _, c := range p.idle {
		c.used = time.Now().Add(-2 * maxIdle)
	}
	p.swept()
	if n := len(p.idle); n != 0 || p.sweep != nil {
		t.Errorf("got %d idle ones after the sweep", n)
	}
	p.close()
	if _, err := post(t.Context(), p, url, "{}"); err != nil || len(p.idle) != 0 {
		t.Errorf("after the end: got %v and %d idle", err, len(p.idle))
	}
}

func kept(p *pipes) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle) > 0
}

// large is a request of which the body is too large to be written before the answer is read.
func large(ctx context.Context, url string) *http.Request {
	req, _ := http.NewRequestWithContext(ctx, http.MethodPost, url, nil) // the URL is our own
	pieces{[]byte("["), []byte(`"` + strings.Repeat("x", 8<<20) + `"`), []byte("]")}.onto(req)
	return req
}

// A large request is written beside reading: whole, over one connection; and an early answer is read, over one of its own.
func TestLargeRequests(t *testing.T) {
	defer func(before time.Duration) { patience = before }(patience)
	patience = 1 // a write that has to wait after the answer fails, and so would each one on a connection that is kept with this bound
	url, connections := rawServer(t, func(int, int) (string, bool) { return ok, false })
	early, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer early.Close()
	answered := make(chan net.Conn, 3)
	go func() {
		for {
			c, err := early.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, ok) // a client that is gone misses it
			answered <- c
		}
	}()
	for _, at := range []string{url, "http://" + early.Addr().String() + "/mcp"} {
		p := piped(t, at)
		for i := range 3 {
			resp, err := p.RoundTrip(large(t.Context(), at))
			if err != nil {
				t.Fatal(err)
			}
			if text, err := io.ReadAll(resp.Body); err != nil || string(text) != "ok" {
				t.Fatalf("request %d: got %q, %v", i+1, text, err)
			}
			for deadline := time.Now().Add(time.Minute); at == url && !kept(p); time.Sleep(time.Millisecond) { // the writer had its turn
				if time.Now().After(deadline) {
					t.Fatal("the connection was not kept")
				}
			}
		}
		if at != url && kept(p) {
			t.Error("a connection is kept to which half a request was written")
		}
	}
	if got := connections.Load(); got != 1 {
		t.Errorf("got %d connections, want one", got)
	}
	for range 3 {
		(<-answered).Close()
	}
}

// Pipes are for plain HTTP to the server itself, and for bodies that are small or in memory.
func TestWhatPipesAreFor(t *testing.T) {
	dial := (&net.Dialer{}).DialContext
	if newPipes("https://crm.example/mcp", 2, dial) != nil || newPipes("http://crm.example/mcp?a=b", 2, dial) == nil {
		t.Error("got pipes with TLS, or none without")
	}
	url, connections := rawServer(t, func(int, int) (string, bool) { return ok, false })
	n := newNetwork(&Config{URL: url, Concurrency: 2})
	defer n.CloseIdleConnections()
	for i, size := range []int{1, maxPiped, maxPiped + 1} {
		if got, err := post(t.Context(), n, url, strings.Repeat("x", size)); err != nil || got != "ok" {
			t.Errorf("%d bytes: got %q, %v", size, got, err)
		}
		if want := int32(1 + i/2); connections.Load() != want || len(n.pipes.idle) != 1 {
			t.Errorf("%d bytes: got connection %d, want %d", size, connections.Load(), want)
		}
	}
}
