package world

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"

	"remit/catalog"
	"remit/evals"
	"remit/internal/fakemcp"
	"remit/upstream"
)

// server is an upstream on loopback that keeps what it receives.
type server struct {
	fake  *fakemcp.Server
	front *http.Server
	tools []json.RawMessage

	mu   sync.Mutex
	seen strings.Builder
}

// start runs a server for each name among the tools, connects to them and fills the catalog.
func (w *world) start(ctx context.Context, offers []evals.EnforceTool) error {
	byServer := map[string][]json.RawMessage{}
	for _, t := range offers {
		byServer[t.Server] = append(byServer[t.Server], t.Definition)
	}
	var configs []upstream.Config
	for name, tools := range byServer {
		fake, err := fakemcp.New(fakemcp.Config{Name: name, Tools: tools})
		if err != nil {
			return err
		}
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		s := &server{fake: fake, tools: tools}
		s.front = &http.Server{Handler: s, ReadHeaderTimeout: limit}
		go s.front.Serve(listener) // ends with ErrServerClosed when close or the move "stop" closes it
		w.servers[name] = s
		configs = append(configs, upstream.Config{Name: name, URL: "http://" + listener.Addr().String() + "/mcp",
			Headers: map[string]string{"Authorization": "Bearer of-the-upstream"}})
	}
	var err error
	if w.pool, err = upstream.NewPool(configs, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	w.pool.Start(ctx)
	return w.crawl(ctx)
}

// ServeHTTP keeps the request and lets the fake answer it.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	fmt.Fprintf(&s.seen, "%s %s %v\n%s\n", r.Method, r.URL, r.Header, body)
	s.mu.Unlock()
	r.Body = io.NopCloser(bytes.NewReader(body))
	s.fake.ServeHTTP(w, r)
}

func (s *server) received() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen.String()
}

func (s *server) close() error { return s.front.Close() }

// crawl makes the catalog what the servers offer now.
func (w *world) crawl(ctx context.Context) error {
	var tools []catalog.Tool
	for _, s := range w.pool.Servers() {
		listing, err := s.List(ctx)
		if err != nil {
			return err
		}
		for _, d := range listing.Tools {
			t, err := catalog.Parse(s.Name(), d)
			if err != nil {
				return err
			}
			tools = append(tools, t)
		}
	}
	return w.catalog.Replace(tools, nil)
}

// replace has a server offer another definition of a tool, or none.
func (w *world) replace(ctx context.Context, id catalog.ID, definition json.RawMessage) error {
	name, tool := id.Split()
	s := w.servers[name]
	var left []json.RawMessage
	for _, d := range s.tools {
		t, err := catalog.Parse(name, d)
		if err != nil {
			return err
		}
		if t.Name != tool {
			left = append(left, d)
		} else if definition != nil {
			left = append(left, definition)
		}
	}
	s.tools = slices.Clip(left)
	s.fake.SetTools(s.tools)
	return w.crawl(ctx)
}
