package upstream

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// network is how requests reach one HTTP server: those without TLS over pipes, others, and those of servers that are reached through a
// proxy, over net/http's transport.
type network struct {
	*http.Transport
	pipes *pipes // nil where there are none
}

// maxPiped is the largest body that is written before the answer is read, in bytes: whoever writes more must be able to read an early
// answer meanwhile.
const maxPiped = 64 << 10

func (n *network) RoundTrip(req *http.Request) (*http.Response, error) {
	return n.send(req, callHead{})
}

// send is RoundTrip of a request of which a part of the header is the head.
func (n *network) send(req *http.Request, head callHead) (*http.Response, error) {
	_, own := req.Body.(*piecesBody)
	if n.pipes != nil && req.Method == http.MethodPost && req.ContentLength > 0 && (own || req.ContentLength <= maxPiped) && *req.URL == *n.pipes.url {
		return n.pipes.send(req, head)
	}
	return n.Transport.RoundTrip(head.whole(req))
}

func (n *network) CloseIdleConnections() {
	n.Transport.CloseIdleConnections()
	if n.pipes != nil {
		n.pipes.close()
	}
}

// pipes are kept-alive connections of HTTP/1.1 to one address. A request has one to itself, written and read by the goroutine that
// makes it: net/http's transport has two more goroutines a connection, whose turns cost more than the exchange.
type pipes struct {
	dial  func(ctx context.Context, network, address string) (net.Conn, error)
	url   *url.URL
	start string // of each request
	keep  int    // idle ones, at most

	mu     sync.Mutex
	idle   []*pipe // the one that was used last is the last
	sweep  *time.Timer
	closed bool
}

// pipe is one connection.
type pipe struct {
	net.Conn
	in        *bufio.Reader
	left      int64 // bytes that may be read
	ended     func() bool
	interrupt func() // the exchange
	used      time.Time

	beside bool         // the request is written beside reading the answer
	halves atomic.Int32 // of the exchange that are not over: the answer, and a request that is written beside
	broken atomic.Bool
}

const maxAnswerHeader = 64 << 10

var errHeaderTooLarge = errors.New("the header of the answer is too large")

func (p *pipe) Read(b []byte) (int, error) {
	if p.left <= 0 {
		return 0, errHeaderTooLarge
	}
	n, err := p.Conn.Read(b)
	p.left -= int64(n)
	return n, err
}

// newPipes returns nil for a URL that pipes are not for.
func newPipes(address string, keep int, dial func(ctx context.Context, network, address string) (net.Conn, error)) *pipes {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" {
		return nil
	}
	if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u}); err != nil || proxy != nil {
		return nil
	}
	return &pipes{dial: dial, url: u, start: "POST " + u.RequestURI() + " HTTP/1.1\r\nHost: " + u.Host + "\r\n", keep: keep}
}

// readAtOnce is how much of an answer one system call brings: nearly all are smaller.
const readAtOnce = 16 << 10

// take returns an idle connection that the server has not ended, or a new one.
func (p *pipes) take(ctx context.Context) (*pipe, error) {
	for {
		p.mu.Lock()
		n := len(p.idle)
		if n == 0 {
			p.mu.Unlock()
			break
		}
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		if !c.ended() {
			return c, nil
		}
		c.Close()
	}
	address := p.url.Host
	if p.url.Port() == "" {
		address = net.JoinHostPort(p.url.Hostname(), "80")
	}
	conn, err := p.dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c := &pipe{Conn: conn, ended: endOf(conn), interrupt: func() { conn.SetDeadline(time.Unix(1, 0)) }}
	c.in = bufio.NewReaderSize(c, readAtOnce)
	return c, nil
}

// give keeps a connection for the next request.
func (p *pipes) give(c *pipe) {
	c.used = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) >= p.keep {
		c.Close()
		return
	}
	p.idle = append(p.idle, c)
	if p.sweep == nil {
		p.sweep = time.AfterFunc(maxIdle, p.swept)
	}
}

// maxIdle is how long a connection is kept that nobody uses.
const maxIdle = 90 * time.Second

func (p *pipes) swept() {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := 0
	for old < len(p.idle) && time.Since(p.idle[old].used) >= maxIdle {
		p.idle[old].Close()
		old++
	}
	p.idle = append(p.idle[:0:0], p.idle[old:]...)
	if p.sweep = nil; len(p.idle) > 0 {
		p.sweep = time.AfterFunc(maxIdle, p.swept)
	}
}

// close ends the idle connections, and those in use when they are given back.
func (p *pipes) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, c := range p.idle {
		c.Close()
	}
	p.idle = nil
	if p.sweep != nil {
		p.sweep.Stop()
	}
}

var outgoing = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// send does one exchange. When the request's context ends, so does its connection.
func (p *pipes) send(req *http.Request, head callHead) (*http.Response, error) {
	ctx := req.Context()
	c, err := p.take(ctx)
	if err != nil {
		return nil, err
	}
	b := &pipeBody{of: p, c: c, stop: context.AfterFunc(ctx, c.interrupt)}
	resp, err := p.exchange(c, req, head)
	if err != nil {
		b.end(false)
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
	}
	c.left = math.MaxInt64
	b.in, b.keep = resp.Body, !resp.Close
	resp.Body = b
	if resp.ContentLength == 0 {
		b.end(true)
	}
	return resp, nil
}

