package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"remit/audit"
	"remit/internal/strictjson"
	"remit/policy"
	"remit/upstream"
)

// forward sends the call. What is sent is built here: the server's own name for the tool, the checked arguments, and of
// _meta the trace context only. Neither headers nor cookies nor the key go along; whom the call is made for decides which
// token does.
func (g *Gateway) forward(ctx context.Context, c *call) *fault {
	if c.updates != nil {
		c.note("subscribed", "yes")
		return g.hearOf(ctx, c)
	}
	server, _ := c.grant.Tool.Split()
	out := c.outgoing()
	out.Meta, out.InputSchema, out.Asks = c.traceMeta(g.c.ForwardBaggage), c.grant.schema.raw, c.askable()
	if token := c.streams(); token != nil {
		out.Progress = func(params json.RawMessage) {
			if event := progressEvent(params, token, c.grant.rules); event != nil {
				c.progress.message(event)
			}
		}
	}
	least := c.logLevel()
	if out.LogLevel = least; least != "" && c.progress != nil {
		out.Log = func(params json.RawMessage) {
			if event := logEvent(params, least, c.grant.rules); event != nil {
				c.progress.message(event)
			}
		}
	}
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	out.Tasks, out.Task = c.takesTask(), c.asksForTask()
	c.sent = g.c.Now()
	if c.round.Task != "" {
		return g.awaitOlder(ctx, c, out)
	}
	t, err := g.turn(ctx, c, out)
	if c.otherwise(&out, err) {
		t, err = g.turn(ctx, c, out)
	}
	g.heard(c)
	if err != nil || c.interim.over != nil {
		return g.unanswered(ctx, c, err)
	}
	c.entry.Decision = audit.Failed
	if t.held != "" {
		return g.askedBack(c, t.asks, t.held)
	}
	if len(out.Asks) > 0 && isAsking(t.result) {
		asks, err := c.inputAsked(t.result.Text)
		if err != nil {
			return askFault(c, err)
		}
		return g.askedBack(c, asks, "")
	}
	if c.method == "tools/call" && c.grant.rules.Tasks && isTask(t.result, out.Task != nil) {
		return g.made(ctx, c, out, t.result)
	}
	return c.receive(server, t.result)
}

// heard notes for the record how long the server has had.
func (g *Gateway) heard(c *call) {
	c.entry.UpstreamMicros = (g.c.Now().Sub(c.sent) - c.interim.waited).Microseconds()
}

// unanswered is a call that came to no result.
func (g *Gateway) unanswered(ctx context.Context, c *call, err error) *fault {
	server, _ := c.grant.Tool.Split()
	c.entry.Decision = audit.Failed
	rpc, answered := errors.AsType[*upstream.RPCError](err)
	switch {
	case c.interim.over != nil:
		if c.interim.unsent {
			c.entry.Decision = audit.Refused
		}
		return c.interim.over
	case answered:
		if rpc.Code == codePages {
			return c.pages(rpc)
		}
		if c.needsTasks(rpc) {
			return taskFault(c, errTasks)
		}
		if ask := c.keptFrom(rpc); ask != "" {
			return askFault(c, fmt.Errorf("it has to ask for %s, which this persona does not let it ask for; a reviewer can change that", ask))
		}
		c.entry.Decision = audit.Allowed
		return c.masked(rpc)
	case errors.Is(err, upstream.ErrNotConnected):
		c.entry.Decision = audit.Refused
		return g.unconnected(c, server, err)
	case errors.Is(err, upstream.ErrNoTasks):
		c.entry.Decision = audit.Refused
		return rpcFault(codeNoMethod, "The server %s takes no calls as tasks now. This one was not made: call without the parameter \"task\".", server)
	case errors.Is(err, upstream.ErrNoToken):
		c.entry.Decision = audit.Refused
	}
	return c.failure(ctx, server, err)
}

// bounded is the time that the policy gives a call.
func (c *call) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if limit := c.grant.rules.TimeoutSeconds; limit > 0 {
		return context.WithTimeout(ctx, time.Duration(limit)*time.Second)
	}
	return ctx, func() {}
}

