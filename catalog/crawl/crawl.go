// Package crawl owns how the catalog follows its upstreams: when a server is listed, what is kept of a listing, and
// which texts are embedded. One server's trouble stays its own: every server is listed by itself, and what it offered
// before stays known until it lists again.
package crawl

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sort"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"remit/catalog"
	"remit/upstream"
)

// Store keeps what was crawled.
type Store interface {
	// Tools are those of the servers, or all if none is named.
	Tools(ctx context.Context, servers ...string) ([]catalog.Tool, error)
	Servers(ctx context.Context) ([]string, error)
	// SaveListing makes tools what the server offers; it writes only what differs and records that it did. Pins that a
	// tool drifted from by it stay frozen until a person has seen to them. It is ErrTurn when the turn is over.
	SaveListing(ctx context.Context, turn Turn, tools []catalog.Tool, at time.Time) (Changes, error)
	// Freeze freezes the pins that a listing drifts from and keeps nothing else of it. With a reason, an entry says so.
	Freeze(ctx context.Context, server string, tools []catalog.Tool, at time.Time, reason string) (Changes, error)
	// Forget marks the tools of a server that is no longer configured as gone, without freezing a pin.
	Forget(ctx context.Context, server string, at time.Time) error
	// Vectors are those of the texts, or all if none is given.
	Vectors(ctx context.Context, model string, texts ...TextHash) (map[TextHash][]float32, error)
	SaveVectors(ctx context.Context, model string, vectors map[TextHash][]float32) error
	// KeepVectors deletes the vectors of every other model and of every text that is not among texts. It is ErrTurn when the turn is over.
	KeepVectors(ctx context.Context, turn Turn, model string, texts map[TextHash]bool) error
}

// TextHash is the SHA-256 of a text that was embedded.
type TextHash [32]byte

// Changes is what a listing changed.
type Changes struct{ Added, Changed, Back, Gone []catalog.ID }

// None says that nothing changed.
func (c Changes) None() bool { return len(c.Added)+len(c.Changed)+len(c.Back)+len(c.Gone) == 0 }

// Detail is c as an audit entry tells it, with at most 20 names of a kind.
func (c Changes) Detail(server string) map[string]string {
	d := map[string]string{"server": server}
	for kind, ids := range map[string][]catalog.ID{"added": c.Added, "changed": c.Changed, "back": c.Back, "gone": c.Gone} {
		if len(ids) == 0 {
			continue
		}
		names := make([]string, 0, 20)
		for _, id := range ids[:min(len(ids), 20)] {
			_, tool := id.Split()
			names = append(names, tool)
		}
		sort.Strings(names)
		d[kind] = fmt.Sprintf("%d: %s", len(ids), strings.Join(names, ", "))
	}
	return d
}

// Config of a Crawler.
type Config struct {
	Servers  []*upstream.Server
	Store    Store
	Turns    Turns         // of the processes that share the store; nil where this one is alone
	Lease    time.Duration // how long a turn lasts without being renewed; default 15 seconds
	Catalog  *catalog.Catalog
	Embedder catalog.Embedder               // nil: words only
	Tokens   func([]byte) int               // cost of a definition
	Interval time.Duration                  // between crawls of all servers; default 15 minutes
	Grace    time.Duration                  // how long listings may fail before Listed says so; default 1 hour
	Changed  func(server string, c Changes) // called after a listing that changed something; may be nil
	// Listed is called after each listing of a server, with how long it took and why it failed; may be nil.
	Listed func(server string, took time.Duration, err error)
	Log    *slog.Logger
	Now    func() time.Time

	// Pause is the least time between two listings that a server's announcements cause; while it keeps changing, or
	// cannot be listed, the pause doubles up to LongestPause. Defaults 5 seconds and 10 minutes.
	Pause, LongestPause time.Duration
	// MaxChanges is how many listings of a server that change something are kept within an hour. Default 10.
	MaxChanges int
}

