package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"remit/internal/strictjson"
)

// Call is one call of a tool, or what Method says.
type Call struct {
	// Method is GetPrompt, ReadResource, Complete or one about a task. Empty is a call of a tool.
	Method string
	// Tool is the name of the tool or prompt, the URI of the resource, or the id of the task.
	Tool string
	// Arguments is a JSON object, or the zero value for none. One that was
	// read is not read again.
	Arguments strictjson.Value
	// Progress gets the parameters of each progress notification as received,
	// one at a time and none after Call has returned its result. A callback that does
	// not keep up misses some. Nil asks the server for none.
	Progress func(params json.RawMessage)
	// LogLevel asks the server for its log messages of this level and above, and
	// Log gets the parameters of each that came on the call's own stream, in the
	// way Progress does. What a server logs elsewhere, as over stdio, belongs to
	// no call and is dropped. Secrets of the configuration are taken out. There
	// may be messages below the level.
	LogLevel string
	Log      func(params json.RawMessage)
	// Asks are what the server may ask of the client, of those that Config.Asks
	// has. A server of the newer era asks in its result; what one of the older
	// asks for on the call's own stream, Answer answers, in goroutines of its
	// own and none after Call has returned. Its error, an *RPCError or another,
	// is what the server is told. Without Answer, and over stdio, where nothing
	// says to whose call a question belongs, what one of the older era asks is
	// refused.
	Asks   []string
	Answer func(ctx context.Context, asked Asked) (json.RawMessage, error)
	// Opened gets the id of each page that the server asked for and says it was
	// done with during the call, in the way Progress does.
	Opened func(elicitation string)
	// Tasks says that the caller takes a task for an answer (2026-07-28, the
	// tasks extension), and is told to servers of the newer era. Task asks a
	// server of the older era for one: it is the parameter of that name. Another
	// server is not called then: ErrNoTasks.
	Tasks bool
	Task  json.RawMessage
	// Meta are further members of _meta, such as traceparent. The members that
	// the protocol itself sets cannot be replaced.
	Meta map[string]json.RawMessage
	// For is whom the call is made for. It decides which token goes along where
	// calls carry their user's own, and nothing else.
	For Subject
	// InputSchema is the tool's, for parameters that travel in headers too
	// (x-mcp-header). Nil uses the one of the last List.
	InputSchema json.RawMessage
	// More are further parameters, such as inputResponses and requestState of a
	// repeated request.
	More map[string]json.RawMessage
}

// report hands on what the server says before it answers.
func (call Call) report(n notice) {
	switch {
	case n.opened && call.Opened != nil:
		call.Opened(string(n.params))
	case n.opened:
	case n.log:
		call.Log(n.params)
	default:
		call.Progress(n.params)
	}
}

// What can be asked of a server beside calls of tools.
const (
	GetPrompt    = "prompts/get"
	ReadResource = "resources/read"
	Complete     = "completion/complete" // all parameters are More
)

// Call calls a tool and returns the result as the server sent it, but for
// secrets of the configuration in one that is an error. It is sent at most once. A server that is just connecting is waited for; one that is
// unwell fails at once. The error is an *RPCError if the server answered one,
// and else wraps one of this package's errors or ctx's.
func (s *Server) Call(ctx context.Context, call Call) (result strictjson.Value, err error) {
	if a := call.Arguments; a.Text != nil && !a.Known() && strictjson.Check(a.Text, strictjson.Limits{}) != nil && !jsontext.Value(a.Text).IsValid(lenient) {
		return result, faultf(ErrInvalid, "server %s: the arguments of %s are not valid JSON: send an object", s.cfg.Name, clean(call.Tool, 128))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.cfg.CallTimeout, s.late)
	defer cancel()
	if err := s.take(ctx); err != nil {
		return result, err
	}
	defer func() { <-s.places }()
	s.inFlight.Add(1)
	defer s.inFlight.Add(-1)
	c, release, err := s.connectionFor(ctx, call.For)
	if err != nil {
		return result, err
	}
	defer release()
	r := request{method: "tools/call", meta: call.Meta, schema: call.InputSchema, call: true}
	if call.Method != "" {
		r.method = call.Method
	}
	if answer := call.Answer; answer != nil { // a quarter of the places stay for calls that wait for nobody
		call.Answer = func(ctx context.Context, a Asked) (json.RawMessage, error) {
			defer s.waiting.Add(-1)
			if s.waiting.Add(1) > int64(max(1, s.cfg.Concurrency*3/4)) {
				return nil, &RPCError{Code: -32603, Message: "as many calls wait for an answer as may"}
			}
			return answer(ctx, a)
		}
	}
	for _, ask := range call.Asks {
		if slices.Contains(s.cfg.Asks, ask) {
			r.asks, r.answer = append(r.asks, ask), call.Answer
		}
	}
	if r.tasks = call.Tasks || isTask(r.method); call.Task != nil {
		if c.modern() || !c.info.tasks {
			return result, faultf(ErrNoTasks, "server %s takes no calls as tasks: call it without", s.cfg.Name)
		}
		r.tasks, r.params = true, map[string]any{"task": call.Task}
	}
	if len(call.More) > 0 && r.params == nil {
		r.params = make(map[string]any, len(call.More))
	}
	for name, value := range call.More {
		if !jsontext.Value(value).IsValid(lenient) {
			return result, faultf(ErrInvalid, "server %s: the parameter %s of %s is not valid JSON", s.cfg.Name, clean(name, 128), clean(call.Tool, 128))
		}
		r.params[name] = value
	}
	switch r.method {
	case Complete:
	case ReadResource, GetTask, UpdateTask, CancelTask, TaskResult:
		r.called = call.Tool
	default:
		r.called, r.arguments = call.Tool, call.Arguments.Text
	}
	if r.schema == nil && call.Method == "" {
		r.schema = s.schema(call.Tool)
	}
	if call.Log != nil && c.direct != nil {
		r.level = call.LogLevel
		c.setLevel(ctx, r.level)
	}
	if r.progress = call.Progress != nil; r.progress || r.level != "" || call.Opened != nil {
		result, err = withNotices(ctx, c, r, call.report)
	} else {
		r.cancel = cancel
		result, err = c.do(ctx, r)
	}
	// What a task says of itself, or a server asks, is no result of a tool. It may be escaped.
	asks := len(r.asks) > 0 && (bytes.Contains(result.Text, []byte("input_required")) || bytes.Contains(result.Text, []byte(`\u`)))
	if r.tasks || asks {
		result = strictjson.Unread(c.secret.data(result.Text))
	}
	return c.secret.result(result), err
}

