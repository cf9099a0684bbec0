package store

import (
	"math"
	"path/filepath"
	"runtime"
	"testing"

	"remit/audit"
)

func TestQuietRuns(t *testing.T) {
	run := quiet{}.after(7).after(8).after(9)
	for _, tc := range []struct {
		run         quiet
		before, now uint32
		want        bool
	}{
		{run, 7, 10, true}, {run, 8, 9, true}, {run, 10, 10, true}, {run, 12, 12, true},
		{run, 6, 10, false}, {run, 6, 7, false}, {run, 7, 11, false}, {run, 10, 11, false}, {run, 9, 8, false},
		{run.after(11), 7, 12, false}, {run.after(11), 11, 12, true}, // somebody else made 11
		{quiet{}.after(math.MaxUint32), math.MaxUint32, 0, true}, {quiet{}.after(math.MaxUint32).after(0), math.MaxUint32, 1, true},
		{quiet{}, 0, 1, false},
	} {
		if got := tc.run.covers(tc.before, tc.now); got != tc.want {
			t.Errorf("%+v covers %d to %d: got %v", tc.run, tc.before, tc.now, got)
		}
	}
}

// Recordings of calls do not send the cache to the database; every other transaction does, of whichever store.
func TestWhatTheCacheAsksFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "remit.db")
	var stores [2]*Store
	for i := range stores {
		s, err := Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		stores[i] = s
	}
	mine, theirs := stores[0], stores[1]
	c, err := NewCache(t.Context(), mine)
	if err != nil {
		t.Fatal(err)
	}
	if c.commits == nil {
		if runtime.GOOS == "linux" {
			t.Fatal("transactions cannot be counted")
		}
		t.Skip("transactions cannot be counted here: the cache asks each time")
	}
	asks := func() bool {
		t.Helper()
		asks := !c.quiet.Load().covers(c.now.Load().seen.Load(), c.commits.Load())
		if _, err := c.Suspensions(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !c.quiet.Load().covers(c.now.Load().seen.Load(), c.commits.Load()) {
			t.Error("asked, and would ask again")
		}
		return asks
	}
	asks()
	e := audit.Entry{Kind: audit.ToolCall, Decision: audit.Allowed}
	for _, tc := range []struct {
		name string
		do   func() error
		want bool
	}{
		{"nothing", func() error { return nil }, false},
		{"a call", func() error {
			ticket, err := mine.Begin(t.Context(), e)
			if err != nil {
				return err
			}
			return mine.Finish(t.Context(), ticket, e)
		}, false},
		{"calls", func() error {
			for range 3 {
				if err := mine.Append(t.Context(), e); err != nil {
					return err
				}
			}
			return nil
		}, false},
		{"somebody else's", func() error { return theirs.Append(t.Context(), e) }, true},
		{"a change", func() error { _, err := mine.Secret(t.Context(), "mask"); return err }, true},
		{"a call after it", func() error { return mine.Append(t.Context(), e) }, false},
		{"a checkpoint of the WAL", func() error { _, err := theirs.writer.Exec("pragma wal_checkpoint(truncate)"); return err }, false},
		{"a call after that", func() error { return mine.Append(t.Context(), e) }, false},
	} {
		if err := tc.do(); err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		if got := asks(); got != tc.want {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
		}
	}
}
