package telemetry

import (
	"maps"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// What a label says instead of a name.
const (
	unknown = "unknown" // of nothing that is granted, or without a valid key
	none    = "none"    // no rule refused
)

// metrics are what is counted as it happens. Their labels take names from the configuration, from approved revisions and
// from this program only, so that callers cannot make more of them.
type metrics struct {
	registry *prometheus.Registry

	requests, calls, masked             *prometheus.CounterVec
	requestTime, callTime, stepTime     *prometheus.HistogramVec
	gatewayTime                         prometheus.Histogram
	upstreamTime                        *prometheus.HistogramVec
	auditTime, crawlTime                *prometheus.HistogramVec
	auditFailures, crawlFailures, spans *prometheus.CounterVec

	steps atomic.Pointer[map[string]prometheus.Observer] // of stepTime, by name: a call takes some 14
}

// step is stepTime of a step.
func (m *metrics) step(name string) prometheus.Observer {
	known := *m.steps.Load()
	if o, ok := known[name]; ok {
		return o
	}
	more := maps.Clone(known)
	more[name] = m.stepTime.WithLabelValues(name)
	m.steps.Store(&more) // of two who add one, one does so again
	return more[name]
}

// Buckets, in seconds: of what waits for a server or a person, and of what does not.
var (
	long  = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 120}
	short = []float64{.000025, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .1, .5, 2.5}
)

func newMetrics(version string) *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	m.steps.Store(&map[string]prometheus.Observer{})
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "remit_" + name, Help: help}, labels)
		m.registry.MustRegister(c)
		return c
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "remit_" + name, Help: help, Buckets: buckets}, labels)
		m.registry.MustRegister(h)
		return h
	}
	m.requests = counter("requests_total", "Requests to the endpoints of personas that were served or refused.", "persona", "method", "decision", "rule")
	m.requestTime = histogram("request_duration_seconds", "Time from a request's arrival to its answer, streams left out.", long, "method")
	m.calls = counter("calls_total", "Calls of tools.", "persona", "tool", "decision", "rule")
	m.callTime = histogram("call_duration_seconds", "Time from a call's arrival to its answer.", long, "tool")
	m.gatewayTime = histogram("call_gateway_duration_seconds", "Time of a call that was not the server's.", short).WithLabelValues().(prometheus.Histogram)
	m.upstreamTime = histogram("upstream_call_duration_seconds", "Time that a server took for a call.", long, "server", "outcome")
	m.stepTime = histogram("call_step_duration_seconds", "Time that a step of a call took, the server's left out.", short, "step")
	m.masked = counter("masked_calls_total", "Calls in whose results a mask found something.", "tool", "mask")
	m.auditTime = histogram("audit_write_duration_seconds", "Time that a write of the record took.", short, "operation")
	m.auditFailures = counter("audit_write_failures_total", "Writes of the record that failed.", "operation")
	m.crawlTime = histogram("crawl_duration_seconds", "Time that listing a server and keeping its tools took.", long, "server")
	m.crawlFailures = counter("crawl_failures_total", "Listings of a server that failed.", "server")
	m.spans = counter("trace_spans_total", "Spans that were sent, could not be sent, or were dropped because too many waited.", "result")
	for _, result := range []string{"sent", "failed", "dropped"} {
		m.spans.WithLabelValues(result)
	}
	for _, operation := range []string{"append", "begin", "finish"} {
		m.auditFailures.WithLabelValues(operation)
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "remit_build_info", Help: "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": version, "go_version": runtime.Version()}})
	build.Set(1)
	m.registry.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Crawled counts a listing of a server.
func (t *Telemetry) Crawled(server string, took time.Duration, err error) {
	if t == nil {
		return
	}
	t.crawlTime.WithLabelValues(server).Observe(took.Seconds())
	failures := t.crawlFailures.WithLabelValues(server)
	if err != nil {
		failures.Inc()
	}
}
