package upstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"

	"remit/internal/strictjson"
)

var (
	// errUnreachable: no HTTP answer came at all.
	errUnreachable = errors.New("server unreachable")
	// errSessionOver: the server no longer knows our session.
	errSessionOver = errors.New("session over")
	// errNoStream: the server offers no stream for announcements.
	errNoStream = errors.New("no stream offered")
)

// maxErrorBody is the most bytes read of an HTTP answer that is no result.
const maxErrorBody = 64 << 10

// dialHTTP prepares a connection over streamable HTTP; nothing is sent yet.
// mcp-go's transport sends the messages and keeps the session; what comes
// back passes gate first.
func dialHTTP(cfg *Config, secret *redactor, log *slog.Logger, onChanged func()) (*conn, error) {
	c := newConn(cfg, secret, log, onChanged)
	base := newNetwork(cfg)
	g := &gate{conn: c, base: base, replies: make(chan struct{}, 4)}
	g.client = &http.Client{Transport: g, CheckRedirect: g.redirect}
	wire, err := transport.NewStreamableHTTP(cfg.URL,
		transport.WithHTTPBasicClient(g.client),
		transport.WithHTTPLogger(slog.New(slog.DiscardHandler))) // its lines can hold the URL
	if err != nil {
		return nil, faultf(ErrUnavailable, "server %s: the url is not valid: it must look like https://host/path", cfg.Name)
	}
	g.wire, c.wire = wire, wire
	c.reply, c.answer, c.listen, c.direct = g.reply, g.post, g.listen, g.direct
	c.stop = func(context.Context) {
		_ = wire.Close() // a session that cannot be ended runs out at the server
		base.CloseIdleConnections()
	}
	return c, nil
}

func newNetwork(cfg *Config) *network {
	dial := cfg.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	}
	return &network{&http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dial,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxConnsPerHost:        cfg.Concurrency + 8 + maxWatches,
		MaxIdleConnsPerHost:    cfg.Concurrency,
		IdleConnTimeout:        maxIdle,
		MaxResponseHeaderBytes: maxAnswerHeader,
	}, newPipes(cfg.URL, cfg.Concurrency, dial)}
}

// gate stands between mcp-go and the network. It adds the configured headers,
// keeps answers within their limit, and shows mcp-go nothing but the one
// answer to the one request, as JSON, whatever the server sent.
type gate struct {
	conn    *conn
	base    *network
	client  *http.Client
	wire    *transport.StreamableHTTP
	replies chan struct{} // answers to the server's requests under way
	calls   atomic.Pointer[common]
}

// redirect follows a server only within its own origin, and only where the
// method and body stay the same.
func (g *gate) redirect(next *http.Request, via []*http.Request) error {
	first := via[0]
	if next.URL.Scheme != first.URL.Scheme || next.URL.Host != first.URL.Host || next.Method != first.Method || len(via) > 3 {
		return faultf(ErrUnavailable, "server %s redirects to another address, which Remit does not follow with your credentials: configure the final url", g.conn.cfg.Name)
	}
	return nil
}

func (g *gate) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := g.send(req)
	if err != nil {
		return nil, err
	}
	if isRedirect(resp.StatusCode) {
		limitBody(resp)
		return resp, nil
	}
	p, _ := req.Context().Value(pendingKey{}).(*pending)
	if p == nil {
		return g.plain(req, resp)
	}
	defer resp.Body.Close()
	raw, err := g.answer(req, resp, p)
	if err != nil {
		return nil, err
	}
	header := http.Header{"Content-Type": {"application/json"}}
	if id := resp.Header.Get(transport.HeaderKeySessionID); id != "" {
		header.Set(transport.HeaderKeySessionID, id)
	}
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: resp.Proto, ProtoMajor: resp.ProtoMajor, ProtoMinor: resp.ProtoMinor,
		Header: header, Body: io.NopCloser(bytes.NewReader(raw)), ContentLength: int64(len(raw)), Request: req,
	}, nil
}

