package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// State is where a server's connection stands.
type State int

// The states of a server.
const (
	Stopped    State = iota // not started, or closed
	Connecting              // the first attempt, or one after a loss, is under way
	Ready                   // it can be called
	Unwell                  // the last attempt failed or the connection was lost; the next comes by itself
)

func (s State) String() string {
	switch s {
	case Connecting:
		return "connecting"
	case Ready:
		return "ready"
	case Unwell:
		return "unwell"
	}
	return "stopped"
}

// Health is what is known about a server at one moment, fit to be shown: all
// text from the server is cleaned, and no configured secret is in it.
type Health struct {
	State State
	Since time.Time // when State was entered
	Err   string    // why the last attempt or connection ended; empty while ready

	Protocol, ServerName, ServerVersion string // as the server says; empty until it was ready once
	Instructions                        string

	Restarts   int      // attempts to connect after the first one
	InFlight   int      // calls under way
	Skipped    int64    // messages and lines that were no message for us, on the present connection
	LastStderr []string // the last lines, at most 20 of 500 bytes
	PID        int      // of the child; 0 for HTTP and between children
}

// The pause before a server is connected again, growing from the first to the
// second, and how long a connection must last for the pause to start small again.
const (
	retryFrom = time.Second
	retryTo   = 60 * time.Second
	stable    = 60 * time.Second
)

func retryDelays(from, to time.Duration) *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = from, to
	b.Multiplier, b.RandomizationFactor = 2, 0.5
	b.Reset()
	return b
}

// Server is one MCP server of a Pool.
type Server struct {
	cfg      Config
	log      *slog.Logger
	secret   *redactor
	late     *fault // of a call that took too long
	places   chan struct{}
	watching atomic.Int64 // resources of which clients hear
	waiting  atomic.Int64 // questions that nobody has answered yet
	inFlight atomic.Int64
	changed  chan struct{} // holds one unannounced change

	retryFrom, retryTo time.Duration // a test shortens them
	userIdle           time.Duration // likewise

	mu      sync.Mutex
	health  Health
	conn    *conn         // nil unless Ready
	turn    chan struct{} // closed at the next change of state
	end     context.Context
	hooks   []func()
	schemas map[string]json.RawMessage // input schemas with x-mcp-header, by tool
	skip    bool                       // the probe for the newer era ended the last connection
	users   map[string]*userConn       // by grant; nil once they are closed for good
	closing sync.WaitGroup             // connections of users that end in the background

	userLife context.Context // ends when the connections of users do
	endUsers context.CancelFunc
}

func newServer(c Config, log *slog.Logger) *Server {
	s := &Server{
		cfg: c, log: log.With("server", c.Name), secret: newRedactor(c),
		places: make(chan struct{}, c.Concurrency), changed: make(chan struct{}, 1),
		retryFrom: retryFrom, retryTo: retryTo, userIdle: userIdle,
		turn: make(chan struct{}), end: context.Background(), users: map[string]*userConn{}, health: Health{Since: time.Now()},
	}
	s.late = faultf(ErrTimeout, "server %s did not answer within %s: the call may have been carried out; check before you repeat it, or raise CallTimeout", c.Name, c.CallTimeout)
	s.userLife, s.endUsers = context.WithCancel(context.Background())
	return s
}

// Name is the configured name.
func (s *Server) Name() string { return s.cfg.Name }

// OnListChanged has f called, in a goroutine of the pool, when the server
// says that its tools changed, and after every connect, since a server may
// come back with other tools. Calls come one at a time; several changes may
// become one call. f must not block for long.
func (s *Server) OnListChanged(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks = append(s.hooks, f)
}

// Health reports where the server stands.
func (s *Server) Health() Health {
	s.mu.Lock()
	h, c := s.health, s.conn
	s.mu.Unlock()
	h.InFlight = int(s.inFlight.Load())
	if c != nil {
		h.PID, h.Skipped, h.LastStderr = c.pid, c.skipped.Load(), c.stderr.last()
	}
	return h
}

func (s *Server) begin() { s.enter(Connecting, nil, nil) }

// enter changes the state and wakes those who wait for that.
func (s *Server) enter(state State, c *conn, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		s.health.LastStderr = s.conn.stderr.last()
	}
	s.conn = c
	if state == Connecting && s.health.State == Unwell {
		s.health.Restarts++
	}
	s.health.State, s.health.Since = state, time.Now()
	if err != nil {
		s.health.Err = s.secret.words(err.Error(), 1000)
	}
	if c != nil {
		s.health.Err = ""
		s.health.Protocol, s.health.ServerName, s.health.ServerVersion = c.protocol(), c.info.name, c.info.version
		s.health.Instructions = c.info.instructions
	}
	close(s.turn)
	s.turn = make(chan struct{})
}

