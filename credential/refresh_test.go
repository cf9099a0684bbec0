package credential_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"remit/audit"
	"remit/upstream"
)

// A token is renewed before it ends, and after a 401 once; the refresh token is taken once and its successor kept.
func TestRefresh(t *testing.T) {
	w := newWorld(t, personal)
	w.connect("ada")
	w.wants("ada", "ada@crm")
	if n := w.provider.Seen("refresh_token"); n != 0 {
		t.Errorf("got %d renewals of a token that is good", n)
	}
	w.later(59*time.Minute + 30*time.Second)
	w.wants("ada", "ada@crm")
	w.wants("ada", "ada@crm")
	if n := w.provider.Seen("refresh_token"); n != 1 {
		t.Errorf("before its end: got %d renewals, want 1", n)
	}
	for want := 2; want < 4; want++ {
		w.later(10 * time.Minute)
		w.provider.Forget()
		calls := w.fake.Stats().Calls
		w.wants("ada", "ada@crm")
		if n := w.provider.Seen("refresh_token"); n != want || w.fake.Stats().Calls != calls+1 {
			t.Errorf("after a 401: got %d renewals and %d calls, want %d and 1", n, w.fake.Stats().Calls-calls, want)
		}
	}
	w.start(personal(w)) // what was kept outlives the process
	w.wants("ada", "ada@crm")
}

// A server that refuses every token costs one renewal and one repetition, and does not have the authorization server flooded.
func TestServerThatRefusesEveryToken(t *testing.T) {
	w := newWorld(t, personal)
	w.connect("ada")
	w.wants("ada", "ada@crm")
	w.later(10 * time.Minute)
	w.provider.Do(func() {
		w.provider.Instead["/token"] = func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "application/json")
			fmt.Fprint(rw, `{"access_token":"useless-canary","token_type":"bearer","expires_in":3600}`)
		}
	})
	w.provider.Forget()
	for range 5 {
		if _, err := w.call("ada", w.keys["ada"]); !errors.Is(err, upstream.ErrUnauthorized) {
			t.Errorf("got %v, want it refused by the server", err)
		}
	}
	if n := w.provider.Seen("/token"); n > 5 {
		t.Errorf("got %d requests for tokens", n)
	}
}

// What an authorization server has ended is dropped and the person is told; while it is down, tokens that are good go on.
func TestRefreshThatFails(t *testing.T) {
	w := newWorld(t, personal)
	w.connect("ada")
	w.connect("bob")
	w.later(59*time.Minute + 30*time.Second) // early enough to go on with what there is
	w.provider.Do(func() { w.provider.Refuse = "temporarily_unavailable" })
	w.wants("ada", "ada@crm")
	w.later(time.Minute) // bob's token has ended
	calls := w.fake.Stats().Calls
	if _, err := w.call("bob", w.keys["bob"]); !errors.Is(err, upstream.ErrNoToken) || errors.Is(err, upstream.ErrNotConnected) || w.fake.Stats().Calls != calls {
		t.Errorf("a token that cannot be renewed now: got %v", err)
	}
	w.provider.Do(func() { w.provider.Refuse = "invalid_grant" })
	w.refused("bob", w.keys["bob"], "its authorization server has ended it")
	w.refused("bob", w.keys["bob"], "has not connected")
	w.provider.Do(func() { w.provider.Refuse = "" })
	w.wants("ada", "ada@crm")
	if got := w.kinds("connection.lose"); got != 1 {
		t.Errorf("got %d entries of a lost connection, want 1", got)
	}
}

func (w *world) kinds(kind string) int {
	w.t.Helper()
	all, err := w.store.Entries(w.t.Context(), audit.Query{Kind: kind, Limit: 1000})
	must(w.t, err)
	return len(all)
}
