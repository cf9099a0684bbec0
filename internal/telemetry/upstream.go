package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"remit/gateway"
	"remit/internal/strictjson"
	"remit/upstream"
)

// Upstreams are of's, with their calls watched. A call that is traced tells the server our span as its parent, in _meta.
func (t *Telemetry) Upstreams(of gateway.Upstreams) gateway.Upstreams {
	if t == nil {
		return of
	}
	return upstreams{of, t}
}

type upstreams struct {
	gateway.Upstreams
	*Telemetry
}

func (u upstreams) Server(name string) (gateway.Caller, bool) {
	c, ok := u.Upstreams.Server(name)
	if !ok {
		return nil, false
	}
	return caller{c, u.Telemetry, name}, true
}

type caller struct {
	gateway.Caller
	*Telemetry
	server string
}

// Call has a span of its own, as that of MCP's client.
func (c caller) Call(ctx context.Context, call upstream.Call) (strictjson.Value, error) {
	began := time.Now()
	ctx, span := c.begin(ctx, &call)
	result, err := c.Caller.Call(ctx, call)
	class, kind := outcome(result, err)
	c.upstreamTime.WithLabelValues(c.server, kind).Observe(time.Since(began).Seconds())
	fail(span, class)
	span.End()
	return result, err
}

// Watch is no call.
func (c caller) Watch(ctx context.Context, uri string, ready, updated func()) error {
	return c.Caller.Watch(ctx, uri, ready, updated)
}

func (c caller) begin(ctx context.Context, call *upstream.Call) (context.Context, trace.Span) {
	if c.provider == nil {
		return ctx, noop.Span{}
	}
	ctx, span := c.tracer.Start(ctx, toolsCall+" "+call.Tool, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		methodName.String(toolsCall), operationName.String("execute_tool"), toolName.String(call.Tool), ofServer.String(c.server)))
	ours := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, ours)
	call.Meta = maps.Clone(call.Meta)
	if call.Meta == nil {
		call.Meta = map[string]json.RawMessage{}
	}
	delete(call.Meta, "tracestate")
	for name, value := range ours {
		call.Meta[name], _ = json.Marshal(value) // a string always encodes
	}
	return ctx, span
}

// failures are the words for what can go wrong, from the most particular.
var failures = []struct {
	err  error
	word string
}{
	{context.Canceled, "cancelled"}, {upstream.ErrNotConnected, "not_connected"}, {upstream.ErrNoToken, "no_token"}, {upstream.ErrTimeout, "timeout"}, {upstream.ErrBusy, "busy"}, {upstream.ErrTooLarge, "too_large"},
	{upstream.ErrUnauthorized, "unauthorized"}, {upstream.ErrClosed, "closed"}, {upstream.ErrUnavailable, "unavailable"},
	{upstream.ErrInvalid, "invalid"}, {context.DeadlineExceeded, "timeout"},
}

// outcome is the error's type for a span, empty for a success, and the same for a metric, where a server's codes, of which
// it can have any number, are one.
func outcome(result strictjson.Value, err error) (class, kind string) {
	var rpc *upstream.RPCError
	switch {
	case err == nil && upstream.Failed(result):
		return "tool_error", "tool_error"
	case err == nil:
		return "", "ok"
	case errors.As(err, &rpc):
		return strconv.Itoa(rpc.Code), "rpc_error"
	}
	for _, f := range failures {
		if errors.Is(err, f.err) {
			return f.word, f.word
		}
	}
	return "_OTHER", "other"
}
