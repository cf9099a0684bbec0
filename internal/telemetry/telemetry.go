// Package telemetry owns what is counted and traced: the metrics for Prometheus, and the traces that go out over
// OpenTelemetry's protocol. It watches and never decides: when it is slow, full or down, spans are dropped and counted,
// and no request is refused or waits. No argument, no result, no key and no name that a caller made up is in either.
package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Config says what is watched.
type Config struct {
	Metrics bool
	// TracesEndpoint is where traces go: the URL of a collector that takes OTLP over HTTP. Empty leaves it to the variables
	// OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_TRACES_ENDPOINT; without either nothing is traced.
	TracesEndpoint string
	Version        string // of Remit
	Log            *slog.Logger
}

// Telemetry counts and traces. A nil one does nothing. Other variables of OpenTelemetry than the two above are followed,
// too, such as OTEL_TRACES_SAMPLER and OTEL_EXPORTER_OTLP_HEADERS.
type Telemetry struct {
	*metrics
	log      *slog.Logger
	provider *sdk.TracerProvider // nil when nothing is traced, and so the following
	tracer   trace.Tracer
	out      *exporter
}

// flushWithin bounds the end of the traces.
const flushWithin = 5 * time.Second

// New returns nil when nothing is to be watched. It sends nothing before the first span has ended.
func New(ctx context.Context, c Config) (*Telemetry, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	traced, why := wanted(c.TracesEndpoint, os.Getenv)
	if why != "" {
		c.Log.Warn("nothing is traced: " + why)
	}
	if !traced && !c.Metrics {
		return nil, nil
	}
	t := &Telemetry{metrics: newMetrics(c.Version), log: c.Log}
	if traced {
		if err := t.trace(ctx, c); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// Close sends the spans that wait, within five seconds; what does not get through is lost.
func (t *Telemetry) Close() {
	if t == nil || t.provider == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushWithin)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err == nil {
		return
	} else if !errors.Is(err, context.DeadlineExceeded) {
		t.log.Warn("the last traces could not be sent", "err", err)
		return
	}
	t.log.Warn("the last traces could not be sent in time and are lost", "after", flushWithin)
	_ = t.out.SpanExporter.Shutdown(ctx) // ends the request that hangs
	<-t.out.ended
}

// Handler serves /metrics, to two scrapes at a time.
func (t *Telemetry) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{Registry: t.registry, ErrorHandling: promhttp.ContinueOnError,
		ErrorLog: slog.NewLogLogger(t.log.Handler(), slog.LevelWarn), MaxRequestsInFlight: 2, Timeout: 10 * time.Second}))
	return mux
}
