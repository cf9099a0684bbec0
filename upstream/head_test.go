package upstream

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"remit/internal/fakemcp"
	"remit/internal/strictjson"
)

// A call has one header, whether it goes over a pipe, where most of it was written before, or through net/http, as where it is
// redirected to. Attack: a name that would be a line of the header is only a name.
func TestCallHeader(t *testing.T) {
	for era, want := range map[string]http.Header{
		"2025-06-18": {"Mcp-Protocol-Version": {"2025-06-18"}},
		fakemcp.Modern: {"Mcp-Protocol-Version": {fakemcp.Modern}, "Mcp-Method": {"tools/call"}, "Mcp-Param-Region": {"eu"},
			"Mcp-Name": {"=?base64?YQ0KWC1FdmlsOiAx?="}},
	} {
		t.Run(era, func(t *testing.T) {
			fake, err := fakemcp.New(fakemcp.Config{Era: era})
			if err != nil {
				t.Fatal(err)
			}
			var mu sync.Mutex
			got := map[string]http.Header{}
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body) // what is cut is no request
				r.Body = io.NopCloser(bytes.NewReader(body))
				if bytes.Contains(body, []byte(`"tools/call"`)) {
					mu.Lock()
					got[r.URL.Path] = r.Header.Clone()
					mu.Unlock()
					if r.URL.Path == "/mcp" {
						http.Redirect(w, r, "/moved", http.StatusTemporaryRedirect)
						return
					}
				}
				fake.ServeHTTP(w, r)
			}))
			t.Cleanup(func() {
				web.CloseClientConnections()
				web.Close()
			})
			s := one(t, Config{Name: "heads", URL: web.URL + "/mcp", Headers: map[string]string{"x-key": "our key"}, Auth: &tokens{}})
			until(t, s, "ready", isReady)
			call := ofAda()
			call.Tool, call.Arguments = "a\r\nX-Evil: 1", strictjson.Unread(`{"region":"eu"}`)
			call.InputSchema = []byte(`{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"}}}`)
			_, _ = s.Call(within(t), call) // the server has no such tool
			want.Set("Accept", accepted[0])
			want.Set("Content-Type", "application/json")
			want.Set("User-Agent", "remit")
			want.Set("X-Key", "our key")
			want.Set("Authorization", "Bearer token-of-ada")
			mu.Lock()
			defer mu.Unlock()
			if session := got["/mcp"].Get("Mcp-Session-Id"); session != "" && era != fakemcp.Modern {
				want.Set("Mcp-Session-Id", session)
			} else if era != fakemcp.Modern {
				t.Error("the call carried no session")
			}
			for _, way := range []string{"/mcp", "/moved"} {
				got[way].Del("Content-Length")
				got[way].Del("Accept-Encoding") // net/http's own
				if diff := cmp.Diff(want, got[way]); diff != "" {
					t.Errorf("%s (-want +got):\n%s", way, diff)
				}
			}
		})
	}
}
