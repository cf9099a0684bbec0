// Package gateway owns the endpoint that an agent talks to: one MCP server per persona, at /k/{persona}/mcp for access keys
// and at /p/{persona}/mcp for people's own clients, in both eras
// of the protocol, which lists the tools that a reviewer approved, byte for byte, and forwards the calls that the same
// pins allow. Everything it decides is recorded, and whatever it cannot decide it refuses. No model is reachable from
// here.
package gateway

import (
	"context"
	"crypto/cipher"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"remit/approval"
	"remit/audit"
	"remit/catalog"
	"remit/identity"
	"remit/internal/remote"
	"remit/internal/strictjson"
	"remit/persona"
	"remit/policy"
	"remit/upstream"
)

// Personas returns a persona as it is stored now, with the definitions of its pins. It is asked on every request, so that
// another process's change holds from the next request on. A store.Store is one.
type Personas interface {
	Persona(ctx context.Context, id persona.ID) (persona.Persona, error) // persona.ErrNotFound
	// Frozen says whether the pin's tool once was something else, since when, and nobody has confirmed it yet.
	Frozen(ctx context.Context, id persona.ID, revision int, pin persona.Pin) (since time.Time, frozen bool, err error)
	// Suspensions returns what people have stopped.
	Suspensions(ctx context.Context) ([]persona.Suspension, error)
}

// Keys returns whom an access key's secret belongs to, if it may be used from the address, or identity.ErrCredential. An
// identity.Directory is one.
type Keys interface {
	Authenticate(ctx context.Context, secret string, from netip.Addr) (identity.Principal, error)
}

// Upstreams finds a server by its configured name.
type Upstreams interface {
	Server(name string) (Caller, bool)
}

// Caller calls a tool at most once and returns the result as the server sent it. An *upstream.Server is one.
type Caller interface {
	Call(ctx context.Context, call upstream.Call) (strictjson.Value, error)
	// Watch has updated called when the resource changes, until ctx ends; ready, once the server has agreed.
	Watch(ctx context.Context, uri string, ready, updated func()) error
}

// Limiter lets calls begin, or says why not, and counts them. A *policy.Limiter is one for one process, a *policy.Shared for several.
type Limiter interface {
	Take(ctx context.Context, s policy.Subject, p *policy.Compiled, now time.Time) (release func(), refused *policy.Refusal)
}

// Pool makes a pool's servers the gateway's upstreams.
func Pool(p *upstream.Pool) Upstreams { return pool{p} }

type pool struct{ *upstream.Pool }

func (p pool) Server(name string) (Caller, bool) { return p.Pool.Server(name) }

// Config says what a gateway decides with. All but OAuth of the first six fields are required.
type Config struct {
	Personas  Personas
	Keys      Keys
	OAuth     *OAuth                                // the way in for people's own clients; nil where there is none
	Current   func(catalog.ID) (catalog.Tool, bool) // the catalog's definition of a tool now
	Upstreams Upstreams
	Audit     audit.Log
	Limiter   Limiter        // of calls; default one that knows of no calls before the gateway's start
	MaskKey   []byte         // of masks that hash; without one they redact
	Approvals *approval.Desk // where people decide on calls; without one, calls that need an approval are refused
	History   policy.History // of calls, for the limits of shadows; default one that knows of no calls before the shadow
	// KeepArguments has the record hold what calls were sent, after masks.
	KeepArguments bool

	// Listed says why a server's tools may not be what Current returns, and nil when they are. Nil where the caller lists
	// the servers itself.
	Listed func(server string) error
	// Proxies are those whose word is taken for where a request comes from, which keys may be bound to. Default none.
	Proxies remote.Proxies
	// HideFrozen leaves tools out of lists whose calls would be refused because they are not, or not for certain, what was
	// approved. Without it lists keep the approved bytes.
	HideFrozen bool
	// AllowedHosts are the names, without ports, by which clients may reach the endpoint. Default localhost, 127.0.0.1
	// and ::1. A page that rebinds its own name to our address is refused by this.
	AllowedHosts []string
	// AllowedOrigins are the exact origins ("https://tools.example.com") whose pages may send requests. Default none;
	// requests without an Origin, which no browser sends across origins, are not affected.
	AllowedOrigins []string
	MaxBody        int64         // bytes of a request; default 4 MiB
	CallTimeout    time.Duration // of one call, from its arrival to its answer, or up to a 64th longer; default 2 minutes
	ApprovalWait   time.Duration // how long a call is held until a person decides on it, at most half of CallTimeout; 0 is not at all
	SessionIdle    time.Duration // after which a session of the older era ends; default 1 hour
	// SessionKey, which replicas share, lets each of them serve the sessions of the older era that another opened. Without one, a
	// session is its gateway's.
	SessionKey []byte
	// StateKey, which replicas share, is what clients' states between the rounds of a call are encrypted with. Default one that nobody
	// else has: the states end with the gateway.
	StateKey []byte
	// Answers hand what clients of the older era answer to the replica that asked. Nil where there is one.
	Answers Answers
	Recheck time.Duration // how often the key of an open stream is checked; default 15 seconds
	Version string        // of Remit, as clients are told; default "dev"
	// ForwardBaggage passes a caller's W3C baggage on to the servers. Default not: it is text of the agent's own that
	// neither schemas nor policies see.
	ForwardBaggage bool
	// Account says why a call of the server may not be made for the subject, and nil when it may. Nil where no server is
	// called with people's accounts.
	Account func(ctx context.Context, server string, of upstream.Subject) error
	// Connections is the address of the page on which people connect their accounts. Agents are told it where a call needs
	// one.
	Connections string
	Observer    Observer // of requests; default none
	Log         *slog.Logger
	Now         func() time.Time
}

