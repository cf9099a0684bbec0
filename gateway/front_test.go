package gateway_test

import (
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
		"/k/support/mcp": true, "/p/support/mcp": true, "/k/a%20b/mcp": true, "/%6b/support/mcp": true,
		"/k//mcp": false, "/k/./mcp": false, "/k/../mcp": false, "/k/%2e%2e/mcp": false, "/k/a/b/mcp": false, "/k/a%2Fb/mcp": false,
		"/k/support/mcp/": false, "/k/support": false, "/k/support/../mcp": false, "//k/support/mcp": false, "/x/../k/support/mcp": false,
		"/": false, "/keys": false, "/.well-known/oauth-protected-resource/p/support/mcp": false,
	} {
		r := httptest.NewRequest(http.MethodPost, "http://localhost"+path, nil)
		got := gateway.Serves(r.URL.Path)
		if got != want {
			t.Errorf("%s: got %v, want %v", path, got, want)
		}
		w := httptest.NewRecorder()
		if mux.ServeHTTP(w, r); got && (w.Code != http.StatusNotFound || r.Pattern == "") {
			t.Errorf("%s: a mux answers %d by its pattern %q", path, w.Code, r.Pattern)
		}
	}
}
