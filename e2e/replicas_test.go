package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"remit/internal/services"
)

// restartAfter is how long a replica that ended stays down.
const restartAfter = 300 * time.Millisecond

// fleet is replicas on one PostgreSQL and one Redis behind a balancer.
type fleet struct {
	t               *testing.T
	in              *installation // the operator's, beside the database
	postgres, redis *services.Server
	database        string // its URL for the operator
	replicas        []*replica
	url             string // of the balancer

	next  atomic.Int64
	heeds atomic.Bool // the balancer leaves out who is not ready
}

type replica struct {
	*network
	url     *url.URL
	through *httputil.ReverseProxy
	log     *safeBuffer
	pid     atomic.Int64 // 0 while it is down
	starts  atomic.Int64
	killed  atomic.Int64 // how many of these there were when it was last killed
	failed  atomic.Int64 // ends with another status than 0
	ready   atomic.Bool
	deaf    atomic.Bool       // gets calls alone that change nothing: a replica that makes a change asks for all others
	seen    func(body []byte) // of what the balancer sends it; nil for nobody
	over    chan struct{}
}

// newFleet starts so many replicas with these upstream servers, which each reaches at a port of its own, and the settings.
func newFleet(t *testing.T, size int, isolate bool, upstream http.Handler, settings string) *fleet {
	t.Helper()
	f := &fleet{t: t}
	for _, s := range []struct {
		at   **services.Server
		make func() (*services.Server, error)
	}{{&f.postgres, services.NewPostgres}, {&f.redis, services.NewRedis}} {
		server, err := s.make()
		if err != nil {
			t.Fatal(err)
		}
		*s.at = server
		t.Cleanup(func() { _ = server.Stop() })
	}
	var err error
	if f.database, err = f.postgres.Database("chaos"); err != nil {
		t.Fatal(err)
	}
	balancer := httptest.NewServer(f)
	t.Cleanup(balancer.Close)
	f.url = balancer.URL
	dir := t.TempDir()
	f.in = &installation{t: t, dir: dir, config: filepath.Join(dir, "remit.yaml"), log: &safeBuffer{}, url: f.url, database: f.database}
	f.write(f.in.config, "data: %s\npublic-url: %s\ndatabase: '%s'\n", filepath.Join(dir, "data"), f.url, f.database)
	f.in.cli("audit", "key") // which makes it

	ctx, end := context.WithCancel(context.Background())
	t.Cleanup(end) // after the replicas have ended
	for i := range size {
		f.replicas = append(f.replicas, f.start(ctx, i, isolate, upstream, settings))
	}
	t.Cleanup(func() {
		end()
		for _, r := range f.replicas {
			<-r.over
			r.close()
		}
		if t.Failed() {
			f.keepLogs()
		}
	})
	go f.probe(ctx)
	waitFor(t, "the start of all replicas", f.allReady)
	return f
}

func (f *fleet) write(path, format string, values ...any) {
	if err := os.WriteFile(path, fmt.Appendf(nil, format, values...), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fleet) start(ctx context.Context, i int, isolate bool, upstream http.Handler, settings string) *replica {
	t := f.t
	n, err := newNetwork(isolate)
	if err != nil {
		t.Fatal(err)
	}
	r := &replica{network: n, log: &safeBuffer{}, over: make(chan struct{})}
	l, err := n.listen(n.replica)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(upstream)
	server.Listener.Close()
	server.Listener = l
	server.Start()
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	free, err := n.listen(n.replica)
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	r.url = &url.URL{Scheme: "http", Host: address}
	r.through = &httputil.ReverseProxy{FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0), Transport: &http.Transport{DialContext: n.dial, MaxIdleConnsPerHost: 64},
		Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(r.url); p.Out.Host = p.In.Host },
		ErrorHandler: func(w http.ResponseWriter, req *http.Request, err error) {
			if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" {
				w.(*choice).again = true
				return
			}
			w.WriteHeader(http.StatusBadGateway)
			fmt.Fprintf(w, "the balancer: %v", err)
		}}
	database, err := url.Parse(f.database)
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(database.Query().Get("host"), ".s.PGSQL.5432")
	postgres := n.relay(t, "postgres", func() (net.Conn, error) { return net.Dial("unix", socket) })
	redis := n.relay(t, "redis", func() (net.Conn, error) {
		return net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(f.redis.URL, "redis://"), "/0"))
	})
	dir := filepath.Join(f.in.dir, fmt.Sprint("replica", i))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "remit.yaml")
	f.write(config, "listen: %s\npublic-url: %s\ndata: %s\ndatabase: postgres://remit@%s/chaos?sslmode=disable\nredis: redis://%s/0\naudit-key: ${file:%s}\n"+
		"embeddings: {url: 'off'}\n%supstreams:\n  work: {url: 'http://%s/mcp', asks: [elicitation]}\n",
		address, f.url, filepath.Join(dir, "data"), postgres, redis, filepath.Join(f.in.dir, "data", "audit.key"), settings, l.Addr())
	go r.run(ctx, binary, "serve", "--config", config)
	return r
}

