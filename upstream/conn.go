package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	strict "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"

	"remit/internal/strictjson"
)

// conn is one connection to one server: a child process, or a session or
// version agreed over HTTP. Once lost it is never used again.
type conn struct {
	cfg    *Config
	secret *redactor
	log    *slog.Logger

	wire transport.Interface
	// direct sends calls of tools over HTTP, past mcp-go, which decodes and
	// encodes each message on both ways. Nil for stdio.
	direct func(ctx context.Context, p *pending, r request, params pieces) (strictjson.Value, error)
	reply  func(raw []byte) // sends an answer to the server's request; never blocks
	// answer does the same, and waits until it is sent. Nil for stdio, where
	// calls are asked for nothing.
	answer func(ctx context.Context, raw []byte)
	stop   func(context.Context)
	// listen keeps the stream open on which an HTTP server of the older era
	// announces changes. Nil for stdio.
	listen    func(context.Context) error
	onChanged func()
	pid       int
	stderr    *tail // nil for HTTP

	of    Subject // for whom the messages that are no calls are sent
	grant string  // whose tokens the connection carries

	version  atomic.Value // string; empty before and during the handshake of the older era
	metaOnce sync.Once
	meta     []byte
	info     serverInfo

	nextID  atomic.Int64
	skipped atomic.Int64 // what the server sent that was not a message for us

	retryFrom, retryTo time.Duration // for the stream of announcements

	life    context.Context // ends when the connection is lost
	lose    context.CancelCauseFunc
	mu      sync.Mutex
	down    error // why every request fails from now on
	idle    *sync.Cond
	pending map[int64]*pending
	watched map[string][]*watcher // resources of an older server, by URI
	turns   map[string]*turn      // of what is said about them, by URI
	level   string                // of log messages that an older server was asked for; the most that any call wanted
	tasks   sync.WaitGroup
}

// serverInfo is what a server says about itself, cleaned. It is for display only.
type serverInfo struct {
	name, version, instructions string
	listChanged                 bool
	subscribes                  bool            // it tells of changes of single resources
	offers                      map[string]bool // beside tools
	tasks                       bool            // it takes calls of tools as tasks; of the older era
}

func newConn(cfg *Config, secret *redactor, log *slog.Logger, onChanged func()) *conn {
	c := &conn{cfg: cfg, secret: secret, log: log, onChanged: onChanged, pending: map[int64]*pending{}, watched: map[string][]*watcher{}, turns: map[string]*turn{}}
	c.idle = sync.NewCond(&c.mu)
	c.version.Store("")
	c.life, c.lose = context.WithCancelCause(context.Background())
	return c
}

func (c *conn) protocol() string { return c.version.Load().(string) }
func (c *conn) modern() bool     { return mcp.IsModernProtocol(c.protocol()) }

// use sets the protocol version for the requests that follow.
func (c *conn) use(version string) {
	c.version.Store(version)
	if h, ok := c.wire.(transport.HTTPConnection); ok {
		h.SetProtocolVersion(version)
	}
}

type pendingKey struct{}

// request is one JSON-RPC request.
type request struct {
	method    string
	params    map[string]any
	called    string          // the tool or prompt that is params.name, or the resource that is params.uri
	arguments json.RawMessage // params.arguments; nil is none
	meta      map[string]json.RawMessage
	progress  bool            // is wanted
	level     string          // of log messages that are wanted; empty is none
	notices   chan notice     // what comes of both, and of pages that it asked for
	schema    json.RawMessage // the called tool's input schema, for x-mcp-header
	call      bool            // made for an agent
	cancel    func()          // ends the context that the request is sent with; nil where that is not the request's own
	heard     func(message)   // gets the notifications of a subscription, one at a time
	asks      []string        // what the server may ask for
	tasks     bool            // a task is taken for an answer, or is what is asked about
	answer    func(context.Context, Asked) (json.RawMessage, error)
}

// do sends a request and returns the result's bytes. When ctx ends, the
// server is told to stop, in the way its era and transport have for that.
// It always closes r.notices.
func (c *conn) do(ctx context.Context, r request) (result strictjson.Value, err error) {
	id := c.nextID.Add(1)
	if r.cancel == nil {
		ctx, r.cancel = context.WithCancel(ctx)
		defer r.cancel()
	}
	p := &pending{id: id, cancel: r.cancel, progress: r.progress, logs: r.level != "", notices: r.notices, direct: c.direct != nil && r.call, heard: r.heard}
	if len(r.asks) > 0 && r.answer != nil && c.answer != nil {
		asked, end := context.WithCancel(ctx)
		p.asking = &asking{ctx: asked, answer: r.answer, pages: map[string]bool{}}
		defer p.asking.tasks.Wait()
		defer end()
	}
	params, err := c.params(id, r)
	if err == nil {
		err = c.register(p)
	}
	if err != nil {
		if r.notices != nil {
			close(r.notices)
		}
		return strictjson.Value{}, err
	}
	send := c.relay
	if p.direct {
		send = c.direct
	}
	result, err = send(ctx, p, r, params)
	cause := c.causeOf(ctx, p)
	if err != nil && cause != nil {
		c.cancelled(cause, r.method, id) // before unregister: close waits for it
	}
	c.unregister(p)
	if err != nil {
		return strictjson.Value{}, c.explain(ctx, cause, r.method, err)
	}
	if p.failure != nil {
		return strictjson.Value{}, c.rpcError(p.failure)
	}
	return result, nil
}