// receive takes the server's result for the client.
func (c *call) receive(server string, result strictjson.Value) *fault {
	if limit := c.grant.rules.MaxResultBytes; limit > 0 && len(result.Text) > limit {
		f := toolFault(fmt.Sprintf("Withheld by the policy of this persona: the result has %d bytes, and at most %d are let through. The call has taken effect; ask for less.", len(result.Text), limit),
			fmt.Sprintf("the result has %d bytes, over the limit of %d", len(result.Text), limit))
		f.policy = "forward/result size"
		return f
	}
	if c.seen != nil && upstream.Failed(result) {
		c.seen.Error = toolError
	}
	if f := c.conform(result.Text); f != nil {
		return f
	}
	if f := c.mask(&result); f != nil {
		return f
	}
	var err error
	if c.result, err = c.finished(result); errors.Is(err, errAsks) {
		return askFault(c, err)
	} else if errors.Is(err, errTasks) {
		return taskFault(c, err)
	} else if err != nil {
		return toolFault(fmt.Sprintf("The server %s did not finish the call: %v. Tell the operator of Remit.", server, err), "")
	}
	c.entry.Decision = audit.Allowed
	return nil
}

// streams opens the call's stream where the client asked for progress or log messages, and returns the token of progress; nil
// if it asked for none.
func (c *call) streams() jsontext.Value {
	token := c.meta.at("progressToken")
	if !validID(token) {
		token = nil
	}
	if token == nil && c.logLevel() == "" || !acceptsStream(c.r) {
		return nil
	}
	if c.progress == nil {
		c.progress = c.stream()
	}
	return token
}

// mask hides in the result what the policy says, and notes in the record how much of what was found, never what.
func (c *call) mask(result *strictjson.Value) *fault {
	if len(c.grant.rules.Mask) == 0 {
		return nil
	}
	masked, found, err := c.grant.rules.MaskResult(result.Text)
	for name, n := range found {
		c.note("mask "+name, fmt.Sprint(n))
	}
	if err != nil {
		f := toolFault("Withheld by the policy of this persona: "+clean(err.Error(), 300)+". The call has taken effect.", clean(err.Error(), maxReason))
		f.policy = "forward/mask"
		return f
	}
	*result = strictjson.Unread(masked)
	return nil
}

// masked is a server's error, of which masks hide as much as of a result.
func (c *call) masked(rpc *upstream.RPCError) *fault {
	f := &fault{code: rpc.Code, message: c.grant.rules.MaskText(rpc.Message), reason: c.grant.rules.MaskText(rpc.Error())}
	var text string
	if json.Unmarshal(rpc.Text, &text) == nil {
		if f.message = c.grant.rules.MaskText(text); f.message == text {
			f.quoted = rpc.Text
		}
	}
	if len(rpc.Data) > 0 {
		data, _, err := c.grant.rules.MaskArguments(rpc.Data)
		if err != nil {
			data = nil // what cannot be read is not passed on
		}
		f.data = data
	}
	if c.modern && rpc.Code == codeCapability {
		f.status = http.StatusBadRequest
	}
	return f
}

// progressEvent is a server's progress as it came, under the client's own token; nil for one that is none, or that masks
// cannot read.
func progressEvent(params json.RawMessage, token jsontext.Value, rules *policy.Compiled) []byte {
	in, ok := membersOf(params)
	if !ok || in.at("progress").Kind() != '0' {
		return nil
	}
	if len(rules.Mask) > 0 {
		var err error
		if params, _, err = rules.MaskArguments(params); err != nil {
			return nil
		}
	}
	own, _, err := splice(params, "progressToken", func([]byte) []byte { return token })
	if err != nil {
		return nil
	}
	return slices.Concat([]byte(`{"jsonrpc":"2.0","method":"notifications/progress","params":`), own, []byte("}"))
}

