package gateway_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"remit/gateway"
)

// What the gateway serves without a mux is what a mux would give it as it is: no path that it would clean, and none of others.
func TestServes(t *testing.T) {
	mux := http.NewServeMux()
	for _, path := range gateway.Paths {
		mux.Handle(path, http.NotFoundHandler())
	}
	for path, want := range map[string]bool{
		"/k/support/mcp": true, "/p/support/mcp": true, "/k/a%20b/mcp": true,
		"/%6b/support/mcp": false, "/k%2Fsupport/mcp": false, "/k%2fsupport%2Fmcp": false, "/k/support%2Fmcp": false, // left to the mux, which reads escapes segment by segment
		"/k//mcp": false, "/k/./mcp": false, "/k/../mcp": false, "/k/%2e%2e/mcp": false, "/k/a/b/mcp": false, "/k/a%2Fb/mcp": false,
		"/k/support/mcp/": false, "/k/support": false, "/k/support/../mcp": false, "//k/support/mcp": false, "/x/../k/support/mcp": false,
		"/": false, "/keys": false, "/.well-known/oauth-protected-resource/p/support/mcp": false,
	} {
		r := httptest.NewRequest(http.MethodPost, "http://localhost"+path, nil)
		got := gateway.Serves(r.URL)
		if got != want {
			t.Errorf("%s: got %v, want %v", path, got, want)
		}
		w := httptest.NewRecorder()
		if mux.ServeHTTP(w, r); got && (w.Code != http.StatusNotFound || r.Pattern == "") {
			t.Errorf("%s: a mux answers %d by its pattern %q", path, w.Code, r.Pattern)
		}
	}
}

// Every answer in one piece says how long it is, whether the gateway counts or net/http does.
func TestAnswersSayTheirLength(t *testing.T) {
	for _, size := range []int{0, 100, 1850, 1900, 1950, 2000, 2050, 5000, 100_000} {
		g, _ := newStill(t, 1, size)
		server := httptest.NewServer(g)
		defer server.Close()
		r := benchRequest("p", "k", call("t0", `{"text":"hello"}`))
		made, err := http.NewRequestWithContext(t.Context(), r.Method, server.URL+r.URL.Path, r.Body)
		must(t, err)
		made.Header = r.Header
		res, err := server.Client().Do(made)
		must(t, err)
		body, err := io.ReadAll(res.Body)
		must(t, err)
		must(t, res.Body.Close())
		if res.ContentLength != int64(len(body)) || len(body) < size || res.StatusCode != http.StatusOK {
			t.Errorf("%d bytes: got %d and a length of %d, status %d", size, len(body), res.ContentLength, res.StatusCode)
		}
	}
}