func (cfg Config) withDefaults() Config {
	for _, d := range []struct {
		value     *time.Duration
		otherwise time.Duration
	}{{&cfg.Interval, 15 * time.Minute}, {&cfg.Lease, 15 * time.Second}, {&cfg.Grace, time.Hour}, {&cfg.Pause, 5 * time.Second}, {&cfg.LongestPause, 10 * time.Minute}} {
		if *d.value <= 0 {
			*d.value = d.otherwise
		}
	}
	if cfg.MaxChanges <= 0 {
		cfg.MaxChanges = 10
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg
}

// Crawler keeps a catalog up to date.
type Crawler struct {
	cfg       Config
	followers map[string]*follower // by server

	mu     sync.Mutex
	tools  map[string][]catalog.Tool // by server
	status map[string]*ServerStatus
	dirty  chan struct{} // the index is to be built anew
	stale  bool          // tools hold what the catalog does not

	looking sync.Mutex    // one look at the turns at a time
	woken   chan struct{} // look at once
	texts   struct {
		sync.Mutex
		place // of the embedding of texts
	}

	building sync.Mutex // one rebuild at a time
	vectors  map[TextHash][]float32
	passages map[catalog.ID]passages // of tools, so that they are cut out once
}

// ServerStatus is how a server looks to a person.
type ServerStatus struct {
	Server    string
	Health    upstream.Health
	LastCrawl time.Time // that succeeded; zero if none did
	By        string    // the replica that crawls it; empty where there is one alone, or none does
	Tools     int
	Err       string   // of the last crawl, empty when it succeeded
	Rejected  []string // tools that were left out, and why
}

// New returns a crawler that knows nothing yet: Load comes before everything else.
func New(cfg Config) *Crawler {
	cfg = cfg.withDefaults()
	c := &Crawler{cfg: cfg, tools: map[string][]catalog.Tool{}, status: map[string]*ServerStatus{}, followers: map[string]*follower{}, dirty: make(chan struct{}, 1), woken: make(chan struct{}, 1)}
	for _, s := range cfg.Servers {
		c.status[s.Name()], c.followers[s.Name()] = &ServerStatus{Server: s.Name()}, newFollower(s, cfg)
	}
	return c
}

// Load has the catalog hold what the store knows, so that a restart serves before the first crawl.
func (c *Crawler) Load(ctx context.Context) error {
	if err := c.forget(ctx); err != nil {
		return err
	}
	if err := c.begin(ctx); err != nil {
		return err
	}
	var read errgroup.Group
	var tools []catalog.Tool
	read.Go(func() (err error) {
		tools, err = c.cfg.Store.Tools(ctx)
		return err
	})
	var vectors map[TextHash][]float32
	if c.cfg.Embedder != nil {
		read.Go(func() (err error) {
			vectors, err = c.cfg.Store.Vectors(ctx, c.cfg.Embedder.Model())
			return err
		})
	}
	if err := read.Wait(); err != nil {
		return err
	}
	c.mu.Lock()
	for _, t := range tools {
		if t.Gone {
			continue // a tool that comes back is new
		}
		c.tools[t.Server()] = append(c.tools[t.Server()], t)
		if s := c.status[t.Server()]; s != nil {
			s.Tools, s.LastCrawl = s.Tools+1, t.LastSeen
		}
	}
	if c.cfg.Turns != nil {
		for name, f := range c.followers {
			teach(f, c.tools[name])
		}
	}
	c.vectors = vectors
	c.mu.Unlock()
	return c.replace()
}

// forget marks the tools of servers that are no longer configured as gone.
func (c *Crawler) forget(ctx context.Context) error {
	known, err := c.cfg.Store.Servers(ctx)
	if err != nil {
		return err
	}
	for _, name := range known {
		if c.status[name] == nil {
			if err := c.cfg.Store.Forget(ctx, name, c.cfg.Now()); err != nil {
				return err
			}
		}
	}
	return nil
}

// begin reads whose turn it is, before what they kept is.
func (c *Crawler) begin(ctx context.Context) error {
	if c.cfg.Turns == nil {
		return nil
	}
	now := c.cfg.Now()
	turns, err := c.cfg.Turns.Turns(ctx, nil, c.cfg.Lease)
	c.texts.Lock()
	defer c.texts.Unlock()
	for _, t := range turns {
		if f := c.followers[t.Server]; f != nil {
			f.mu.Lock()
			f.loaded, f.turn, f.looked = t.Kept, t, now
			f.mu.Unlock()
		} else if t.Server == textsTurn {
			c.texts.turn = t
		}
	}
	return err
}

// Status returns every configured server by name.
func (c *Crawler) Status() []ServerStatus {
	out := make([]ServerStatus, 0, len(c.cfg.Servers))
	for _, s := range c.cfg.Servers {
		c.mu.Lock()
		st := *c.status[s.Name()]
		c.mu.Unlock()
		st.Health = s.Health()
		c.followers[s.Name()].tell(&st, c.cfg.Now())
		out = append(out, st)
	}
	return out
}

// Event tells a person how a crawl goes on.
type Event struct {
	Phase       string // "list": a server is done; "embed": texts are done
	Server      string
	Tools       int // of the server
	Err         string
	Done, Total int
}

// Report sums up a crawl.
type Report struct {
	Servers, Tools, Added, Changed, Gone, Embedded int
	Took                                           time.Duration
	Failed                                         map[string]string // server → why
	Rejected                                       map[string][]string
}

// Crawl lists every server once. A server that fails is in the report; the error is for the store or the embedder.
func (c *Crawler) Crawl(ctx context.Context, progress func(Event)) (Report, error) {
	start := time.Now()
	r := Report{Servers: len(c.cfg.Servers), Failed: map[string]string{}, Rejected: map[string][]string{}}
	if progress == nil {
		progress = func(Event) {}
	}
	var mu sync.Mutex
	var done int
	var g errgroup.Group
	if c.cfg.Turns != nil {
		end, err := c.takeTexts(ctx)
		if err != nil {
			return r, err
		}
		defer end()
	}
	for _, s := range c.cfg.Servers {
		g.Go(func() error {
			changes, err := c.listNow(ctx, s)
			c.mu.Lock()
			st := *c.status[s.Name()]
			c.mu.Unlock()
			mu.Lock()
			defer mu.Unlock()
			r.Added, r.Changed, r.Gone = r.Added+len(changes.Added)+len(changes.Back), r.Changed+len(changes.Changed), r.Gone+len(changes.Gone)
			e := Event{Phase: "list", Server: s.Name(), Tools: st.Tools, Total: len(c.cfg.Servers)}
			if err != nil {
				r.Failed[s.Name()], e.Err = err.Error(), err.Error()
			}
			if len(st.Rejected) > 0 {
				r.Rejected[s.Name()] = st.Rejected
			}
			r.Tools += st.Tools
			done++
			e.Done = done
			progress(e)
			return nil
		})
	}
	_ = g.Wait()
	if ctx.Err() != nil {
		return r, ctx.Err()
	}
	var err error
	r.Embedded, err = c.rebuild(ctx, progress)
	r.Took = time.Since(start)
	return r, err
}

// Recrawl lists one server now, beside a running crawler. That the server could not be listed is in its status, and no error.
func (c *Crawler) Recrawl(ctx context.Context, server string) error {
	f := c.followers[server]
	if f == nil {
		return fmt.Errorf("server %s is not crawled: look at the configuration", server)
	}
	if _, err := c.listNow(ctx, f.server); err != nil && ctx.Err() == nil {
		c.cfg.Log.Warn("crawl failed", "server", server, "error", err)
	}
	poke(c.dirty)
	return ctx.Err()
}

// listNow lists a server from here, whoever's turn it is: it is ours then.
func (c *Crawler) listNow(ctx context.Context, s *upstream.Server) (Changes, error) {
	if c.cfg.Turns != nil {
		t, err := c.cfg.Turns.Take(ctx, s.Name(), c.cfg.Lease)
		if err == nil {
			err = c.see(ctx, t, c.cfg.Now())
		}
		if err != nil {
			return Changes{}, err
		}
	}
	return c.list(ctx, s)
}

// list asks one server for its tools and keeps them.
func (c *Crawler) list(ctx context.Context, s *upstream.Server) (changes Changes, err error) {
	f := c.followers[s.Name()]
	f.listing.Lock()
	defer f.listing.Unlock()
	turn, err := f.ours(c.cfg.Now())
	if err != nil {
		return Changes{}, err
	}
	defer func() {
		if err != nil && ctx.Err() == nil {
			c.failed(ctx, f, turn, err)
		}
	}()
	if c.cfg.Listed != nil {
		began := time.Now()
		defer func() { c.cfg.Listed(s.Name(), time.Since(began), err) }()
	}
	start := c.cfg.Now()
	listing, err := s.List(ctx)
	if err != nil {
		return Changes{}, err
	}
	tools, rejected := c.read(s.Name(), listing)
	at := c.cfg.Now().UTC()
	changes, kept, err := c.keep(ctx, f, turn, tools, at)
	if err != nil {
		return Changes{}, fmt.Errorf("keeping the tools of %s: %w", s.Name(), err)
	}
	if kept {
		c.merge(s.Name(), tools, at)
		if len(changes.Changed)+len(changes.Gone) > 0 { // the gateway must know at once; additions may wait for the rebuild
			err = c.replace()
		}
	}
	trouble := ""
	f.note(func(now *course) {
		if now.listed(start, at, !changes.None(), kept); now.unsteady {
			trouble = "the server " + now.unsteadiness()
		}
	})
	c.note(s.Name(), func(st *ServerStatus) {
		st.Err, st.Rejected, st.LastCrawl = trouble, rejected, at
		if kept {
			st.Tools = len(tools)
		}
	})
	if told := c.listed(ctx, f, turn, tools, LastListing{Problem: trouble, Rejected: rejected}, kept && !changes.None()); told != nil {
		c.cfg.Log.Warn("other replicas do not hear how a crawl went", "server", s.Name(), "error", told)
	}
	if err == nil && kept && !changes.None() && c.cfg.Changed != nil {
		c.cfg.Changed(s.Name(), changes)
	}
	return changes, err
}

// keep saves a listing, unless the server has changed so often that one more change is not to be kept: then the pins that
// it drifts from are frozen, and an entry says so once.
func (c *Crawler) keep(ctx context.Context, f *follower, turn Turn, tools []catalog.Tool, at time.Time) (changes Changes, kept bool, err error) {
	var full bool
	reason := ""
	f.note(func(now *course) {
		if full = now.full(at); full && !now.unsteady {
			reason = "the server " + now.unsteadiness()
		}
	})
	if full {
		if changes, err = c.cfg.Store.Freeze(ctx, f.server.Name(), tools, at, reason); err != nil || !changes.None() {
			return changes, false, err
		}
	}
	changes, err = c.cfg.Store.SaveListing(ctx, turn, tools, at)
	return changes, true, err
}

func (c *Crawler) note(server string, change func(*ServerStatus)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(c.status[server])
}

// read parses a listing. A name that occurs twice is left out altogether: nobody can tell which of the two a call means.
func (c *Crawler) read(server string, listing upstream.Listing) (tools []catalog.Tool, rejected []string) {
	c.mu.Lock()
	cost := map[catalog.Digest]int{}
	for _, t := range c.tools[server] {
		cost[t.Digest] = t.Tokens
	}
	c.mu.Unlock()
	count := map[catalog.ID]int{}
	add := func(kind catalog.Kind, what string, i int, def json.RawMessage) {
		if kind != catalog.ATool {
			def = catalog.Wrap(kind, def)
		}
		t, err := catalog.Parse(server, def)
		if err == nil && t.Kind != kind {
			err = fmt.Errorf("it is kept as a %s is", t.Kind) // a tool whose definition pretends to be of another kind
		}
		if err != nil {
			rejected = append(rejected, fmt.Sprintf("%s %d of the list: %v", what, i+1, err))
			return
		}
		if count[t.ID]++; count[t.ID] > 1 {
			return
		}
		if t.Tokens = cost[t.Digest]; t.Tokens == 0 {
			t.Tokens = c.cfg.Tokens(def)
		}
		tools = append(tools, t)
	}
	for i, def := range listing.Tools {
		add(catalog.ATool, "tool", i, def)
	}
	for i, def := range listing.Prompts {
		add(catalog.APrompt, "prompt", i, def)
	}
	for i, def := range listing.Resources {
		add(catalog.AResource, "resource", i, def)
	}
	for i, def := range listing.Templates {
		add(catalog.ATemplate, "resource template", i, def)
	}
	once := tools[:0]
	for _, t := range tools {
		if n := count[t.ID]; n > 1 {
			rejected = append(rejected, fmt.Sprintf("%s is listed %d times; a server must not do that, so none of them is used", t.Name, n))
			continue
		}
		once = append(once, t)
	}
	return once, rejected
}

// merge makes tools what is known of the server, with when they were first seen.
func (c *Crawler) merge(server string, tools []catalog.Tool, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := map[catalog.ID]catalog.Tool{}
	for _, t := range c.tools[server] {
		known[t.ID] = t
	}
	next := make([]catalog.Tool, 0, len(tools))
	for _, t := range tools {
		t.FirstSeen, t.LastSeen = at, at
		if old, ok := known[t.ID]; ok {
			t.FirstSeen = old.FirstSeen
		}
		next = append(next, t)
	}
	c.tools[server] = next
	c.stale = true
}
