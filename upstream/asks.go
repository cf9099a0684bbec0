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

// pageOpened says that what a person was sent to a page for was done there.
const pageOpened = "notifications/elicitation/complete"

// Asked is what a server of the older era asks on the stream of a call.
// Secrets of the configuration are taken out.
type Asked struct {
	Method string
	Params json.RawMessage
}

// Bounds of what a server may ask for during one call, and of what of it waits at a time, in bytes.
const (
	maxAsked   = 16
	maxWaiting = 2 << 20
)

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
	count  int             // guarded by conn.mu
	waits  int             // bytes of questions that nobody has answered; guarded by conn.mu
	pages  map[string]bool // ids of those that were asked for, and not opened yet; guarded by conn.mu
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
	a, what := only.asking, Asked{m.Method, c.secret.data(bytes.Clone(m.Params))}
	c.mu.Lock()
	a.count++
	size := len(what.Params)
	over := only.answered || a.count > maxAsked || a.waits+size > maxWaiting
	if !over {
		a.waits += size
	}
	if id := pageID(what.Params); !over && id != "" {
		a.pages[id] = true
	}
	c.mu.Unlock()
	if over {
		c.refuse(m)
		return
	}
	id := bytes.Clone(m.ID)
	a.tasks.Go(func() {
		result, err := a.answer(a.ctx, what)
		c.mu.Lock()
		a.waits -= size
		c.mu.Unlock()
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

// pageID is what an elicitation by a page is called; empty where it has no name.
func pageID(params []byte) string {
	var in struct {
		ID string `json:"elicitationId"`
	}
	if json.Unmarshal(params, &in) != nil || len(in.ID) > 256 {
		return ""
	}
	return in.ID
}

// opened tells the call that asked for a page, once, while it lasts. Servers say it on the call's stream, or where they tell all.
func (c *conn) opened(params json.RawMessage, only *pending) {
	id := pageID(c.secret.data(bytes.Clone(params)))
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.pending {
		if p.asking != nil && p.asking.pages[id] && (only == nil || only == p) {
			delete(p.asking.pages, id)
			p.notice(notice{opened: true, params: json.RawMessage(id)})
		}
	}
}