// direct sends one request and returns the result of its answer.
func (g *gate) direct(ctx context.Context, p *pending, r request, params pieces) (strictjson.Value, error) {
	common, err := g.common()
	if err != nil {
		return strictjson.Value{}, err
	}
	start := strconv.AppendInt(append(make([]byte, 0, len(r.method)+64), `{"jsonrpc":"2.0","id":`...), p.id, 10)
	start = append(append(append(start, `,"method":"`...), r.method...), `","params":`...)
	req, head := common.request.WithContext(ctx), callHead{common: common}
	if req.Header = nil; mcp.IsModernProtocol(common.version) {
		head.method, head.name, req.Header = r.method, r.encodedName(), r.paramHeaders(params)
	}
	body := append(slices.Insert(params, 0, start), closing)
	body.onto(req)
	resp, err := g.authorized(req, head)
	if err != nil {
		return strictjson.Value{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		req = head.whole(req)
	}
	if isRedirect(resp.StatusCode) {
		resp.Body.Close()
		err = g.follow(context.WithValue(ctx, pendingKey{}, p), req, resp)
	} else {
		_, err = g.answer(req, resp, p)
	}
	return p.result, err
}

var (
	onlyJSON = []string{"application/json"}
	closing  = []byte{'}'}
)

// follow sends a request where the answer says that it belongs. Only 307 and 308 say that the server has done nothing with it;
// after the others, which would not carry the method and the body on, it is not sent again.
func (g *gate) follow(ctx context.Context, req *http.Request, resp *http.Response) error {
	next := req.Clone(ctx)
	if resp.StatusCode != http.StatusTemporaryRedirect && resp.StatusCode != http.StatusPermanentRedirect {
		next.Method = http.MethodGet
	}
	var err error
	if next.URL, err = req.URL.Parse(resp.Header.Get("Location")); err != nil {
		next.URL = &url.URL{}
	}
	next.Host = next.URL.Host
	if err := g.redirect(next, []*http.Request{req}); err != nil {
		return err
	}
	if next.Body, err = req.GetBody(); err != nil {
		return err
	}
	if resp, err = g.client.Do(next); err == nil {
		resp.Body.Close()
	}
	return err
}

// transfer does one exchange.
func (g *gate) transfer(req *http.Request, head callHead) (*http.Response, error) {
	resp, err := g.base.send(req, head)
	if err == nil {
		return resp, nil
	}
	if req.Context().Err() != nil {
		return nil, err
	}
	f := &fault{kind: ErrUnavailable, more: errUnreachable, text: "server " + g.conn.cfg.Name + " cannot be reached (" +
		g.conn.secret.words(networkCause(err), 200) + "): check that it runs and that its url is right"}
	g.conn.retire(f)
	return nil, f
}

// networkCause says what went wrong without the URL.
func networkCause(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return err.Error()
}

func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

func limitBody(resp *http.Response) {
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxErrorBody), resp.Body}
}

// plain passes the answer to a notification, or to the end of a session.
func (g *gate) plain(req *http.Request, resp *http.Response) (*http.Response, error) {
	limitBody(resp)
	if resp.StatusCode < 300 || req.Method == http.MethodDelete {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, g.refusal(req, resp, nil)
}

// answer reads the answer to p out of resp, as the envelope mcp-go is to see.
func (g *gate) answer(req *http.Request, resp *http.Response, p *pending) ([]byte, error) {
	kind := resp.Header.Get("Content-Type")
	if kind != onlyJSON[0] {
		kind, _, _ = mime.ParseMediaType(kind)
	}
	if resp.StatusCode >= 300 {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody)) // what cannot be read says nothing
		return g.refused(req, resp, p, body)
	}
	switch {
	case kind == "application/json":
		return g.readJSON(resp.Body, resp.ContentLength, p)
	case kind == "text/event-stream":
		return g.readStream(req, resp, p)
	case resp.StatusCode == http.StatusAccepted:
		return nil, faultf(ErrInvalid, "server %s took the request and sent no answer: check that the url is that of an MCP endpoint", g.conn.cfg.Name)
	}
	return nil, faultf(ErrInvalid, "server %s answered with content type %q: check that the url is that of an MCP endpoint", g.conn.cfg.Name, clean(kind, 60))
}

// readJSON reads an answer of the length that its header says, or -1.
func (g *gate) readJSON(body io.Reader, length int64, p *pending) ([]byte, error) {
	limit := int64(g.conn.cfg.MaxMessage)
	if length > limit {
		return nil, g.conn.errTooLarge()
	}
	raw, err := readAll(body, length, limit)
	switch {
	case int64(len(raw)) > limit:
		return nil, g.conn.errTooLarge()
	case err != nil:
		return nil, g.brokenOff()
	}
	if envelope := g.conn.receive(raw, p); envelope != nil {
		return envelope, nil
	}
	return nil, faultf(ErrInvalid, "server %s sent something that does not answer the request: report this to its maker", g.conn.cfg.Name)
}

