package llm_test

import (
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"remit/internal/fakeopenai"
	"remit/internal/llm"
)

// reach asks a question through the proxy, with the authority.
func reach(t *testing.T, url, proxy, ca string) error {
	t.Helper()
	transport, err := llm.Transport(proxy, ca)
	if err != nil {
		t.Fatal(err)
	}
	c, err := llm.NewChat(llm.ChatConfig{URL: url, Model: "tiny", Key: key, Transport: transport, MaxTries: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Ask(t.Context(), question)
	return err
}

// TestAuthority: an endpoint whose certificate is of an unknown authority is not asked, and is with that authority's file.
func TestAuthority(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = io.WriteString(w, `{"choices":[{"message":{"content":"{\"ok\":true}"},"finish_reason":"stop"}]}`)
	}))
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := reach(t, server.URL, "", ""); err == nil || !strings.Contains(err.Error(), "certificate") || strings.Contains(err.Error(), key) || asked.Load() != 0 {
		t.Errorf("got %v after %d requests, want the certificate refused", err, asked.Load())
	}
	if err := reach(t, server.URL, "", ca); err != nil {
		t.Errorf("with its authority: %v", err)
	}
}

// TestProxy: with a proxy every request goes through it, and none past it when it is down.
func TestProxy(t *testing.T) {
	server := fakeopenai.New(8)
	t.Cleanup(server.Close)
	server.Answer = func(fakeopenai.Request) string { return `{"ok":true}` }
	var through atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		through.Add(1)
		out, err := http.NewRequestWithContext(r.Context(), r.Method, r.URL.String(), r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		out.Header = r.Header
		res, err := http.DefaultTransport.RoundTrip(out)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer res.Body.Close()
		w.WriteHeader(res.StatusCode)
		_, _ = io.Copy(w, res.Body)
	}))
	t.Cleanup(proxy.Close)
	if err := reach(t, server.URL, proxy.URL, ""); err != nil || through.Load() != 1 {
		t.Errorf("got %v and %d requests through the proxy, want 1", err, through.Load())
	}
	proxy.Close()
	if err := reach(t, server.URL, proxy.URL, ""); err == nil || len(server.Requests()) != 1 {
		t.Errorf("got %v and %d requests with the proxy down, want none past it", err, len(server.Requests())-1)
	}
}

func TestTransportRefuses(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ proxy, ca, want string }{
		{"proxy", "", "http://proxy:3128"},
		{"", empty, "no certificate in PEM form; check model.ca"},
		{"", empty + "x", "check model.ca"},
	} {
		if _, err := llm.Transport(tc.proxy, tc.ca); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q, %q: got %v, want %q", tc.proxy, tc.ca, err, tc.want)
		}
	}
}
