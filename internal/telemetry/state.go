package telemetry

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"remit/catalog/crawl"
	"remit/gateway"
	"remit/persona"
	"remit/upstream"
)

// State is what is read at each scrape. What cannot be read is left out of the answer and counted as an error of it.
type State struct {
	Gateway     func() gateway.Stats
	Servers     func() []crawl.ServerStatus
	Tools       func() int                 // of the catalog
	Limits      func() (counts, calls int) // that the limiter keeps
	Frozen      func(context.Context) (int, error)
	Suspensions func(context.Context) ([]persona.Suspension, error)
	StoreBytes  func(context.Context) (int64, error)
}

// Watch has each scrape read state, too. It is called once.
func (t *Telemetry) Watch(s State) {
	if t != nil {
		t.registry.MustRegister(s)
	}
}

// scrapeTimeout bounds what a scrape asks the database.
const scrapeTimeout = 5 * time.Second

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("remit_"+name, help, labels, nil)
}

var (
	requestsInFlight = describe("requests_in_flight", "Requests that are being served, streams left out.")
	streamsOpen      = describe("streams_open", "Streams on which clients wait for changes.")
	sessionsOpen     = describe("sessions_open", "Sessions of the older protocol versions.")
	catalogTools     = describe("catalog_tools", "Tools in the catalog.")
	limiterCounts    = describe("limiter_counts", "Counts that the limiter keeps, of at most 50,000.")
	limiterCalls     = describe("limiter_calls", "Calls in these counts, of at most 10,000 in each; a call takes 8 bytes.")
	frozenGrants     = describe("frozen_grants", "Grants of live revisions that are refused until a person confirms them.")
	suspended        = describe("suspensions", "What people have suspended.", "kind")
	storeBytes       = describe("store_size_bytes", "Size of the database.")

	upstreamUp       = describe("upstream_up", "1 while the server is connected.", "server")
	upstreamRestarts = describe("upstream_restarts_total", "Attempts to connect to the server after the first.", "server")
	upstreamInFlight = describe("upstream_calls_in_flight", "Calls that the server has not answered.", "server")
	upstreamTools    = describe("upstream_tools", "Tools that the server offered when it was last listed.", "server")
	upstreamListed   = describe("upstream_last_listed_timestamp_seconds", "When the server was last listed.", "server")
)

// Describe names them all.
func (s State) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{requestsInFlight, streamsOpen, sessionsOpen, catalogTools, limiterCounts, limiterCalls, frozenGrants, suspended, storeBytes,
		upstreamUp, upstreamRestarts, upstreamInFlight, upstreamTools, upstreamListed} {
		out <- d
	}
}

// Collect reads them all.
func (s State) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	now := s.Gateway()
	gauge(requestsInFlight, float64(now.Requests-now.Streams))
	gauge(streamsOpen, float64(now.Streams))
	gauge(sessionsOpen, float64(now.Sessions))
	gauge(catalogTools, float64(s.Tools()))
	counts, calls := s.Limits()
	gauge(limiterCounts, float64(counts))
	gauge(limiterCalls, float64(calls))
	for _, server := range s.Servers() {
		up := 0.
		if server.Health.State == upstream.Ready {
			up = 1
		}
		gauge(upstreamUp, up, server.Server)
		out <- prometheus.MustNewConstMetric(upstreamRestarts, prometheus.CounterValue, float64(server.Health.Restarts), server.Server)
		gauge(upstreamInFlight, float64(server.Health.InFlight), server.Server)
		gauge(upstreamTools, float64(server.Tools), server.Server)
		if !server.LastCrawl.IsZero() {
			gauge(upstreamListed, float64(server.LastCrawl.UnixMilli())/1000, server.Server)
		}
	}
	s.collectStored(out, gauge)
}

// collectStored reads what only the database knows.
func (s State) collectStored(out chan<- prometheus.Metric, gauge func(*prometheus.Desc, float64, ...string)) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	if n, err := s.Frozen(ctx); err != nil {
		out <- prometheus.NewInvalidMetric(frozenGrants, err)
	} else {
		gauge(frozenGrants, float64(n))
	}
	if n, err := s.StoreBytes(ctx); err != nil {
		out <- prometheus.NewInvalidMetric(storeBytes, err)
	} else {
		gauge(storeBytes, float64(n))
	}
	all, err := s.Suspensions(ctx)
	if err != nil {
		out <- prometheus.NewInvalidMetric(suspended, err)
		return
	}
	count := map[persona.Kind]int{}
	for _, v := range all {
		count[v.Kind]++
	}
	for _, kind := range []persona.Kind{persona.OnePersona, persona.OneServer, persona.OneTool} {
		gauge(suspended, float64(count[kind]), string(kind))
	}
}
