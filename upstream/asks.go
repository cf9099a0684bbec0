package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"sync"

	"github.com/mark3labs/mcp-go/mcp"
)

// What a server may ask of the client of a call.
const (
	Form  = "elicitation"     // what a person fills into a form
	Page  = "elicitation-url" // that a person opens a page
	Model = "sampling"        // what the client's model says to a prompt
)

// Requests by which servers ask.
const (
	Elicit = "elicitation/create"
	Sample = "sampling/createMessage"
)

// Asked is what a server of the older era asks on the stream of a call.
// Secrets of the configuration are taken out.
type Asked struct {
	Method string
	Params json.RawMessage
}

// maxAsked bounds what a server may ask for during one call.
const maxAsked = 16

// capabilities are how clients that can be asked for these say so, and those that take tasks.
func capabilities(asks []string, tasks bool) json.RawMessage {
	out := []byte{'{'}
	form, page := slices.Contains(asks, Form), slices.Contains(asks, Page)
	switch {
	case form && page:
		out = append(out, `"elicitation":{"form":{},"url":{}}`...)
	case form:
		out = append(out, `"elicitation":{"form":{}}`...)
	case page:
		out = append(out, `"elicitation":{"url":{}}`...)
	}
	if slices.Contains(asks, Model) {
		if form || page {
			out = append(out, ',')
		}
		out = append(out, `"sampling":{}`...)
	}
	if tasks {
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, `"extensions":{"io.modelcontextprotocol/tasks":{}}`...)
	}
	return append(out, '}')
}

// offered is what the server is told with a request: with a call what that
// lets it ask for, and else what any may.
func (c *conn) offered(r request) json.RawMessage {
	if r.call {
		return capabilities(r.asks, r.tasks)
	}
	return capabilities(c.cfg.Asks, false)
}

// asking is what a call can be asked for, and by whom it is answered.
type asking struct {
	ctx    context.Context // ends with the call
	answer func(context.Context, Asked) (json.RawMessage, error)
	count  int // guarded by conn.mu
	tasks  sync.WaitGroup
}

// asked handles a request from the server. It is passed on where it came on
// the stream of a call that may be asked; on any other way, as over stdio,
// nothing says to whose call it belongs.
func (c *conn) asked(m message, only *pending) {
	if only == nil || only.asking == nil || c.modern() || len(m.ID) > 256 || m.Method != Elicit && m.Method != Sample {
		c.refuse(m)
		return
	}
	a := only.asking
	c.mu.Lock()
	a.count++
	over := only.answered || a.count > maxAsked
	c.mu.Unlock()
	if over {
		c.refuse(m)
		return
	}
	id, what := bytes.Clone(m.ID), Asked{m.Method, c.secret.data(bytes.Clone(m.Params))}
	a.tasks.Go(func() {
		result, err := a.answer(a.ctx, what)
		reply := append(append([]byte(`{"jsonrpc":"2.0","id":`), id...), `,"result":`...)
		if err == nil {
			reply = append(reply, result...)
		} else {
			code := mcp.INTERNAL_ERROR
			if refused, ok := errors.AsType[*RPCError](err); ok {
				code, err = refused.Code, errors.New(refused.Message)
			}
			reply = append(reply[:len(reply)-len(`"result":`)], `"error":{"code":`...)
			reply = append(append(append(strconv.AppendInt(reply, int64(code), 10), `,"message":`...), quote(clean(err.Error(), maxErrorText))...), '}')
		}
		if a.ctx.Err() == nil {
			c.answer(a.ctx, append(reply, '}'))
		}
	})
}
