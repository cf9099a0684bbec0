package telemetry

import (
	"cmp"
	"context"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"remit/gateway"
)

// Attributes of OpenTelemetry's conventions for MCP (in development, of November 2026), and our own.
const (
	methodName    = attribute.Key("mcp.method.name")
	protocol      = attribute.Key("mcp.protocol.version")
	sessionID     = attribute.Key("mcp.session.id")
	requestID     = attribute.Key("jsonrpc.request.id")
	statusCode    = attribute.Key("rpc.response.status_code")
	errorType     = attribute.Key("error.type")
	operationName = attribute.Key("gen_ai.operation.name")
	toolName      = attribute.Key("gen_ai.tool.name")
	transport     = attribute.Key("network.transport")

	ofPersona  = attribute.Key("remit.persona")
	ofRevision = attribute.Key("remit.revision")
	ofTool     = attribute.Key("remit.tool")
	ofServer   = attribute.Key("remit.server")
	ofDecision = attribute.Key("remit.decision")
	ofRule     = attribute.Key("remit.rule")
	ofMasks    = attribute.Key("remit.masks")
)

const toolsCall = "tools/call"

// Observer is what the gateway tells of its requests; nil when nothing is watched.
func (t *Telemetry) Observer() gateway.Observer {
	if t == nil {
		return nil
	}
	return observer{t}
}

type observer struct{ *Telemetry }

// Begin starts the request's span as a child of the caller's.
func (o observer) Begin(ctx context.Context, seen *gateway.Observation) context.Context {
	if o.provider == nil {
		return ctx
	}
	ctx = remote(ctx, seen.Parent, seen.State)
	options := []trace.SpanStartOption{trace.WithTimestamp(seen.Began), trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		methodName.String(seen.Method), ofPersona.String(seen.Persona), transport.String("tcp"))}
	if around := trace.SpanContextFromContext(remote(context.Background(), seen.HTTP, "")); around.IsValid() {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: around}))
	}
	ctx, _ = o.tracer.Start(ctx, seen.Method, options...)
	return ctx
}

// remote is ctx with a span of somebody else as the current one, if traceparent is one's.
func remote(ctx context.Context, parent, state string) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": parent, "tracestate": state})
}

// Trace is the id of the trace in ctx.
func (o observer) Trace(ctx context.Context) string {
	if c := trace.SpanContextFromContext(ctx); c.HasTraceID() {
		return c.TraceID().String()
	}
	return ""
}

// worthSeeing is how long a step takes that is a span of its own. One that refuses always is.
const worthSeeing = 100 * time.Microsecond

func (o observer) Step(ctx context.Context, name string, began time.Time, refused bool) {
	took := time.Since(began)
	o.step(name).Observe(took.Seconds())
	if took < worthSeeing && !refused {
		return
	}
	_, span := o.child(ctx, name, trace.WithTimestamp(began))
	if refused {
		span.SetAttributes(ofDecision.String("refused"))
	}
	span.End()
}

// child starts a span below the one in ctx, if that is recorded: nothing begins a trace but a request.
func (t *Telemetry) child(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return ctx, noop.Span{}
	}
	return t.tracer.Start(ctx, name, options...)
}

// End counts the request and ends its span.
func (o observer) End(ctx context.Context, seen *gateway.Observation) {
	o.count(seen, time.Since(seen.Began))
	span := trace.SpanFromContext(ctx)
	defer span.End()
	if !span.IsRecording() {
		return
	}
	if seen.Name != "" {
		span.SetName(seen.Method + " " + seen.Name)
	}
	span.SetAttributes(attributes(seen)...)
	fail(span, seen.Error)
}

func attributes(seen *gateway.Observation) []attribute.KeyValue {
	all := []attribute.KeyValue{ofDecision.String(string(seen.Decision))}
	for _, a := range []struct {
		key   attribute.Key
		value string
	}{{protocol, seen.Protocol}, {sessionID, seen.Session}, {requestID, seen.ID}, {toolName, seen.Name}, {ofTool, seen.Tool}, {ofRule, seen.Rule}} {
		if a.value != "" {
			all = append(all, a.key.String(a.value))
		}
	}
	if seen.Method == toolsCall {
		all = append(all, operationName.String("execute_tool"))
	}
	if seen.Revision > 0 {
		all = append(all, ofRevision.Int(seen.Revision))
	}
	if len(seen.Masks) > 0 {
		all = append(all, ofMasks.StringSlice(seen.Masks))
	}
	return all
}

// fail marks a span as failed. The conventions would have the error's words as the description: those may repeat what a
// caller or a server said, so there is none.
func fail(span trace.Span, class string) {
	if class == "" {
		return
	}
	span.SetStatus(codes.Error, "")
	span.SetAttributes(errorType.String(class))
	if _, err := strconv.Atoi(class); err == nil {
		span.SetAttributes(statusCode.String(class))
	}
}

// count keeps no label that a caller could invent.
func (m *metrics) count(seen *gateway.Observation, took time.Duration) {
	persona, rule := cmp.Or(seen.Persona, unknown), cmp.Or(seen.Rule, none)
	m.requests.WithLabelValues(persona, seen.Method, string(seen.Decision), rule).Inc()
	if seen.Method != "subscriptions/listen" && seen.Method != "GET" { // streams last as long as clients like
		m.requestTime.WithLabelValues(seen.Method).Observe(took.Seconds())
	}
	if seen.Method != toolsCall {
		return
	}
	tool := cmp.Or(seen.Tool, unknown)
	m.calls.WithLabelValues(persona, tool, string(seen.Decision), rule).Inc()
	m.callTime.WithLabelValues(tool).Observe(took.Seconds())
	m.gatewayTime.Observe((took - seen.Upstream).Seconds())
	for _, mask := range seen.Masks {
		kind, _, _ := strings.Cut(mask, " ") // a detector, or that it was a path or a pattern
		m.masked.WithLabelValues(tool, kind).Inc()
	}
}
