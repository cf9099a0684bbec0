package crawl

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// moves is a server's course on a clock that the test turns.
type moves struct {
	course
	now time.Time
}

func newMoves() *moves {
	return &moves{course{least: 5 * time.Second, longest: 10 * time.Minute, most: 3}, time.Unix(1_800_000_000, 0)}
}

func (m *moves) list(changed bool) {
	kept := !changed || !m.full(m.now)
	m.listed(m.now, m.now, changed, kept)
}

func TestPauseGrowsWhileAServerChangesAndRecovers(t *testing.T) {
	m := newMoves()
	if wait := m.next.Sub(m.now); wait > 0 {
		t.Errorf("the first announcement waits %s, want none", wait)
	}
	var got []time.Duration
	for range 10 {
		m.list(true)
		got = append(got, m.next.Sub(m.now))
		m.now = m.next
	}
	for i, want := range []time.Duration{5, 10, 20, 40, 80, 160, 320, 600, 600, 600} {
		if got[i] != want*time.Second {
			t.Errorf("change %d: got a pause of %s, want %ds", i+1, got[i], want)
		}
	}
	for range 3 {
		m.list(false)
		m.now = m.next
	}
	if m.list(false); m.next.Sub(m.now) != m.least {
		t.Errorf("after half an hour without a change: got a pause of %s, want %s", m.next.Sub(m.now), m.least)
	}
}

// A server that was down for long is tried more and more seldom, but listed soon after it connects.
func TestRetriesGrowSeldomAndAnnouncementsDoNot(t *testing.T) {
	m := newMoves()
	for _, want := range []time.Duration{5, 10, 20, 40, 80, 160, 320, 600, 600} {
		m.failed(m.now, errors.New("no"))
		if got := m.again.Sub(m.now); got != want*time.Second {
			t.Errorf("got a retry after %s, want after %ds", got, want)
		}
		m.now = m.again
	}
	m.failed(m.now, errors.New("no"))
	if got := m.next.Sub(m.now); got != m.least {
		t.Errorf("an announcement after many failures waits %s, want %s", got, m.least)
	}
	if m.list(false); !m.again.IsZero() || m.retry != 0 {
		t.Errorf("after a listing: got a retry at %s", m.again)
	}
}

func TestDoubt(t *testing.T) {
	failure := errors.New("the list is garbage")
	for name, tc := range map[string]struct {
		happens func(*moves)
		want    string // nothing: its tools may be called
	}{
		"nothing yet":          {func(*moves) {}, ""},
		"just announced":       {func(m *moves) { m.announced(m.now); m.now = m.now.Add(10 * time.Second) }, ""},
		"announced, no answer": {func(m *moves) { m.announced(m.now); m.now = m.now.Add(11 * time.Second) }, "11s ago"},
		"announced, a failure": {func(m *moves) { m.announced(m.now); m.failed(m.now, failure) }, "the list is garbage"},
		"a failure, announced": {func(m *moves) { m.failed(m.now, failure); m.announced(m.now) }, "the list is garbage"},
		"announced, answered": {func(m *moves) {
			m.announced(m.now)
			m.failed(m.now, failure)
			m.list(false)
			m.now = m.now.Add(time.Hour)
		}, ""},
		"announced again during the listing": {func(m *moves) {
			start := m.now
			m.announced(start.Add(time.Second))
			m.listed(start, start.Add(2*time.Second), false, true)
			m.now = start.Add(13 * time.Second)
		}, "not listed since"},
		"a short outage": {func(m *moves) { m.failed(m.now, failure); m.now = m.now.Add(time.Hour) }, ""},
		"a long outage": {func(m *moves) {
			m.failed(m.now, failure)
			m.now = m.now.Add(time.Hour)
			m.failed(m.now, failure)
			m.now = m.now.Add(time.Second)
		}, "could not be listed for 1h0m1s"},
		"unsteady":               {func(m *moves) { m.list(true); m.list(true); m.list(true); m.list(true) }, "changed 3 times within an hour"},
		"unsteady, changed back": {func(m *moves) { m.list(true); m.list(true); m.list(true); m.list(true); m.list(false) }, "unsteady"},
		"unsteady, then quiet": {func(m *moves) {
			m.list(true)
			m.list(true)
			m.list(true)
			m.list(true)
			m.now = m.now.Add(time.Hour)
			m.list(true)
		}, ""},
	} {
		m := newMoves()
		tc.happens(m)
		if got := m.doubt(m.now, time.Hour); (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}
