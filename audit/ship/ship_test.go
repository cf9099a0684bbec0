package ship

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"remit/audit"
	"remit/store"
)

// hostile is an entry whose texts an agent chose to begin a line, to steer a terminal, and to hide.
var hostile = audit.Entry{Kind: audit.ToolCall, Actor: audit.Actor{Agent: "bot\r\n<13>1 - evil"}, Tool: "a\x1b[2J\x7f\u009b\u202e\u2028😀\x00", Decision: audit.Refused,
	Reason: "line\nbreak"}

// record opens a record with n entries.
func record(t *testing.T, n int) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "remit.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	add(t, s, n)
	return s
}

func add(t *testing.T, s *store.Store, n int) {
	t.Helper()
	for range n {
		if err := s.Append(t.Context(), hostile); err != nil {
			t.Fatal(err)
		}
	}
}

// follow runs a follower until the test stops it.
func follow(t *testing.T, s *store.Store, to Sink) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	f := &Follower{Name: "siem", Sink: to, Source: s, Timeout: 10 * time.Second, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	go func() { ended <- f.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline, tick := time.After(time.Minute), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline:
			t.Fatalf("%s: it did not happen within a minute", what)
		case <-tick.C:
		}
	}
}

// got is what a receiver in a test has taken.
type got struct {
	mu      sync.Mutex
	entries []audit.Entry
}