// relay has mcp-go's transport send a request.
func (c *conn) relay(ctx context.Context, p *pending, r request, params pieces) (strictjson.Value, error) {
	response, err := c.wire.SendRequest(context.WithValue(ctx, pendingKey{}, p), transport.JSONRPCRequest{
		JSONRPC: mcp.JSONRPC_VERSION, ID: mcp.NewRequestId(p.id), Method: r.method, Params: params.whole(), Header: c.headers(r.method)})
	if err != nil {
		return strictjson.Value{}, err
	}
	return strictjson.Value{Text: response.Result}, nil
}

func (c *conn) register(p *pending) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down != nil {
		return c.down
	}
	c.pending[p.id] = p
	return nil
}

// unregister ends a request: from here on nothing is written to p.
func (c *conn) unregister(p *pending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pending, p.id)
	if p.notices != nil {
		close(p.notices)
	}
	c.idle.Broadcast()
}

// fail ends the connection at once: requests that have no answer yet fail with err.
func (c *conn) fail(err error) {
	c.retire(err)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.pending {
		if !p.answered {
			p.fail(c.down)
		}
	}
}

// causeOf is why a request ended, of which ctx is the context; nil if it has not.
func (c *conn) causeOf(ctx context.Context, p *pending) error {
	cause := context.Cause(ctx)
	if cause == context.Canceled {
		c.mu.Lock()
		defer c.mu.Unlock()
		if p.lost != nil {
			return p.lost
		}
	}
	return cause
}

// retire lets no further request use the connection; those in flight go on.
func (c *conn) retire(err error) {
	c.mu.Lock()
	if c.down == nil {
		c.down = err
	}
	down := c.down
	c.mu.Unlock()
	c.lose(down)
}

// close waits at most grace for requests in flight, then ends everything.
func (c *conn) close(ctx context.Context, grace time.Duration) {
	c.retire(faultf(ErrClosed, "server %s: the connection was closed", c.cfg.Name))
	timer := time.AfterFunc(grace, func() { c.fail(c.down) })
	done := context.AfterFunc(ctx, func() { c.fail(c.down) })
	c.mu.Lock()
	for len(c.pending) > 0 {
		c.idle.Wait()
	}
	c.mu.Unlock()
	timer.Stop()
	done()
	c.stop(ctx)
	c.tasks.Wait()
}

// cancelled tells the server that nobody waits for the answer any more. Over
// HTTP the newer era has closed the stream, which says the same.
func (c *conn) cancelled(cause error, method string, id int64) {
	_, http := c.wire.(transport.HTTPConnection)
	if method == "initialize" || method == "server/discover" || (http && c.modern()) || c.life.Err() != nil || errors.Is(cause, ErrTooLarge) {
		return
	}
	reason := "the caller gave up"
	if errors.Is(cause, ErrTimeout) {
		reason = "time-out"
	}
	c.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(c.life, 5*time.Second)
		defer cancel()
		_ = c.notify(ctx, "notifications/cancelled", map[string]any{"requestId": id, "reason": reason})
	})
}

func (c *conn) notify(ctx context.Context, method string, params map[string]any) error {
	n := mcp.JSONRPCNotification{JSONRPC: mcp.JSONRPC_VERSION}
	n.Method = method
	n.Params.AdditionalFields = params
	return c.wire.SendNotification(ctx, n)
}

// explain turns what mcp-go reports into one of our errors. Its own words are
// not used: they can hold the URL and with it a secret.
func (c *conn) explain(ctx context.Context, cause error, method string, err error) error {
	var f *fault
	if cause != nil && errors.As(cause, &f) {
		return f
	}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &fault{kind: ErrTimeout, more: context.DeadlineExceeded,
			text: "server " + c.cfg.Name + " did not answer " + method + " before the caller's deadline: try again later or allow more time"}
	case ctx.Err() != nil:
		return &fault{kind: context.Canceled, text: "server " + c.cfg.Name + ": " + method + " was cancelled by the caller"}
	case errors.As(err, &f):
		return f
	}
	c.mu.Lock()
	down := c.down
	c.mu.Unlock()
	if down != nil {
		return down
	}
	if _, ok := c.wire.(transport.HTTPConnection); !ok {
		return faultf(ErrUnavailable, "server %s closed the connection: look at its last error lines and restart it", c.cfg.Name)
	}
	return faultf(ErrInvalid, "server %s did not answer %s as the protocol says: check that the url is that of an MCP endpoint", c.cfg.Name, method)
}

