package store_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"remit/identity"
	"remit/internal/services"
	"remit/persona"
	"remit/store"
)

var suspended = persona.Suspension{Target: persona.Target{Kind: persona.OnePersona, Name: "support"}, Person: "ravi", Reason: "r", At: time.Now()}

// What is remembered is believed for the time that was allowed and no longer, and not once a change was heard of.
func TestStaleness(t *testing.T) {
	where := services.Postgres(t)
	open := func() *store.Store {
		s, err := store.Open(t.Context(), where)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	mine, theirs := open(), open()
	if err := theirs.Update(t.Context(), "support", save(sample(t))); err != nil {
		t.Fatal(err)
	}
	caches := map[string]*store.Cache{}
	for name, staleness := range map[string]time.Duration{"strict": 0, "short": time.Second, "deaf": time.Hour, "listening": time.Hour} {
		c, err := store.NewCache(t.Context(), mine)
		if err != nil {
			t.Fatal(err)
		}
		c.Staleness = staleness
		caches[name] = c
	}
	listening(t, caches["listening"])
	stopped := func(name string) bool {
		t.Helper()
		found, err := caches[name].Suspensions(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(found) > 0
	}
	for name := range caches {
		if stopped(name) {
			t.Errorf("%s: stopped before it was", name)
		}
	}
	if err := theirs.Suspend(t.Context(), suspended, entry("persona.suspend")); err != nil {
		t.Fatal(err)
	}
	if !stopped("strict") {
		t.Error("who asks each time was not told")
	}
	for _, name := range []string{"short", "listening"} {
		for end := time.Now().Add(time.Minute); !stopped(name); {
			if time.Now().After(end) {
				t.Fatalf("%s: not stopped", name)
			}
			time.Sleep(time.Millisecond)
		}
	}
	if stopped("deaf") {
		t.Error("nothing told the deaf one: the other answers prove nothing")
	}
	if err := mine.Resume(t.Context(), suspended, entry("persona.resume")); err != nil { // the other's, which it never knew of
		t.Fatal(err)
	}
	if stopped("deaf") {
		t.Error("stopped after it was resumed")
	}
	if err := mine.Suspend(t.Context(), suspended, entry("persona.suspend")); err != nil {
		t.Fatal(err)
	}
	if !stopped("deaf") {
		t.Error("what a replica changed itself does not hold at once")
	}
}

// listening runs the cache until the test ends, and returns when it hears.
func listening(t *testing.T, c *store.Cache) {
	t.Helper()
	ctx, end := context.WithCancel(context.Background())
	heard := make(chan store.Event, 100)
	var done sync.WaitGroup
	done.Go(func() { _ = c.Run(ctx, func(e store.Event) { heard <- e }) }) // it ends with ctx only
	t.Cleanup(func() { end(); done.Wait() })
	<-heard
}

// Without its database a replica answers nothing once its time is over, and loses nothing that it acknowledged; when the database is
// back, so is the replica, and it hears again.
func TestDatabaseGoesAway(t *testing.T) {
	server, err := services.NewPostgres()
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := store.NewCache(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	c.Staleness = 50 * time.Millisecond
	listening(t, c)
	for range 3 {
		if err := s.Append(t.Context(), entry("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		_, err := c.Key(t.Context(), "k")
		return err != nil && !errors.Is(err, identity.ErrNotFound)
	})
	if err := s.Append(t.Context(), entry("x")); err == nil {
		t.Error("an entry was acknowledged without a database")
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return s.Append(t.Context(), entry("y")) == nil })
	eventually(t, func() bool { _, err := c.Key(t.Context(), "k"); return errors.Is(err, identity.ErrNotFound) })
	if head, err := s.Verify(t.Context()); err != nil || head.Seq != 4 {
		t.Errorf("got %v, %v, want the four entries that were acknowledged", head, err)
	}
	c.Staleness = time.Hour
	theirs, err := store.Open(t.Context(), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	if err := theirs.Update(t.Context(), "support", save(sample(t))); err != nil {
		t.Fatal(err)
	}
	for n := 0; ; n++ { // a change may come before it listens again
		suspended.Name = "support"
		if err := theirs.Suspend(t.Context(), suspended, entry("persona.suspend")); err != nil {
			t.Fatal(err)
		}
		found, err := c.Suspensions(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(found) > 0 {
			break
		}
		if n == 600 {
			t.Fatal("it does not hear again")
		}
		time.Sleep(50 * time.Millisecond)
		if err := theirs.Resume(t.Context(), suspended, entry("persona.resume")); err != nil {
			t.Fatal(err)
		}
	}
}

func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not happen")
		}
	}
}