// splice puts another value in the place of an object's members of the name, and leaves every other byte.
func splice(object []byte, name string, other func(value []byte) []byte) (out []byte, found bool, err error) {
	dec := jsontext.NewDecoder(bytes.NewReader(object), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if start, err := dec.ReadToken(); err != nil || start.Kind() != '{' {
		return nil, false, errors.New("it is no object")
	}
	at := 0
	for dec.PeekKind() == '"' {
		member, err := dec.ReadToken()
		if err != nil {
			return nil, false, err
		}
		is := member.String() == name
		value, err := dec.ReadValue()
		if err != nil {
			return nil, false, err
		}
		if end := int(dec.InputOffset()); is {
			out, at, found = append(append(out, object[at:end-len(value)]...), other(value)...), end, true
		}
	}
	return append(out, object[at:]...), found, nil
}

// finished returns the server's result as sent, with resultType added for the stateless era where it lacks one. A server that asks
// for input which the persona does not let it ask for is refused.
func (c *call) finished(read strictjson.Value) (parts [2][]byte, err error) {
	result := bytes.TrimLeft(read.Text, " \t\r\n")
	if len(result) == 0 || result[0] != '{' {
		return parts, errors.New("its answer is not a result")
	}
	kind, err := resultType(read)
	switch {
	case err != nil:
		return parts, errors.New("its answer is not a result")
	case kind == "input_required":
		return parts, errAsks
	case kind == "task":
		return parts, errTasks
	case kind != "" && kind != "complete":
		return parts, fmt.Errorf("it answered %q, which this endpoint does not carry", clean(kind, 64))
	}
	result = c.cacheable(result)
	if kind == "" && c.modern {
		rest, start := bytes.TrimLeft(result[1:], " \t\r\n"), complete
		if len(rest) > 0 && rest[0] != '}' {
			start = completeWith
		}
		return [2][]byte{start, rest}, nil
	}
	return [2][]byte{nil, result}, nil
}

// How a result of the stateless era begins, without and with members of its own.
var complete, completeWith = []byte(`{"resultType":"complete"`), []byte(`{"resultType":"complete",`)

// resultType returns the member of that name. Clients decide by it whether a result asks them: one that is given twice, or in another
// case, which some readers take for the same, is refused. A result that is nothing but a task, as in the older era, is of the type "task".
func resultType(read strictjson.Value) (kind string, err error) {
	const name = "resultType"
	task, more := false, false
	if read.Known() {
		members, _ := read.Members()
		for _, m := range members {
			switch {
			case m.Name == name:
				var text bool
				if kind, text = strictjson.Text(m.Text); !text {
					return "", errors.New("resultType is not a string")
				}
				more = true
			case strings.EqualFold(m.Name, name):
				return "", errors.New("resultType is spelt in another case")
			case m.Name == "task":
				task = m.Text[0] == '{'
			default:
				more = more || m.Name != "_meta"
			}
		}
		if task && !more {
			kind = "task"
		}
		return kind, nil
	}
	dec := jsontext.NewDecoder(bytes.NewReader(read.Text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if _, err := dec.ReadToken(); err != nil {
		return "", err
	}
	for given := false; dec.PeekKind() == '"'; {
		token, err := dec.ReadToken()
		if err != nil {
			return "", err
		}
		member := token.String()
		if !strings.EqualFold(member, name) {
			task = task || member == "task" && dec.PeekKind() == '{'
			more = more || member != "task" && member != "_meta"
			if err := dec.SkipValue(); err != nil {
				return "", err
			}
			continue
		}
		if given || member != name {
			return "", errors.New("resultType is given twice, or spelt in another case")
		}
		value, err := dec.ReadToken()
		if err != nil || value.Kind() != '"' {
			return "", errors.New("resultType is not a string")
		}
		kind, given, more = value.String(), true, true
	}
	if task && !more {
		kind = "task"
	}
	return kind, nil
}

// failure is what the agent is told when a server gave no answer. The upstream's own words, which may name hosts and
// paths, go into the record only.
func (c *call) failure(ctx context.Context, server string, err error) *fault {
	switch cause := c.why(ctx); {
	case errors.Is(cause, errCancelled):
		return &fault{silent: true, reason: cause.Error()}
	case errors.Is(cause, errEnded), errors.Is(cause, errClosing):
		return toolFault("Cancelled: "+cause.Error()+". The call may have taken effect.", cause.Error())
	case errors.Is(cause, context.Canceled):
		return &fault{silent: true, reason: "the client closed the connection"}
	}
	words := "The server %s could not answer. The call may have taken effect: check before you repeat it, and tell the operator of Remit."
	for _, known := range []struct {
		kind  error
		words string
	}{
		{upstream.ErrNoToken, "The server %s was not called: its authorization server gives no token now. Try again later; tell the operator of Remit if it stays so."},
		{upstream.ErrTimeout, "The server %s did not answer in time. The call may have taken effect: check before you repeat it."},
		{upstream.ErrBusy, "The server %s has as many calls in flight as it may. This one was not made: try again in a moment."},
		{upstream.ErrTooLarge, "The answer of the server %s is over the limit. Ask for less, for example a shorter range or a page."},
		{upstream.ErrUnauthorized, "The server %s refused Remit's own credentials. Tell the operator of Remit."},
		{upstream.ErrClosed, "The server %s is stopped. The call was not made; tell the operator of Remit."},
		{upstream.ErrUnavailable, "The server %s is not available now. Try again later; if the call started, it may have taken effect."},
		{upstream.ErrInvalid, "The server %s sent an answer that is not valid. The call may have taken effect; tell the operator of Remit."},
		{context.DeadlineExceeded, "The server %s did not answer in time. The call may have taken effect: check before you repeat it."},
	} {
		if errors.Is(err, known.kind) {
			words = known.words
			break
		}
	}
	return toolFault(fmt.Sprintf(words, server), err.Error())
}
