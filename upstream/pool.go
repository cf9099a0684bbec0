// Package upstream owns how MCP servers are reached: over stdio and
// streamable HTTP, in both eras of the protocol, with what keeps one bad
// server from harming the others: limits, time-outs, restarts and clean ends.
// It owns mcp-go's client side. Definitions and results pass through as the
// bytes that the server sent.
package upstream

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Pool is a set of servers, each kept connected independently of the others.
type Pool struct {
	servers map[string]*Server
	cancel  context.CancelFunc
	life    context.Context
	tasks   sync.WaitGroup

	mu      sync.Mutex
	started bool
	closed  bool
}

// NewPool checks the configuration and refuses two servers of one name. It
// starts nothing. A nil log is slog's default.
func NewPool(configs []Config, log *slog.Logger) (*Pool, error) {
	if log == nil {
		log = slog.Default()
	}
	p := &Pool{servers: map[string]*Server{}}
	p.life, p.cancel = context.WithCancel(context.Background())
	for _, c := range configs {
		if err := c.Validate(); err != nil {
			return nil, err
		}
		if _, double := p.servers[c.Name]; double {
			return nil, fmt.Errorf("two servers are named %s: give each a name of its own", c.Name)
		}
		p.servers[c.Name] = newServer(c.withDefaults(), log)
	}
	return p, nil
}

// Start connects every server in the background and keeps it connected until
// Close, or until ctx ends, which has the same effect as Close without waiting. A second
// Start does nothing.
func (p *Pool) Start(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.started || p.closed {
		return
	}
	p.started = true
	stop := context.AfterFunc(ctx, p.cancel)
	context.AfterFunc(p.life, func() { stop() })
	for _, s := range p.servers {
		s.begin()
		p.tasks.Go(func() { s.run(p.life) })
		p.tasks.Go(func() { s.announce(p.life) })
	}
}

// Server returns the server of that name.
func (p *Pool) Server(name string) (*Server, bool) {
	s, ok := p.servers[name]
	return s, ok
}

// Account says why a call of the server cannot carry the subject's own token; nil where it can, or needs none.
func (p *Pool) Account(ctx context.Context, server string, of Subject) error {
	s, ok := p.servers[server]
	if !ok || s.cfg.Auth == nil || !s.cfg.Auth.PerUser() {
		return nil
	}
	_, err := s.userToken(ctx, of)
	return err
}

// Servers returns all servers, sorted by name.
func (p *Pool) Servers() []*Server {
	return slices.SortedFunc(maps.Values(p.servers), func(a, b *Server) int { return strings.Compare(a.Name(), b.Name()) })
}

// Close ends every connection and child process. Calls in flight fail with
// ErrClosed. Children have a few seconds to end by themselves; when
// ctx ends they are killed with their process groups. Close returns once all
// are gone, with an error if ctx ended before that.
func (p *Pool) Close(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	for _, s := range p.servers {
		s.endBy(ctx)
	}
	p.cancel()
	p.tasks.Wait()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("servers had to be killed because they did not end in time: %w", err)
	}
	return nil
}
