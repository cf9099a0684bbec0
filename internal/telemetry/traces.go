package telemetry

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// wanted says whether there is an endpoint to trace to, and why one that is named is not used.
func wanted(endpoint string, env func(string) string) (traced bool, why string) {
	theirs := cmp.Or(env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), env("OTEL_EXPORTER_OTLP_ENDPOINT"))
	protocol := cmp.Or(env("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), env("OTEL_EXPORTER_OTLP_PROTOCOL"))
	exporter := cmp.Or(env("OTEL_TRACES_EXPORTER"), "otlp")
	switch {
	case endpoint == "" && theirs == "":
		return false, ""
	case strings.EqualFold(env("OTEL_SDK_DISABLED"), "true"):
		return false, "OTEL_SDK_DISABLED is true"
	case exporter != "otlp":
		return false, fmt.Sprintf("OTEL_TRACES_EXPORTER is %q, and Remit has otlp only", exporter)
	case endpoint == "" && protocol != "" && !strings.HasPrefix(protocol, "http/"):
		return false, fmt.Sprintf("OTEL_EXPORTER_OTLP_PROTOCOL is %q, and Remit speaks http/protobuf: set that, and the port for HTTP, or use --traces-endpoint", protocol)
	}
	return true, ""
}

// maxWaiting bounds the spans that wait or are on their way; those beyond are dropped.
const maxWaiting = 2048

// trace begins to trace.
func (t *Telemetry) trace(ctx context.Context, c Config) error {
	var options []otlptracehttp.Option
	if c.TracesEndpoint != "" {
		u, err := url.Parse(c.TracesEndpoint)
		if err != nil {
			return fmt.Errorf("the endpoint for traces: %w", err)
		}
		if strings.Trim(u.Path, "/") == "" {
			u.Path = "/v1/traces"
		}
		options = append(options, otlptracehttp.WithEndpointURL(u.String()))
	}
	out, err := otlptracehttp.New(ctx, options...)
	if err != nil {
		return fmt.Errorf("traces cannot be sent as the environment says: %w; check the variables that begin with OTEL_EXPORTER_OTLP_", err)
	}
	// Neither the host nor the command line is told, which may hold secrets.
	about, err := resource.New(ctx, resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", "remit"), attribute.String("service.version", c.Version)), resource.WithFromEnv())
	if err != nil {
		t.log.Warn("traces lack some attributes of their resource: check OTEL_RESOURCE_ATTRIBUTES", "err", err)
	}
	t.out = &exporter{SpanExporter: out, Telemetry: t, ended: make(chan struct{})}
	t.provider = sdk.NewTracerProvider(sdk.WithResource(about),
		sdk.WithSpanProcessor(&queue{sdk.NewBatchSpanProcessor(t.out, sdk.WithMaxQueueSize(maxWaiting)), t.out}))
	t.tracer = t.provider.Tracer("remit")
	return nil
}

// queue lets a span wait, or drops and counts it. It never blocks. The processor behind it has room for as many, so what it
// drops by itself, which it would not tell, is nothing.
type queue struct {
	sdk.SpanProcessor
	out *exporter
}

func (q *queue) OnEnd(s sdk.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	if q.out.waiting.Add(1) > maxWaiting {
		q.out.waiting.Add(-1)
		q.out.spans.WithLabelValues("dropped").Inc()
		return
	}
	q.SpanProcessor.OnEnd(s)
}

// exporter sends spans and counts what came of it.
type exporter struct {
	sdk.SpanExporter
	*Telemetry
	waiting atomic.Int64
	failing atomic.Bool
	once    sync.Once
	ended   chan struct{} // closed when nothing is sent any more
}

// ExportSpans returns no error: who calls it could only write it to a log of its own.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	e.waiting.Add(-int64(len(spans)))
	if err != nil {
		e.spans.WithLabelValues("failed").Add(float64(len(spans)))
		if !e.failing.Swap(true) {
			said := err.Error() // it may repeat all that the endpoint answered
			e.log.Warn("traces cannot be sent and are lost until the endpoint takes them", "err", said[:min(len(said), 500)])
		}
		return nil
	}
	e.spans.WithLabelValues("sent").Add(float64(len(spans)))
	if e.failing.Swap(false) {
		e.log.Info("traces are sent again")
	}
	return nil
}

func (e *exporter) Shutdown(ctx context.Context) error {
	defer e.once.Do(func() { close(e.ended) })
	return e.SpanExporter.Shutdown(ctx)
}