func (s *Server) endBy(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end = ctx
}

// endContext bounds how long a connection may take to end.
func (s *Server) endContext() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end
}

// note tells announce that the list may have changed.
func (s *Server) note() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func (s *Server) announce(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.changed:
		}
		s.mu.Lock()
		hooks := s.hooks
		s.mu.Unlock()
		for _, f := range hooks {
			f()
		}
	}
}

// run keeps the server connected until ctx ends.
func (s *Server) run(ctx context.Context) {
	var closing sync.WaitGroup
	defer closing.Wait()
	defer s.closeUsers()
	defer func() { s.enter(Stopped, nil, nil) }()
	pause := retryDelays(s.retryFrom, s.retryTo)
	for again := false; ctx.Err() == nil; again = true {
		if again {
			s.enter(Connecting, nil, nil)
		}
		c, err := s.connect(ctx)
		if err == nil {
			began := time.Now()
			err = s.serve(ctx, c)
			s.finish(ctx, c, &closing)
			if time.Since(began) > stable {
				pause.Reset()
			}
		}
		if ctx.Err() != nil {
			return
		}
		delay := pause.NextBackOff()
		s.enter(Unwell, nil, err)
		s.log.Warn("server is not connected", "err", s.secret.words(err.Error(), 1000), "retry", delay.Round(time.Millisecond))
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// serve lets the connection be used until it is lost or ctx ends.
func (s *Server) serve(ctx context.Context, c *conn) error {
	s.enter(Ready, c, nil)
	s.log.Info("server is connected", "protocol", c.protocol(), "pid", c.pid)
	s.note()
	c.tasks.Go(c.watch)
	select {
	case <-c.life.Done():
	case <-ctx.Done():
		c.fail(faultf(ErrClosed, "server %s: the pool was closed during the call", s.cfg.Name))
	}
	return context.Cause(c.life)
}

// finish ends a connection: a child at once, before the next is started; over
// HTTP in the background, so that calls in flight can still be answered.
func (s *Server) finish(ctx context.Context, c *conn, closing *sync.WaitGroup) {
	if c.listen == nil || ctx.Err() != nil {
		c.close(s.endContext(), 0)
		return
	}
	closing.Go(func() {
		end, cancel := context.WithCancel(s.endContext())
		defer cancel()
		stop := context.AfterFunc(ctx, cancel)
		defer stop()
		c.close(end, s.cfg.CallTimeout)
	})
}

// dialAs prepares a connection that carries the tokens of the subject's present grant.
func (s *Server) dialAs(ctx context.Context, of Subject, secret *redactor) (*conn, error) {
	grant := ""
	if s.cfg.Auth != nil {
		t, err := s.cfg.Auth.Token(ctx, of, "")
		if err != nil {
			return nil, noToken(s.cfg.Name, secret, err)
		}
		grant = t.Grant
	}
	c, err := dialHTTP(&s.cfg, secret, s.log, s.note)
	if err == nil {
		c.of, c.grant = of, grant
	}
	return c, err
}

// connect makes one attempt.
func (s *Server) connect(ctx context.Context) (*conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.cfg.ConnectTimeout, faultf(ErrTimeout,
		"server %s did not answer the handshake within %s: check that it is an MCP server, or raise ConnectTimeout", s.cfg.Name, s.cfg.ConnectTimeout))
	defer cancel()
	var c *conn
	var err error
	if s.cfg.Command != "" {
		c, err = dialStdio(ctx, &s.cfg, s.secret, s.log, s.note)
	} else {
		c, err = s.dialAs(ctx, Subject{}, s.secret)
	}
	if err != nil {
		return nil, err
	}
	c.retryFrom, c.retryTo = s.retryFrom, s.retryTo
	err = c.shake(ctx, s.skip)
	if err == nil {
		return c, nil
	}
	// A child that ends during the probe is not probed the next time.
	s.skip = c.life.Err() != nil && c.modern() && !errors.Is(err, errUnreachable)
	c.fail(err)
	c.close(s.endContext(), 0)
	s.mu.Lock()
	s.health.LastStderr = c.stderr.last()
	s.mu.Unlock()
	return nil, err
}