// readAll reads a text of the size, or of any if that is below 0, but no more than one byte over the limit. Its memory is asked for
// once, up to a bound that a header alone may cause.
func readAll(in io.Reader, size, limit int64) ([]byte, error) {
	if size < 0 || size > maxAtOnce {
		return io.ReadAll(io.LimitReader(in, limit+1))
	}
	b := make([]byte, size)
	_, err := io.ReadFull(in, b)
	return b, err
}

const maxAtOnce = 4 << 20

func (g *gate) brokenOff() error {
	return faultf(ErrUnavailable, "server %s broke off its answer: the call may have been carried out; check before you repeat it", g.conn.cfg.Name)
}

// refused reads an HTTP error. In it may be a JSON-RPC error for p.
func (g *gate) refused(req *http.Request, resp *http.Response, p *pending, body []byte) ([]byte, error) {
	m, ok := parseMessage(body)
	if ok && m.Error != nil && resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusForbidden && !g.sessionOver(req, resp, body) {
		if !m.hasID() {
			m.ID = []byte(strconv.FormatInt(p.id, 10))
		}
		if envelope := g.conn.answered(m, p); envelope != nil {
			return envelope, nil
		}
	}
	return nil, g.refusal(req, resp, body)
}

// sessionOver reports whether the server says that it does not know our
// session. Most say 404; some say 400 and the word.
func (g *gate) sessionOver(req *http.Request, resp *http.Response, body []byte) bool {
	if req.Header.Get(transport.HeaderKeySessionID) == "" || g.conn.modern() {
		return false
	}
	return resp.StatusCode == http.StatusNotFound ||
		resp.StatusCode == http.StatusBadRequest && bytes.Contains(bytes.ToLower(body), []byte("session"))
}

// refusal is the error for an HTTP status. The body is not shown: it is a
// page more often than a sentence.
func (g *gate) refusal(req *http.Request, resp *http.Response, body []byte) error {
	name, status := g.conn.cfg.Name, resp.StatusCode
	switch {
	case g.sessionOver(req, resp, body):
		f := &fault{kind: ErrUnavailable, more: errSessionOver, text: "server " + name + " has ended our session; a new one is being opened: try again in a moment"}
		g.conn.retire(f)
		return f
	case status == http.StatusForbidden && insufficientScope(resp):
		return faultf(ErrUnauthorized, "server %s says that the token lacks a scope (HTTP 403): add it to the scopes configured for it and connect again", name)
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return faultf(ErrUnauthorized, "server %s refused our credentials (HTTP %d): check the headers or oauth configured for it", name, status)
	case status == http.StatusTooManyRequests:
		return faultf(ErrUnavailable, "server %s says too many requests (HTTP 429): try again later or lower its concurrency", name)
	case status >= 500:
		return faultf(ErrUnavailable, "server %s answered HTTP %d: look at its log and try again", name, status)
	}
	return faultf(ErrInvalid, "server %s answered HTTP %d: check that the url is that of an MCP endpoint", name, status)
}

// reply answers a request that the server made. At most a few are under way;
// a server that asks faster gets no answer.
func (g *gate) reply(raw []byte) {
	select {
	case g.replies <- struct{}{}:
	default:
		return
	}
	g.conn.tasks.Go(func() {
		defer func() { <-g.replies }()
		g.post(g.conn.life, raw)
	})
}

// post sends a message that has no answer.
func (g *gate) post(ctx context.Context, raw []byte) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := g.newRequest(ctx, http.MethodPost, bytes.NewReader(raw))
	if err != nil {
		return
	}
	req.Header.Set("Content-Type", "application/json")
	if resp, err := g.client.Do(req); err == nil {
		resp.Body.Close()
	}
}

// newRequest is a request of the older era beside those that mcp-go makes.
func (g *gate) newRequest(ctx context.Context, method string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, g.conn.cfg.URL, body)
	if err != nil {
		return nil, err
	}
	req.Header["Accept"] = accepted
	if id := g.wire.GetSessionId(); id != "" {
		req.Header.Set(transport.HeaderKeySessionID, id)
	}
	if version := g.conn.protocol(); version != "" {
		req.Header.Set(transport.HeaderKeyProtocolVersion, version)
	}
	return req, nil
}

var accepted = []string{"application/json, text/event-stream"}