func (p *pipes) exchange(c *pipe, req *http.Request, head callHead) (*http.Response, error) {
	if err := p.write(c, req, head); err != nil {
		return nil, err
	}
	c.left = maxAnswerHeader
	if _, err := c.in.Peek(1); err != nil { // the end, and not one that comes too early
		return nil, err
	}
	for {
		resp, err := http.ReadResponse(c.in, req)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode == http.StatusSwitchingProtocols {
			return nil, errors.New("the server wants to speak another protocol")
		}
		if resp.StatusCode >= 200 {
			return resp, nil
		}
	}
}

// write sends a request. A large body is on its way when it returns.
func (p *pipes) write(c *pipe, req *http.Request, head callHead) error {
	out := outgoing.Get().(*bytes.Buffer)
	out.Reset()
	out.WriteString(p.start)
	head.write(out)
	out.WriteString("Content-Length: ")
	out.Write(strconv.AppendInt(out.AvailableBuffer(), req.ContentLength, 10))
	out.WriteString("\r\n")
	if err := req.Header.Write(out); err != nil {
		return err
	}
	out.WriteString("\r\n")
	c.halves.Store(1)
	body, ok := req.Body.(*piecesBody)
	if c.beside = ok && req.ContentLength > maxPiped; c.beside {
		c.halves.Store(2)
		go func() {
			all := append(net.Buffers{out.Bytes()}, body.all...)
			_, err := all.WriteTo(c.Conn)
			outgoing.Put(out)
			p.sent(c, err == nil)
		}()
		return nil
	}
	defer outgoing.Put(out)
	if ok {
		for _, piece := range body.all {
			out.Write(piece)
		}
	} else {
		n, err := out.ReadFrom(req.Body)
		if req.Body.Close(); err != nil {
			return err
		}
		if n != req.ContentLength {
			return errors.New("the body is not as long as it says")
		}
	}
	_, err := c.Write(out.Bytes())
	return err
}

// sent ends the half that is a request. One that was not taken whole may have been answered all the same: that is read first.
func (p *pipes) sent(c *pipe, well bool) {
	if !well {
		c.broken.Store(true)
		if c.halves.Load() > 1 {
			c.SetReadDeadline(time.Now().Add(patience))
		}
	}
	p.end(c)
}

// over ends the half that is an answer.
func (p *pipes) over(c *pipe, well bool) {
	if !well {
		c.broken.Store(true)
		c.Close()
	}
	if c.halves.Load() > 1 {
		c.SetWriteDeadline(time.Now().Add(patience)) // of a server that answers before it has read the request
	}
	p.end(c)
}

// end ends one half of an exchange. With the second one the connection is free for the next exchange.
func (p *pipes) end(c *pipe) {
	if c.halves.Add(-1) != 0 {
		return
	}
	if c.broken.Load() {
		c.Close()
		return
	}
	if c.beside {
		c.SetWriteDeadline(time.Time{})
	}
	p.give(c)
}

// patience is for how long a large request goes on being written after its answer. A test shortens it.
var patience = time.Second

// pieces are a body of which large parts are not copied.
type pieces [][]byte

// whole is the body in one piece.
func (b pieces) whole() json.RawMessage {
	if len(b) == 1 {
		return b[0]
	}
	return bytes.Join(b, nil)
}

// onto makes the pieces the body of a request.
func (b pieces) onto(req *http.Request) {
	for _, piece := range b {
		req.ContentLength += int64(len(piece))
	}
	req.GetBody = func() (io.ReadCloser, error) { return &piecesBody{all: b}, nil }
	req.Body = &piecesBody{all: b}
}

// piecesBody reads pieces, and leaves them as they are.
type piecesBody struct {
	all  pieces
	rest net.Buffers // from the first Read on
}

func (b *piecesBody) Read(out []byte) (int, error) {
	if b.rest == nil {
		b.rest = slices.Clone(net.Buffers(b.all))
	}
	return b.rest.Read(out)
}

// Close does nothing: the pieces are in memory.
func (b *piecesBody) Close() error { return nil }

// pipeBody is the body of an answer. At its end the connection is free for the next request; closed before that, it is ended. Close
// may be called while somebody reads.
type pipeBody struct {
	of   *pipes
	c    *pipe
	in   io.ReadCloser
	keep bool
	stop func() bool
	once sync.Once
}

func (b *pipeBody) Read(out []byte) (int, error) {
	n, err := b.in.Read(out)
	if err != nil {
		b.end(err == io.EOF)
	}
	return n, err
}

func (b *pipeBody) Close() error {
	b.end(false)
	return nil
}

func (b *pipeBody) end(whole bool) {
	b.once.Do(func() {
		b.of.over(b.c, b.stop() && whole && b.keep && b.c.in.Buffered() == 0)
	})
}
