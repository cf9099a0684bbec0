package upstream

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	strict "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"remit/internal/strictjson"
)

// message is one JSON-RPC message from a server, its parts as received.
type message struct {
	ID     json.RawMessage
	Method string
	Params json.RawMessage
	Result strictjson.Value
	Error  json.RawMessage
}

// pending is one request of ours that waits for its answer.
type pending struct {
	id       int64
	cancel   func()
	lost     error       // why it was cancelled, if that was not the caller; guarded by conn.mu
	progress bool        // is wanted
	logs     bool        // are wanted
	notices  chan notice // what comes of both, and of pages; nil: nothing
	// failure is the error of an answer as received: mcp-go would decode its
	// data and lose large numbers.
	failure  json.RawMessage
	answered bool
	// direct: the request is not mcp-go's, which sees nothing of the answer.
	direct bool
	result strictjson.Value // of an answer to a direct request, as received
	asking *asking          // nil: the server may ask for nothing
	heard  func(message)    // of a subscription; nil for any other request
}

// fail ends a request that has no answer yet. conn.mu is held.
func (p *pending) fail(err error) {
	if p.lost == nil {
		p.lost = err
	}
	p.cancel()
}

// lenient: what a server's values hold inside is not this package's to refuse.
var lenient = strict.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// parseMessage reads one message, and reports false if it is not one.
func parseMessage(raw []byte) (message, bool) {
	raw = bytes.TrimSpace(raw)
	m, ok := readMessage(raw)
	if !ok {
		return message{}, false
	}
	if string(m.Error) == "null" {
		m.Error = nil // some servers send both members
	} else if m.Error != nil && string(m.Result.Text) == "null" {
		m.Result = strictjson.Value{}
	}
	return m, true
}

// readMessage reads the members at the top. Their values are parts of raw where they can be. Of a member that is given twice, the last
// counts.
func readMessage(raw []byte) (m message, ok bool) {
	if read, plain := strictjson.Read(raw, 2); plain {
		members, object := read.Members()
		for _, own := range members {
			object = m.take(own.Name, own.Value) && object
		}
		return m, object
	}
	var any map[string]jsontext.Value
	if strict.Unmarshal(raw, &any, lenient) != nil {
		return message{}, false
	}
	ok = true
	for name, value := range any {
		ok = m.take(name, strictjson.Value{Text: value}) && ok
	}
	return m, ok
}

// take takes a member, and says whether it can be what it is.
func (m *message) take(name string, value strictjson.Value) bool {
	switch name {
	case "id":
		m.ID = value.Text
	case "method":
		var method string // and not m's, which would put all of m on the heap
		err := strict.Unmarshal(value.Text, &method, lenient)
		m.Method = method
		return err == nil
	case "params":
		m.Params = value.Text
	case "result":
		m.Result = value
	case "error":
		m.Error = value.Text
	}
	return true
}

func (m message) hasID() bool { return len(m.ID) > 0 && string(m.ID) != "null" }

// receive handles one message from the server. An answer to a request of
// ours (to only, if that is set) is returned as the envelope that mcp-go is
// to see; everything else is dealt with here and the envelope is nil.
func (c *conn) receive(raw []byte, only *pending) (envelope []byte) {
	m, ok := parseMessage(raw)
	switch {
	case !ok:
		c.skipped.Add(1)
	case m.Method != "" && m.hasID():
		c.asked(m, only)
	case m.Method != "":
		c.notified(m, only)
	default:
		return c.answered(m, only)
	}
	return nil
}

// answered matches an answer with its request. An answer nobody waits for,
// or a second one, is dropped: a server must not be able to answer for others.
func (c *conn) answered(m message, only *pending) []byte {
	id, err := strconv.ParseInt(string(m.ID), 10, 64)
	if err != nil {
		c.skipped.Add(1)
		return nil
	}
	c.mu.Lock()
	p := c.pending[id]
	if p == nil || p.answered || (only != nil && p != only) || (m.Result.Text == nil) == (m.Error == nil) {
		c.mu.Unlock()
		c.skipped.Add(1)
		return nil
	}
	p.answered = true
	p.failure = bytes.Clone(m.Error) // the line it came with is used again
	if p.direct {
		p.result = m.Result
		c.mu.Unlock()
		return []byte{}
	}
	c.mu.Unlock()
	var b bytes.Buffer
	b.Grow(len(m.Result.Text) + 64)
	b.WriteString(`{"jsonrpc":"2.0","id":`)
	b.WriteString(strconv.FormatInt(id, 10))
	if m.Error != nil {
		b.WriteString(`,"error":{"code":0,"message":""}}`)
	} else {
		b.WriteString(`,"result":`)
		b.Write(m.Result.Text)
		b.WriteByte('}')
	}
	return b.Bytes()
}

// tooLarge fails the request whose answer was over the limit.
func (c *conn) tooLarge(id []byte) {
	n, err := strconv.ParseInt(string(id), 10, 64)
	if err != nil {
		c.skipped.Add(1)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.pending[n]; p != nil {
		p.fail(c.errTooLarge())
	} else {
		c.skipped.Add(1)
	}
}

func (c *conn) errTooLarge() error {
	return faultf(ErrTooLarge, "server %s: the answer is larger than %d bytes: ask for less, or raise MaxMessage for this server", c.cfg.Name, c.cfg.MaxMessage)
}

// notified handles a notification. Progress goes to the call it names, log
// messages to the one on whose stream they came; a call that does not keep up
// misses some.
func (c *conn) notified(m message, only *pending) {
	switch m.Method {
	case "notifications/progress":
		var params struct {
			Token json.RawMessage `json:"progressToken"`
		}
		if json.Unmarshal(m.Params, &params) != nil {
			c.skipped.Add(1)
			return
		}
		token, err := strconv.ParseInt(string(params.Token), 10, 64)
		if err != nil {
			c.skipped.Add(1)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if p := c.pending[token]; p != nil && p.progress {
			p.notice(notice{params: bytes.Clone(m.Params)})
		}
	case "notifications/message":
		c.mu.Lock()
		defer c.mu.Unlock()
		if only != nil && c.pending[only.id] == only && only.logs {
			only.notice(notice{log: true, params: c.secret.data(bytes.Clone(m.Params))})
		}
	case pageOpened:
		c.opened(m.Params, only)
	case resourceUpdated, "notifications/subscriptions/acknowledged":
		if !c.modern() {
			c.resourceChanged(m.Params)
		} else if p := c.subscriptionOf(m.Params, only); p != nil && p.heard != nil {
			p.heard(m)
		}
	case "notifications/tools/list_changed":
		c.onChanged()
	case "notifications/prompts/list_changed", "notifications/resources/list_changed":
		if slices.Contains(c.cfg.Lists, strings.Split(m.Method, "/")[1]) {
			c.onChanged()
		}
	}
}

// notice hands on what the call keeps up with.
func (p *pending) notice(n notice) {
	if p.answered {
		return
	}
	select {
	case p.notices <- n:
	default:
	}
}

// refuse answers a request from the server that nobody is asked: no call lends
// it a model or a user, and none files. In the newer era servers send no requests and get no answer.
func (c *conn) refuse(m message) {
	if c.modern() || len(m.ID) > 256 {
		c.skipped.Add(1)
		return
	}
	reply := `{"jsonrpc":"2.0","id":` + string(m.ID)
	if m.Method == "ping" {
		reply += `,"result":{}}`
	} else {
		reply += `,"error":{"code":-32601,"message":"Remit offers servers no sampling, elicitation or roots"}}`
	}
	c.reply([]byte(reply))
}
