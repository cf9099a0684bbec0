package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// remit serve sends its traces where OpenTelemetry's variable says, the last ones when it ends, and the record has their id.
func TestServeSendsTraces(t *testing.T) {
	var mu sync.Mutex
	var got bytes.Buffer
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = io.Copy(&got, r.Body)
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "600000") // so that only the end sends
	s := startServe(t)
	s.approve(t.Context())
	code, key, stderr := s.remit("key", "create", "--persona", "support", "--agent", "bot", "--user", "zoe")
	if code != exitOK {
		t.Fatal(stderr)
	}
	key = strings.TrimSpace(key)
	s.call(key)
	_, entries, _ := s.remit("audit", "--json", "--kind", "tool.call")
	s.stop()
	text := got.String()
	for _, want := range []string{"tools/call", "get_customer", "remit.persona", "service.name"} {
		if !strings.Contains(text, want) {
			t.Errorf("the collector got no %q in %d bytes", want, len(text))
		}
	}
	if strings.Contains(text, key) {
		t.Error("the collector got the key")
	}
	if !strings.Contains(entries, `"trace":"`) {
		t.Errorf("the record names no trace: %s", entries)
	}
}