// connectionFor returns the connection that carries the call, and what ends its use.
func (s *Server) connectionFor(ctx context.Context, of Subject) (*conn, func(), error) {
	if s.cfg.Auth != nil && s.cfg.Auth.PerUser() {
		return s.ofUser(ctx, of)
	}
	c, err := s.connected(ctx, false)
	return c, func() {}, err
}

// notice is what a server says before it answers.
type notice struct {
	log    bool // or
	opened bool // of a page; or else progress
	params json.RawMessage
}

// withNotices sends r and hands what the server says before its answer to
// report, in a goroutine of its own so that a slow report holds up no other call.
func withNotices(ctx context.Context, c *conn, r request, report func(notice)) (strictjson.Value, error) {
	r.notices = make(chan notice, 64)
	reported := make(chan struct{})
	go func() {
		defer close(reported)
		for n := range r.notices {
			report(n)
		}
	}()
	result, err := c.do(ctx, r)
	select {
	case <-reported:
	case <-ctx.Done(): // the caller is gone, and need not wait for its own callback
	}
	return result, err
}

// take waits for a place among the calls in flight.
func (s *Server) take(ctx context.Context) error {
	select {
	case s.places <- struct{}{}:
		return nil
	default:
	}
	select {
	case s.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &fault{kind: ErrBusy, more: ctx.Err(), text: "server " + s.cfg.Name + " has as many calls in flight as it may; the call was not sent: try again later or raise Concurrency"}
	}
}

// connected returns the connection, and waits for it while the first attempt
// is under way, or as long as ctx lasts if patient.
func (s *Server) connected(ctx context.Context, patient bool) (*conn, error) {
	for {
		s.mu.Lock()
		state, c, turn, lastErr := s.health.State, s.conn, s.turn, s.health.Err
		s.mu.Unlock()
		switch {
		case c != nil && (!patient || c.life.Err() == nil):
			return c, nil
		case state == Stopped:
			return nil, faultf(ErrClosed, "server %s is not running: the pool was not started, or was closed", s.cfg.Name)
		case state == Unwell && !patient:
			return nil, s.unavailable(lastErr)
		}
		select {
		case <-turn:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return nil, &fault{kind: context.Canceled, text: "server " + s.cfg.Name + ": the wait for a connection was cancelled by the caller"}
			}
			return nil, s.unavailable(lastErr)
		}
	}
}

func (s *Server) unavailable(lastErr string) error {
	if lastErr == "" {
		lastErr = "it is still being connected"
	}
	return faultf(ErrUnavailable, "server %s is not connected (%s): look at its health, it is tried again by itself", s.cfg.Name, lastErr)
}

// Ping asks the server for a sign of life, and fails if none comes before ctx
// ends or within ten seconds. It does not wait for a connection.
func (s *Server) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Second, faultf(ErrTimeout,
		"server %s did not answer a ping within 10s: it may hang; restart it if its calls fail too", s.cfg.Name))
	defer cancel()
	c, err := s.connected(ctx, false)
	if err != nil {
		return err
	}
	method := "ping"
	if c.modern() {
		method = "server/discover"
	}
	_, err = c.do(ctx, request{method: method})
	return err
}
