package upstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// events reads a stream of server-sent events.
type events struct {
	in    *lines
	limit int
	last  string        // the id of the last event, "" if there was none
	retry time.Duration // how long the server asks to wait before coming back
}

func newEvents(r io.Reader, limit int) *events {
	return &events{in: newLines(r, limit+16), limit: limit, retry: time.Second}
}

var errEventTooLarge = errors.New("event too large")

// next returns the data of the next event that has some.
func (e *events) next() ([]byte, error) {
	var data []byte
	some, id := false, ""
	for {
		line, over, err := e.in.next()
		if err != nil {
			return nil, err
		}
		if over != nil {
			return nil, errEventTooLarge
		}
		if len(line) == 0 {
			if id != "" {
				e.last = id
			}
			if some {
				return data, nil
			}
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "data":
			if some {
				data = append(data, '\n')
			}
			some = true
			if len(data)+len(value) > e.limit {
				return nil, errEventTooLarge
			}
			data = append(data, value...)
		case "id":
			if len(value) <= 1024 && !bytes.ContainsRune(value, 0) {
				id = string(value)
			}
		case "retry":
			// Not sooner than a second, so that no server makes us hurry.
			if ms, err := strconv.Atoi(string(value)); err == nil {
				e.retry = min(max(time.Duration(ms)*time.Millisecond, time.Second), time.Minute)
			}
		}
	}
}

// readStream reads the answer to p from a stream. In the older era a server
// may end the stream early and have it continued where it stopped.
func (g *gate) readStream(req *http.Request, resp *http.Response, p *pending) ([]byte, error) {
	ctx := req.Context()
	stream := newEvents(resp.Body, g.conn.cfg.MaxMessage)
	defer func() { resp.Body.Close() }()
	for {
		data, err := stream.next()
		switch {
		case err == nil:
			if envelope := g.conn.receive(data, p); envelope != nil {
				drain(resp.Body)
				return envelope, nil
			}
			continue
		case errors.Is(err, errEventTooLarge):
			return nil, g.conn.errTooLarge()
		case !errors.Is(err, io.EOF) || stream.last == "" || g.conn.modern() || ctx.Err() != nil:
			return nil, g.brokenOff()
		}
		resp.Body.Close()
		if resp, err = g.resume(ctx, stream); err != nil {
			resp = &http.Response{Body: http.NoBody}
			return nil, err
		}
		last := stream.last
		stream = newEvents(resp.Body, g.conn.cfg.MaxMessage)
		stream.last = last
	}
}

// drain reads the end of a stream that has given its answer, so that the
// network connection can be used again; a server that does not end the stream
// is not waited for.
func drain(body io.ReadCloser) {
	timer := time.AfterFunc(20*time.Millisecond, func() { body.Close() })
	defer timer.Stop()
	_, _ = io.CopyN(io.Discard, body, 4096) // the answer is complete already
}

// resume asks for the rest of a stream.
func (g *gate) resume(ctx context.Context, stream *events) (*http.Response, error) {
	timer := time.NewTimer(stream.retry)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	resp, err := g.open(ctx, stream.last)
	if err != nil {
		return nil, g.brokenOff()
	}
	return resp, nil
}

// open opens a stream with GET, as the older era has it.
func (g *gate) open(ctx context.Context, last string) (*http.Response, error) {
	req, err := g.newRequest(ctx, http.MethodGet, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/event-stream")
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	resp, err := g.send(req) // no redirect: the requests before went through without one
	if err != nil {
		return nil, err
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if resp.StatusCode == http.StatusOK && strings.EqualFold(kind, "text/event-stream") {
		return resp, nil
	}
	resp.Body.Close()
	if resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests {
		return nil, g.brokenOff()
	}
	return nil, errNoStream
}

// listen reads the server's announcements until the stream ends.
func (g *gate) listen(ctx context.Context) error {
	resp, err := g.open(ctx, "")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	stream := newEvents(resp.Body, g.conn.cfg.MaxMessage)
	for {
		data, err := stream.next()
		if err != nil {
			return err
		}
		// An answer on this stream belongs to a request whose own stream
		// broke off; nobody waits for it.
		if m, ok := parseMessage(data); ok && m.Method != "" {
			g.conn.receive(data, nil)
		} else {
			g.conn.skipped.Add(1)
		}
	}
}
