package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"remit/audit"
)

// witness knows from outside of Remit what was asked of it, what it answered, what its people had it acknowledge, and which calls reached
// the server. Each call has an argument n of its own, by which it is found everywhere.
type witness struct {
	mu       sync.Mutex
	calls    map[string][]*asked  // by n; more than one where a client repeats a call
	arrivals map[string][]arrival // by n
	bans     map[string][]*ban    // by what they are about
}

func newWitness() *witness {
	return &witness{calls: map[string][]*asked{}, arrivals: map[string][]arrival{}, bans: map[string][]*ban{}}
}

// asked is one call of a client.
type asked struct {
	n, client, tool string
	under           []string // what bans are about that would refuse it
	sent, ended     time.Time
	outcome         outcome
	text            string
}

type outcome int

const (
	failed     outcome = iota // no answer of Remit's, or one that says that the call was not recorded or not decided
	refused                   // an answer that says no, which is in the record
	answered                  // the server's result
	turnedAway                // for want of a valid key; of many of these the record has a count
)

type arrival struct {
	tool string
	at   time.Time
}

// ban is a time in which nothing may pass: from when it was acknowledged until its end was sent.
type ban struct{ from, until time.Time }

func (w *witness) called(c *asked) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls[c.n] = append(w.calls[c.n], c)
}

// banned is told when the acknowledgement was received; lift is called before its end is sent.
func (w *witness) banned(about string) (lift func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := &ban{from: time.Now()}
	w.bans[about] = append(w.bans[about], b)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		b.until = time.Now()
	}
}

// before notes the calls that reach the server.
func (w *witness) before(server http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the gateway left
		}
		var m struct {
			Method string
			Params struct {
				Name      string
				Arguments struct{ N string }
			}
		}
		if json.Unmarshal(body, &m) == nil && m.Method == "tools/call" {
			w.mu.Lock()
			n := m.Params.Arguments.N
			w.arrivals[n] = append(w.arrivals[n], arrival{m.Params.Name, time.Now()})
			w.mu.Unlock()
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		server.ServeHTTP(rw, r)
	})
}

// stale holds the calls against the bans: what was sent later after an acknowledgement than allowed, and reached the server, is an error.
type stale struct {
	bans, tried   int           // calls that were sent when none was to pass
	sent, arrived time.Duration // the latest after an acknowledgement of those that passed, by when they were sent and by when they arrived
}

func (w *witness) stale(t *testing.T, allowed time.Duration) (s stale) {
	under := map[string][]*asked{}
	for _, calls := range w.calls {
		for _, about := range calls[0].under {
			under[about] = append(under[about], calls[0])
		}
	}
	for about, all := range w.bans {
		s.bans += len(all)
		for _, b := range all {
			during := func(at time.Time) bool { return at.After(b.from) && (b.until.IsZero() || at.Before(b.until)) }
			for _, c := range under[about] {
				late := c.sent.Sub(b.from)
				if late > allowed && during(c.sent) {
					s.tried++
				}
				for _, at := range w.arrivals[c.n] {
					if !during(at.at) {
						continue
					}
					s.sent, s.arrived = max(s.sent, late), max(s.arrived, at.at.Sub(b.from))
					if late > allowed {
						t.Errorf("%s: %s of %s was sent %v after it was acknowledged, and reached the server %v after", about, c.n, c.client, late, at.at.Sub(b.from))
					}
				}
			}
		}
	}
	return s
}

// reached holds what the server saw against what clients sent, and how often a person approved it, and returns how many calls it saw.
func (w *witness) reached(t *testing.T, approved map[string]int) (total int) {
	for n, at := range w.arrivals {
		total += len(at)
		most := 1
		if at[0].tool == "refund" {
			most = approved[n]
		}
		if len(at) > most {
			t.Errorf("%s reached the server %d times, want %d at most", n, len(at), most)
		}
		if len(w.calls[n]) == 0 {
			t.Errorf("%s reached the server and nobody sent it", n)
		}
	}
	for n, calls := range w.calls {
		for _, c := range calls {
			if c.outcome == answered && len(w.arrivals[n]) == 0 {
				t.Errorf("%s was answered and never reached the server: %s", n, c.text)
			}
		}
	}
	return total
}

// peak is how many calls of the tool at least began in some stretch of the length: those that were sent and arrived within it. Arrivals alone may
// bunch, since the time between a call's begin and its arrival differs.
func (w *witness) peak(tool string, length time.Duration) (most int) {
	type span struct{ from, to time.Time }
	var all []span
	for n, at := range w.arrivals {
		if calls := w.calls[n]; at[0].tool == tool && len(calls) == 1 {
			all = append(all, span{calls[0].sent, at[0].at})
		}
	}
	for _, first := range all {
		count := 0
		for _, s := range all {
			if !s.from.Before(first.from) && s.to.Before(first.from.Add(length)) {
				count++
			}
		}
		most = max(most, count)
	}
	return most
}

// inRecord holds the record against what clients were answered and what the server saw: every answer and every arrival has its entry.
func (w *witness) inRecord(t *testing.T, record map[string][]audit.Decision) {
	for n, calls := range w.calls {
		yes, no := 0, 0
		for _, c := range calls {
			switch c.outcome {
			case answered:
				yes++
			case refused:
				no++
			}
		}
		passed := len(record[n]) - countOf(record[n], audit.Refused)
		if len(record[n]) < yes+no || passed < max(yes, len(w.arrivals[n])) {
			t.Errorf("%s of %s was answered %d times, refused %d times and reached the server %d times, and the record has %v", n, calls[0].client, yes, no, len(w.arrivals[n]), record[n])
		}
	}
}

func countOf[E comparable](all []E, one E) (count int) {
	for _, e := range all {
		if e == one {
			count++
		}
	}
	return count
}

// tally counts the calls of clients whose names begin with one of these, sent within a time, and tells of some that ended otherwise
// than is fine.
func (w *witness) tally(clients []string, from, to time.Time, fine ...outcome) (counts map[outcome]int, fails []string, longest time.Duration) {
	counts = map[outcome]int{}
	for n, calls := range w.calls {
		for _, c := range calls {
			if !slices.ContainsFunc(clients, func(name string) bool { return strings.HasPrefix(c.client, name) }) || c.sent.Before(from) || c.sent.After(to) {
				continue
			}
			counts[c.outcome]++
			longest = max(longest, c.ended.Sub(c.sent))
			if !slices.Contains(fine, c.outcome) && len(fails) < 10 {
				fails = append(fails, fmt.Sprintf("%s of %s at %s: %.200s", n, c.client, c.sent.Format("15:04:05.000"), c.text))
			}
		}
	}
	return counts, fails, longest
}
