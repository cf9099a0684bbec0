package slowbody_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"remit/internal/slowbody"
)

const limit = 50 * time.Millisecond

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(slowbody.Limit(h, limit))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// A client sends one byte of its body and waits. The connection is closed, whether the handler reads the body or not.
func TestBodyThatNeverEnds(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"read": func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.ReadAll(r.Body); err == nil {
				t.Error("got a whole body")
			}
			w.WriteHeader(http.StatusRequestTimeout)
		},
		"unread": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
	} {
		for _, length := range []string{"Content-Length: 100\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\n5\r\n{"} {
			c, err := net.Dial("tcp", serve(t, h))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: h\r\n"+length)
			if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			if answer, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 40") {
				t.Errorf("%s %q: got %q, %v, want an answer and the end", name, length, answer, err)
			}
		}
	}
}

// Neither an answer that takes long nor a stream of events is cut, and the connection serves the next request.
func TestLongAnswersAreNotCut(t *testing.T) {
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			t.Error(err)
		}
		tick := time.NewTicker(limit)
		defer tick.Stop()
		for range 4 {
			select {
			case <-tick.C:
				fmt.Fprintln(w, "event")
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				t.Error("the request was cancelled")
				return
			}
		}
	})
	for _, method := range []string{http.MethodPost, http.MethodGet} {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+address, nil)
		if method == http.MethodPost {
			req, err = http.NewRequestWithContext(t.Context(), method, "http://"+address, strings.NewReader("{}"))
		}
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if events, err := io.ReadAll(res.Body); err != nil || strings.Count(string(events), "event") != 4 {
			t.Errorf("%s: got %q, %v, want 4 events", method, events, err)
		}
	}
}