// rpcError reads the error member of an answer; some servers send a bare string.
func (c *conn) rpcError(raw json.RawMessage) *RPCError {
	var e struct {
		Code    int             `json:"code"`
		Message json.RawMessage `json:"message"`
		Data    json.RawMessage `json:"data"`
	}
	if json.Unmarshal(raw, &e) != nil {
		e.Code, e.Message = mcp.INTERNAL_ERROR, raw
	}
	var text string
	if json.Unmarshal(e.Message, &text) != nil {
		text = cut(string(e.Message), maxErrorText)
		e.Message = quote(text)
	}
	return &RPCError{Code: e.Code, Message: c.secret.words(text, maxErrorText), Text: c.secret.quoted(e.Message), Data: c.secret.data(e.Data)}
}

// params are the request's parameters with the _meta that the era asks for.
// Raw values, which are valid JSON, go in as they are, to the byte.
func (c *conn) params(id int64, r request) (pieces, error) {
	if c.direct != nil && r.method == "tools/call" && len(r.meta)+len(r.params) == 0 && r.arguments != nil && !r.progress && r.level == "" && len(r.asks) == 0 && !r.tasks {
		return c.plainCall(r.called, r.arguments), nil
	}
	meta := map[string]any{}
	for name, value := range r.meta {
		meta[name] = value
	}
	if c.modern() {
		meta["io.modelcontextprotocol/protocolVersion"] = c.protocol()
		meta["io.modelcontextprotocol/clientInfo"] = clientInfo
		meta["io.modelcontextprotocol/clientCapabilities"] = c.offered(r)
	}
	if r.progress {
		meta["progressToken"] = id
	} else {
		delete(meta, "progressToken")
	}
	if r.level != "" && c.modern() {
		meta["io.modelcontextprotocol/logLevel"] = r.level
	}
	params := maps.Clone(r.params)
	set := func(name string, value any) {
		if params == nil {
			params = map[string]any{}
		}
		params[name] = value
	}
	if r.called != "" {
		set(r.named(), r.called)
	}
	if r.arguments != nil {
		set("arguments", r.arguments)
	}
	if len(meta) > 0 {
		set("_meta", meta)
	}
	if params == nil {
		return pieces{[]byte("{}")}, nil // many servers drop a message whose params are null
	}
	b := []byte{'{'}
	for _, name := range slices.Sorted(maps.Keys(params)) {
		value, ok := params[name].(json.RawMessage)
		if !ok {
			var err error
			if value, err = strict.Marshal(params[name], lenient, strict.Deterministic(true)); err != nil {
				return nil, faultf(ErrInvalid, "server %s: the parameters of %s are not valid JSON: send an object", c.cfg.Name, r.method)
			}
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(append(append(b, quote(name)...), ':'), value...)
	}
	return pieces{append(b, '}')}, nil
}

// plainCall is what params would make of a call of a tool that carries a
// name and arguments and nothing else. The arguments are as sent, white space
// included, which HTTP does not mind.
func (c *conn) plainCall(name string, arguments json.RawMessage) pieces {
	end, _ := jsontext.AppendQuote(append(make([]byte, 0, len(name)+16), `,"name":`...), name) // invalid UTF-8 is replaced
	return append(make(pieces, 0, 5), c.plainStart(), arguments, append(end, '}'))             // with room for what is put around them
}

// named is the parameter that says what is called.
func (r request) named() string {
	switch {
	case r.method == ReadResource:
		return "uri"
	case isTask(r.method):
		return "taskId"
	}
	return "name"
}

// plainStart is what comes before the arguments; of the newer era with its _meta. Nobody changes it.
func (c *conn) plainStart() []byte {
	if !c.modern() {
		return olderStart
	}
	c.metaOnce.Do(func() {
		info, _ := json.Marshal(clientInfo) // our own, of strings
		c.meta = []byte(`{"_meta":{"io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":` + string(info) +
			`,"io.modelcontextprotocol/protocolVersion":` + string(quote(c.protocol())) + `},"arguments":`)
	})
	return c.meta
}

var olderStart = []byte(`{"arguments":`)

// headers mirror parts of the body, as the newer era asks for over HTTP. Calls mirror more: see callHead.
func (c *conn) headers(method string) http.Header {
	if _, ok := c.wire.(transport.HTTPConnection); !ok || !c.modern() {
		return nil
	}
	return http.Header{mcp.HeaderMethod: {method}}
}