func (g *got) take(text string) error {
	var e audit.Entry
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		return fmt.Errorf("%q: %w", text, err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.entries = append(g.entries, e)
	return nil
}

// numbers are those of the entries, in the order in which they were first taken.
func (g *got) numbers() (seqs []int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, e := range g.entries {
		if !slices.Contains(seqs, e.Seq) {
			seqs = append(seqs, e.Seq)
		}
	}
	return seqs
}

// wantAll checks that all entries up to n came, first in order, and that they are the chain.
func (g *got) wantAll(t *testing.T, n int64) {
	t.Helper()
	until(t, fmt.Sprintf("%d entries arrive", n), func() bool { return int64(len(g.numbers())) >= n })
	var v audit.Verifier
	seen := int64(0)
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, e := range g.entries {
		if e.Seq <= seen {
			continue // again
		}
		seen = e.Seq
		if err := v.Add(e); err != nil {
			t.Error(err)
		}
	}
	if seen != n {
		t.Errorf("the last is %d, want %d", seen, n)
	}
}

// flaky fails as often as it is told to, before or after it took the entries.
type flaky struct {
	got
	fail  int
	after bool
	hang  chan struct{} // if set, nothing is taken until it is closed
}

func (f *flaky) Send(ctx context.Context, entries []audit.Entry) error {
	if f.hang != nil {
		select {
		case <-f.hang:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if len(entries) > 0 && f.fail > 0 && !f.after {
		f.fail--
		return errors.New("it is down")
	}
	for _, e := range entries {
		line, err := text(e)
		if err == nil {
			err = f.take(string(line))
		}
		if err != nil {
			return err
		}
	}
	if len(entries) > 0 && f.fail > 0 {
		f.fail--
		return errors.New("its answer was lost")
	}
	return nil
}

func (*flaky) Close() error { return nil }

func TestFollowerSendsAllInOrder(t *testing.T) {
	for name, to := range map[string]*flaky{"well": {}, "down at first": {fail: 2}, "answers lost": {fail: 2, after: true}} {
		t.Run(name, func(t *testing.T) {
			s := record(t, 2*batch+7)
			defer follow(t, s, to)()
			to.wantAll(t, 2*batch+7)
			add(t, s, 3)
			to.wantAll(t, 2*batch+10)
			until(t, "it is remembered", func() bool {
				p, err := s.Shipped(t.Context(), "siem")
				return err == nil && p.Upto.Seq == 2*batch+10 && p.Problem == ""
			})
		})
	}
}

// After a restart the next entries are sent, and only they.
func TestFollowerGoesOnAfterARestart(t *testing.T) {
	s, first, second := record(t, 5), &flaky{}, &flaky{}
	stop := follow(t, s, first)
	first.wantAll(t, 5)
	until(t, "it is remembered", func() bool { p, _ := s.Shipped(t.Context(), "siem"); return p.Upto.Seq == 5 })
	stop()
	add(t, s, 2)
	defer follow(t, s, second)()
	until(t, "the rest arrives", func() bool { return slices.Equal(second.numbers(), []int64{6, 7}) })
}

// A receiver that hangs delays no entry, and what is wrong is seen; nothing is lost when it comes back.
func TestDeadSinkDelaysNothing(t *testing.T) {
	s, to := record(t, 1), &flaky{hang: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	f := &Follower{Name: "siem", Sink: to, Source: s, Timeout: 50 * time.Millisecond, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	ended := make(chan error)
	go func() { ended <- f.Run(ctx) }()
	until(t, "the problem is seen", func() bool { p, _ := s.Shipped(t.Context(), "siem"); return p.Problem != "" && p.Upto.Seq == 0 })
	add(t, s, 3*batch) // each returns when it is durable
	close(to.hang)
	to.wantAll(t, 3*batch+1)
	until(t, "the problem is over", func() bool { p, _ := s.Shipped(t.Context(), "siem"); return p.Problem == "" })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// The record was rewritten behind what was sent: it is told, and what follows is sent all the same.
func TestFollowerTellsARewrittenRecord(t *testing.T) {
	s, to := record(t, 3), &flaky{}
	if err := s.SaveShipped(t.Context(), audit.Shipped{Sink: "siem", Upto: audit.Head{Seq: 2, Hash: "another"}}); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	f := &Follower{Name: "siem", Sink: to, Source: s, Timeout: time.Second, Log: slog.New(slog.NewTextHandler(&log, nil))}
	ended := make(chan error)
	go func() { ended <- f.Run(ctx) }()
	until(t, "the third arrives", func() bool { return len(to.numbers()) == 1 })
	cancel()
	<-ended
	if !strings.Contains(log.String(), "was changed behind what was sent") {
		t.Errorf("the log says %s", &log)
	}
}

// FuzzText: one line of printable ASCII, whatever an agent wrote, that reads as the sealed entry.
func FuzzText(f *testing.F) {
	f.Add(hostile.Agent, hostile.Tool)
	f.Add("\xff\u2029", "\U000e0001\"\\")
	f.Fuzz(func(t *testing.T, agent, tool string) {
		e := audit.Entry{Kind: "x", Actor: audit.Actor{Agent: agent}, Tool: tool, Detail: map[string]string{tool: agent}}.Seal(0, "")
		line, err := text(e)
		if err != nil || bytes.ContainsFunc(line, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("got %q, %v", line, err)
		}
		var back audit.Entry
		var v audit.Verifier
		if err := json.Unmarshal(line, &back); err != nil {
			t.Fatal(err)
		}
		if err := v.Add(back); err != nil {
			t.Error(err)
		}
	})
}

func TestValidate(t *testing.T) {
	for name, tc := range map[string]struct {
		c    Config
		want string
	}{
		"syslog":       {Config{URL: "tls://h"}, ""},
		"otlp":         {Config{URL: "https://h/v1/logs", Headers: map[string]string{"a": "b"}}, ""},
		"socket":       {Config{URL: "unixgram:///dev/log"}, ""},
		"no scheme":    {Config{URL: "h:514"}, "it must be tcp"},
		"no host":      {Config{URL: "udp://"}, "needs a host"},
		"no path":      {Config{URL: "unix://"}, "needs the path"},
		"a user":       {Config{URL: "https://u:hunter2@h"}, "give credentials in headers"},
		"useless ca":   {Config{URL: "tcp://h", CA: "f"}, "need a tls or https url"},
		"half a pair":  {Config{URL: "tls://h", Cert: "f"}, "belong together"},
		"useless head": {Config{URL: "tls://h", Headers: map[string]string{"a": "b"}}, "headers need an http"},
		"no time":      {Config{URL: "udp://h", Timeout: -1}, "at least 1s"},
	} {
		if tc.c.Timeout == 0 {
			tc.c.Timeout = time.Second
		}
		err := tc.c.Validate()
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}
