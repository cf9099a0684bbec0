package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"remit/internal/config"
)

// health answers probes, which have no credential and learn nothing else: /healthz whether the process serves, /readyz whether it
// should be sent requests.
type health struct {
	ready   func(context.Context) error
	leaving atomic.Bool
}

// readyTimeout bounds a probe of the database.
const readyTimeout = 2 * time.Second

// before also asks clients for a new connection once the process is leaving. Idle ones stay open until the end: a balancer may be sending
// on one just now, and would not know whether the request was heard.
func (h *health) before(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.leaving.Load() {
			w.Header().Set("Connection", "close")
		}
		if r.URL.Path != "/healthz" && r.URL.Path != "/readyz" {
			next.ServeHTTP(w, r)
			return
		}
		status, text := http.StatusOK, "ok\n"
		if r.URL.Path == "/readyz" {
			ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
			defer cancel()
			if h.leaving.Load() {
				status, text = http.StatusServiceUnavailable, "stopping\n"
			} else if h.ready(ctx) != nil {
				status, text = http.StatusServiceUnavailable, "the database does not answer\n"
			}
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text) // the prober may have left
	})
}

type healthCmd struct{}

// Run is a probe for where nothing else is installed beside remit, such as in its container.
func (healthCmd) Run(a *app) error {
	client := &http.Client{Timeout: 2 * readyTimeout, Transport: &http.Transport{}} // no proxy
	res, err := client.Get(config.Base{Listen: a.opts.Listen}.Address() + "/readyz")
	if err != nil {
		return fmt.Errorf("nothing answers at %s: %w", a.opts.Listen, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("not ready: %s", strings.TrimSpace(string(text)))
	}
	if err != nil {
		return err
	}
	_, err = a.out.Write(text)
	return err
}
