package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"remit/gateway"
	"remit/internal/telemetry"
)

// metricsServer serves /metrics on an address of its own, without a password.
type metricsServer struct {
	listener net.Listener
	server   *http.Server
}

// watch begins to count and trace as the options say, and returns nil when no metrics are to be served.
func (a *app) watch(log *slog.Logger) (*metricsServer, error) {
	var m *metricsServer
	if address := a.opts.MetricsAddress; address != "" {
		host, port, _ := net.SplitHostPort(address) // which the options' check has done
		if host == "" {
			host = "127.0.0.1"
		}
		listener, err := net.Listen("tcp", net.JoinHostPort(host, port))
		if err != nil {
			return nil, fmt.Errorf("the metrics cannot be served on %s: %w; choose another address with --metrics-address", address, err)
		}
		if !listener.Addr().(*net.TCPAddr).IP.IsLoopback() {
			log.Warn("whoever reaches the address of the metrics can read them, with the names of personas and tools", "address", listener.Addr().String())
		}
		m = &metricsServer{listener: listener}
	}
	t, err := telemetry.New(a.ctx, telemetry.Config{Metrics: m != nil, TracesEndpoint: a.opts.TracesEndpoint, Version: version(), Log: log})
	if err != nil {
		if m != nil {
			err = errors.Join(err, m.listener.Close())
		}
		return nil, err
	}
	if a.telemetry = t; m != nil {
		m.server = &http.Server{Handler: t.Handler(), ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
			MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelError)}
	}
	return m, nil
}

func (m *metricsServer) url() string { return "http://" + m.listener.Addr().String() + "/metrics" }

// serve ends with ctx, and a scrape that is under way with it. Whatever happens to the metrics, the gateway goes on.
func (m *metricsServer) serve(ctx context.Context, log *slog.Logger) {
	stop := context.AfterFunc(ctx, func() { _ = m.server.Close() })
	defer stop()
	if err := m.server.Serve(m.listener); !errors.Is(err, http.ErrServerClosed) {
		log.Error("the metrics are no longer served", "err", err)
	}
}

func (m *metricsServer) close() {
	if m != nil {
		_ = m.listener.Close()
	}
}

// state is what the metrics read when they are scraped.
func (s *system) state(gate *gateway.Gateway, kept func() (counts, calls int)) telemetry.State {
	return telemetry.State{Gateway: gate.Stats, Servers: s.crawler.Status, Tools: func() int { return len(s.catalog.Tools()) }, Limits: kept,
		Frozen: func(ctx context.Context) (int, error) {
			pins, err := s.store.FrozenPins(ctx)
			return len(pins), err
		}, Suspensions: s.store.Suspensions, StoreBytes: s.store.Size}
}
