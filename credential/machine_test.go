package credential_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"remit/credential"
	"remit/upstream"
)

// asRemit calls whoami with Remit's own token.
func (w *world) asRemit(want string) {
	w.t.Helper()
	got, err := w.call("ada", w.keys["ada"])
	if err != nil || got != want {
		w.t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

// connected waits until the pool's own connection is up.
func (w *world) connected() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, _ := w.pool.Server("crm")
	if _, err := s.List(ctx); err != nil {
		w.t.Fatal(err)
	}
}

// Remit's own token is had once for all calls, for the right resource and scopes, renewed before it ends and once after a 401.
func TestClientCredentials(t *testing.T) {
	w := newWorld(t, machine)
	w.resource.Do(func() { w.resource.Open = false })
	w.connected()
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() { w.asRemit("client remit") })
	}
	group.Wait()
	if n := w.provider.Seen("client_credentials"); n != 1 {
		t.Errorf("got %d requests for a token, want 1", n)
	}
	w.later(59*time.Minute + 30*time.Second)
	w.asRemit("client remit")
	if n := w.provider.Seen("client_credentials"); n != 2 {
		t.Errorf("before its end: got %d requests, want 2", n)
	}
	w.later(time.Minute)
	w.provider.Forget()
	calls, refused := w.fake.Stats().Calls, w.resource.Refused()
	for range 10 {
		group.Go(func() { w.asRemit("client remit") })
	}
	group.Wait()
	if n := w.provider.Seen("client_credentials"); n != 3 || w.fake.Stats().Calls != calls+10 || w.resource.Refused() == refused {
		t.Errorf("after a 401: got %d requests for a token, %d calls", n, w.fake.Stats().Calls-calls)
	}
}

// While no token is to be had, calls that need a new one are refused without being sent, and those that do not go on. The
// authorization server is not asked by every one of them.
func TestProviderDown(t *testing.T) {
	w := newWorld(t, machine)
	w.connected()
	w.asRemit("client remit")
	w.provider.Close()
	w.later(59*time.Minute + 30*time.Second)
	w.asRemit("client remit") // for half a minute still
	w.later(time.Minute)
	calls := w.fake.Stats().Calls
	for range 3 {
		if _, err := w.call("ada", w.keys["ada"]); !errors.Is(err, upstream.ErrNoToken) || strings.Contains(err.Error(), "127.0.0.1:") && !strings.Contains(err.Error(), "refused") {
			t.Errorf("got %v", err)
		}
	}
	if got := w.fake.Stats().Calls; got != calls {
		t.Errorf("%d calls reached the server without a token", got-calls)
	}
}

// What the authorization server answers is told in words, and nothing of what was sent is.
func TestTokenErrors(t *testing.T) {
	answer := func(status int, kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	for _, c := range []struct {
		name string
		do   http.HandlerFunc
		want string
	}{
		{"refused", answer(401, "application/json", `{"error":"invalid_client","error_description":"a-clients-secret-canary"}`), "invalid_client"},
		{"a code that is none", answer(400, "application/json", `{"error":"a-clients-secret-canary <b>"}`), "gave no token (HTTP 400)"},
		{"a page", answer(200, "text/html", `<html>a-clients-secret-canary`), "not one of the protocol"},
		{"no token", answer(200, "application/json", `{"token_type":"bearer"}`), "not one of the protocol"},
		{"another kind", answer(200, "application/json", `{"access_token":"x","token_type":"mac"}`), "must be a bearer token"},
		{"a token with a break", answer(200, "application/json", `{"access_token":"x\r\nX-Evil: 1","token_type":"bearer"}`), "no token"},
		{"a redirect", answer(307, "text/plain", ""), "redirects"},
		{"down", answer(503, "text/plain", "a-clients-secret-canary"), "HTTP 503"},
		{"endless", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			for range 3 << 10 {
				if _, err := w.Write([]byte(strings.Repeat(" ", 1024))); err != nil {
					return
				}
			}
		}, "not one of the protocol"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, func(w *world) credential.Config {
				w.provider.Instead["/token"] = c.do
				return machine(w)
			})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			s, _ := w.pool.Server("crm")
			for s.Health().Err == "" && ctx.Err() == nil {
				time.Sleep(time.Millisecond)
			}
			if got := s.Health().Err; !strings.Contains(got, c.want) || strings.Contains(got, "canary") || strings.Contains(w.log.String(), "canary") {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