// run keeps the replica's process running, in its network, until the context ends: what ends is started again. It ends with this
// process, too, however that ends.
func (r *replica) run(ctx context.Context, command ...string) {
	defer close(r.over)
	if err := enter(r.network.replica); err != nil { // the thread that starts the process lives as long as this goroutine, and with it the process
		fmt.Fprintln(r.log, err)
		return
	}
	for ctx.Err() == nil {
		cmd := exec.CommandContext(ctx, command[0], command[1:]...)
		cmd.Stdout, cmd.Stderr = r.log, r.log
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		err := cmd.Start()
		if err == nil {
			r.pid.Store(int64(cmd.Process.Pid))
			r.starts.Add(1)
			err = cmd.Wait()
			r.pid.Store(0)
		}
		if err != nil && ctx.Err() == nil {
			fmt.Fprintf(r.log, "the process ended: %v\n", err)
			r.failed.Add(1)
		}
		pause(ctx, restartAfter)
	}
}

// choice is an answer for which another replica may be asked, as long as the first could not be.
type choice struct {
	http.ResponseWriter
	again bool
}

func (c *choice) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// ServeHTTP is the balancer: the replicas in turn. The next one is asked only where the connection was refused, so that nothing was sent.
func (f *fleet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client left
	}
	for range len(f.replicas) {
		to := f.replicas[int(f.next.Add(1))%len(f.replicas)]
		if f.heeds.Load() && !to.ready.Load() || to.deaf.Load() && r.URL.Path != "/k/steady/mcp" && r.URL.Path != "/k/moving/mcp" {
			continue
		}
		if to.seen != nil {
			to.seen(body)
		}
		c := &choice{ResponseWriter: w}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if to.through.ServeHTTP(c, r); !c.again {
			return
		}
	}
	http.Error(w, "the balancer: no replica is up", http.StatusServiceUnavailable)
}

// probe asks each replica whether it is ready, as balancers do.
func (f *fleet) probe(ctx context.Context) {
	for _, r := range f.replicas {
		go func() {
			client := &http.Client{Transport: &http.Transport{DialContext: r.dial, DisableKeepAlives: true}, Timeout: 5 * time.Second}
			for ctx.Err() == nil {
				res, err := client.Get(r.url.JoinPath("readyz").String())
				if err == nil {
					res.Body.Close()
				}
				r.ready.Store(err == nil && res.StatusCode == http.StatusOK)
				pause(ctx, 100*time.Millisecond)
			}
		}()
	}
}

func (f *fleet) allReady() bool {
	for _, r := range f.replicas {
		if !r.back() {
			return false
		}
	}
	return true
}

// kill ends a replica without warning; it is started again.
func (r *replica) kill(s syscall.Signal) bool {
	r.killed.Store(r.starts.Load())
	pid := int(r.pid.Load())
	return pid != 0 && syscall.Kill(pid, s) == nil
}

// back says that it was started after it was last killed, and is ready: what was seen of one that was just killed is that it is ready.
func (r *replica) back() bool { return r.starts.Load() > r.killed.Load() && r.ready.Load() }

// keepLogs writes what the replicas said to where a person finds it.
func (f *fleet) keepLogs() {
	dir, err := os.MkdirTemp("", "remit-chaos")
	if err != nil {
		f.t.Error(err)
		return
	}
	for i, r := range f.replicas {
		f.write(filepath.Join(dir, fmt.Sprintf("replica%d.log", i)), "%s", r.log)
	}
	f.t.Logf("what the replicas said is in %s", dir)
}
