package upstream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"remit/internal/fakemcp"
	"remit/internal/strictjson"
)

// tokens gives each user a token of their own; next may give another one.
type tokens struct {
	next  func(of Subject, refused string, nth int64) (Token, error)
	asked atomic.Int64
}

func (a *tokens) PerUser() bool { return true }

func (a *tokens) Token(_ context.Context, of Subject, refused string) (Token, error) {
	if of == (Subject{}) {
		return Token{}, nil
	}
	n := a.asked.Add(1)
	if a.next != nil {
		return a.next(of, refused, n)
	}
	return Token{Value: "token-of-" + of.User, Grant: of.User}, nil
}

func ofAda() Call {
	return Call{Tool: "echo", Arguments: strictjson.Unread(`{}`), For: Subject{User: "ada", Client: "k1"}}
}

// A user's connection is kept while calls come, closed when they do not, with its session, and opened again.
func TestUsersConnectionsEndWhenIdle(t *testing.T) {
	c, fake := serveHTTP(t, "fake", fakemcp.Config{Era: fakemcp.Legacy})
	c.Auth = &tokens{}
	s := one(t, c)
	s.userIdle = 20 * time.Millisecond
	var group sync.WaitGroup
	for n := range 12 {
		call := ofAda()
		call.For.User = fmt.Sprint("user", n%3)
		group.Go(func() {
			if _, err := s.Call(within(t), call); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	waitFor(t, "all sessions but the server's own ended", func() bool { return fake.Stats().Sessions == 1 })
	if _, err := s.Call(within(t), ofAda()); err != nil {
		t.Error(err)
	}
	if got := fake.Stats().CallHeader.Get("Authorization"); got != "Bearer token-of-ada" {
		t.Errorf("the call carried %q", got)
	}
}

// Closing the pool ends users' connections too, and the calls on them.
func TestPoolEndsUsersConnections(t *testing.T) {
	c, _ := serveHTTP(t, "fake", fakemcp.Config{})
	c.Auth = &tokens{}
	pool, err := NewPool([]Config{c}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, _ := pool.Server("fake")
	if _, err := s.Call(within(t), ofAda()); !errors.Is(err, ErrClosed) {
		t.Errorf("before the start: got %v", err)
	}
	pool.Start(context.Background())
	if _, err := s.Call(within(t), ofAda()); err != nil {
		t.Fatal(err)
	}
	slow := ofAda()
	slow.Tool = "slow"
	ended := make(chan error, 1)
	go func() { _, err := s.Call(context.Background(), slow); ended <- err }()
	waitFor(t, "a call in flight", func() bool { return s.Health().InFlight == 1 })
	if err := pool.Close(within(t)); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, ErrClosed) {
		t.Errorf("the call in flight: got %v", err)
	}
	if _, err := s.Call(within(t), ofAda()); !errors.Is(err, ErrClosed) {
		t.Errorf("after the end: got %v", err)
	}
}

// Attack: the account is exchanged between the moment when a call looks for its connection and the one when it is sent. The
// token of the next account is not sent on the connection of the one before.
func TestTokenOfAnotherGrantIsNotSent(t *testing.T) {
	for _, era := range []string{fakemcp.Modern, fakemcp.Legacy} {
		c, fake := serveHTTP(t, "fake", fakemcp.Config{Era: era})
		var from atomic.Int64
		from.Store(1 << 40)
		auth := &tokens{next: func(of Subject, _ string, nth int64) (Token, error) {
			if nth >= from.Load() {
				return Token{Value: "token-of-another", Grant: "another"}, nil
			}
			return Token{Value: "token-of-ada", Grant: "ada"}, nil
		}}
		c.Auth = auth
		s := one(t, c)
		if _, err := s.Call(within(t), ofAda()); err != nil {
			t.Fatal(err)
		}
		calls := fake.Stats().Calls
		from.Store(auth.asked.Load() + 2) // the call is admitted with ada's
		if _, err := s.Call(within(t), ofAda()); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "nothing was sent") {
			t.Errorf("%s: got %v", era, err)
		}
		if fake.Stats().Calls != calls || fake.Stats().Header.Get("Authorization") == "Bearer token-of-another" {
			t.Errorf("%s: the token of another account was sent", era)
		}
		if _, err := s.Call(within(t), ofAda()); err != nil || fake.Stats().CallHeader.Get("Authorization") != "Bearer token-of-another" {
			t.Errorf("%s: on a connection of its own: got %v", era, err)
		}
	}
}

// A call that was refused with 401 is repeated once, whole, and never more; other refusals are not repeated at all.
func TestRepeatedOnceAfter401(t *testing.T) {
	c, fake := serveHTTP(t, "fake", fakemcp.Config{Require: map[string]string{"Authorization": "Bearer second"}})
	auth := &tokens{next: func(_ Subject, refused string, _ int64) (Token, error) {
		if refused != "" {
			return Token{Value: "second", Grant: "g"}, nil
		}
		return Token{Value: "first", Grant: "g"}, nil
	}}
	c.Auth, c.Headers = auth, nil
	pool, err := NewPool([]Config{c}, nil)
	if err != nil {
		t.Fatal(err)
	}
	pool.Start(context.Background())
	defer pool.Close(context.Background())
	s, _ := pool.Server("fake")
	big := ofAda()
	big.Arguments = strictjson.Unread(`{"text":"` + strings.Repeat("x", 100_000) + `"}`)
	raw, err := s.Call(within(t), big)
	if err != nil || !strings.Contains(raw.String(), strings.Repeat("x", 100_000)) {
		t.Fatalf("got %.200s, %v", raw, err)
	}
	if n := fake.Stats().Calls; n != 1 {
		t.Errorf("the call was carried out %d times", n)
	}
	auth.next = func(_ Subject, refused string, _ int64) (Token, error) {
		if refused == "third" {
			return Token{}, fmt.Errorf("%w: gone", ErrNotConnected)
		}
		return Token{Value: "third", Grant: "g"}, nil
	}
	if _, err := s.Call(within(t), ofAda()); !errors.Is(err, ErrNotConnected) || fake.Stats().Calls != 1 {
		t.Errorf("without another token: got %v", err)
	}
	if err := pool.Account(within(t), "fake", Subject{User: "ada"}); !errors.Is(err, ErrNotConnected) {
		t.Errorf("a call of no client's: got %v", err)
	}
	if err := pool.Account(within(t), "fake", Subject{User: "ada", Client: "k1"}); err != nil {
		t.Error(err)
	}
}