// Bounds on what one key may hold at a time. Over maxSessions the one that was idle longest ends; over maxStreams the
// request is refused.
const (
	maxSessions = 64
	maxStreams  = 32
)

// Gateway is the handler. It runs nothing in the background but what requests and streams need; Close ends these.
type Gateway struct {
	c        Config
	hosts    map[string]bool
	origins  map[string]bool
	sessions sessions
	refusals audit.Bounded
	streams  streams
	serving  atomic.Int64 // requests

	mu       sync.Mutex
	views    map[persona.ID]*view
	shadows  map[persona.ID]*beside
	busy     sync.WaitGroup
	states   cipher.AEAD // of what clients carry between the rounds of a call
	held     parking
	waiting  waiting
	closed   bool
	closing  chan struct{}   // closed by Close: streams end
	stopping context.Context // the same
	stop     context.CancelFunc
	life     context.Context
	end      context.CancelCauseFunc // ends calls in flight
	calls    patience
	records  patience
}

// New returns a gateway. It panics when a required field is missing, which is a defect of the program.
func New(c Config) *Gateway {
	if c.Personas == nil || c.Keys == nil || c.Current == nil || c.Upstreams == nil || c.Audit == nil {
		panic("gateway: Personas, Keys, Current, Upstreams and Audit are required")
	}
	if c.AllowedHosts == nil {
		c.AllowedHosts = []string{"localhost", "127.0.0.1", "::1"}
	}
	c.MaxBody = orDefault(c.MaxBody, 4<<20)
	c.CallTimeout = orDefault(c.CallTimeout, 2*time.Minute)
	c.ApprovalWait = min(c.ApprovalWait, c.CallTimeout/2)
	c.SessionIdle = orDefault(c.SessionIdle, time.Hour)
	c.Recheck = orDefault(c.Recheck, 15*time.Second)
	c.Version = orDefault(c.Version, "dev")
	c.Log = orDefault(c.Log, slog.Default())
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Limiter == nil {
		c.Limiter = policy.NewLimiter(nil)
	}
	g := &Gateway{c: c, hosts: map[string]bool{}, origins: map[string]bool{}, views: map[persona.ID]*view{}, shadows: map[persona.ID]*beside{}, closing: make(chan struct{})}
	g.life, g.end = context.WithCancelCause(context.Background())
	g.stopping, g.stop = context.WithCancel(context.Background())
	for _, h := range c.AllowedHosts {
		g.hosts[hostName(h)] = true
	}
	for _, o := range c.AllowedOrigins {
		g.origins[o] = true
	}
	g.states = sealing(c.StateKey)
	g.sessions.idle, g.sessions.now, g.sessions.key = c.SessionIdle, c.Now, c.SessionKey
	g.refusals.Append = c.Audit.Append
	g.refusals.Failed = func(err error) { g.complain("how many requests were refused could not be recorded", err) }
	return g
}

func orDefault[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

// Paths are those below which everything is the gateway's.
var Paths = []string{"/k/", "/p/", wellKnown + "/"}

// Serves says that a URL's path is that of a persona's endpoint, in its one spelling: a mux would find nothing else for it. One that is
// spelled with escapes which it does not need is left to the mux: to that, %2F separates nothing.
func Serves(u *url.URL) bool {
	id, ok := personaOf("/k/", u.Path)
	if !ok {
		id, ok = personaOf("/p/", u.Path)
	}
	return ok && id[0] != '.' && u.RawPath == ""
}

// ServeHTTP serves /k/{persona}/mcp and, with OAuth, /p/{persona}/mcp and its metadata, and nothing else.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !g.enter() {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "Remit is shutting down; try again in a few seconds", http.StatusServiceUnavailable)
		return
	}
	defer g.busy.Done()
	g.serving.Add(1)
	defer g.serving.Add(-1)
	h := w.Header()
	h["Cache-Control"], h["X-Content-Type-Options"] = noStore, noSniffs
	x := &exchange{w: w, r: r, seen: g.watch()}
	defer g.ended(x)
	if g.admit(x) {
		g.dispatch(x)
	}
}

// enter counts a request in, unless the gateway is closed.
func (g *Gateway) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.busy.Add(1)
	return true
}

// Notify says that a persona, or one of its keys, changed: what is kept of it is dropped, streams whose key is no longer
// valid end, and the others, of this persona only, are told that the list changed; when it allows nothing they end, too.
func (g *Gateway) Notify(id persona.ID) {
	g.mu.Lock()
	delete(g.views, id)
	g.mu.Unlock()
	g.streams.notify(id)
}

// Moved says that what a person may do changed: the streams of clients that work for them end, unless these still may. The
// others hear that their list changed.
func (g *Gateway) Moved(person string) {
	g.streams.tell(func(l *listener) bool { return l.user == person })
}

// Close refuses new requests, ends streams and waits for the calls in flight. When ctx ends first, they are cancelled
// and the error says so; either way nothing runs when Close returns.
func (g *Gateway) Close(ctx context.Context) error {
	g.mu.Lock()
	if !g.closed {
		g.closed = true
		close(g.closing)
	}
	g.mu.Unlock()
	g.stop()
	g.held.end() // whose clients cannot come back
	idle := make(chan struct{})
	go func() { g.busy.Wait(); close(idle) }()
	var err error
	select {
	case <-idle:
	case <-ctx.Done():
		err = fmt.Errorf("calls in flight were cancelled because they did not end in time: %w", ctx.Err())
	}
	g.end(errClosing)
	<-idle
	g.refusals.Flush()
	return err
}

// complain logs what only an operator can put right.
func (g *Gateway) complain(what string, err error) {
	g.c.Log.Error(what, "err", err)
}
