package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Bounds of a limiter. A count takes 8 bytes for each call of the last day, of which the newest maxCalls suffice for any limit: at
// most 80 kB.
const (
	maxCounts      = 50_000
	longest        = 24 * time.Hour // of the periods
	historyTimeout = 10 * time.Second
)

// Subject is whose call of which tool is counted.
type Subject struct {
	Persona string
	Key     string // id of the access key
	Tool    string
}

// of is the part of the subject that calls have in common when they count together.
func (s Subject) of(by Scope) Subject {
	switch by {
	case ByKey:
		return s
	case ByTool:
		return Subject{Tool: s.Tool}
	case byKeyAlone:
		return Subject{Persona: s.Persona, Key: s.Key}
	default:
		return Subject{Persona: s.Persona, Tool: s.Tool}
	}
}

// History knows the calls that began before the limiter counted them: before a restart, or before anybody limited them.
type History interface {
	// Begun returns when calls of the subject that were allowed began, after the time since: the newest max of them, in any
	// order. An empty persona, key or tool stands for all; persona and key, or the tool, are given. The call that a limiter is asked about must not be among them yet.
	Begun(ctx context.Context, of Subject, since time.Time, max int) ([]time.Time, error)
}

// Limiter counts the calls of one process. Counts belong to subjects and not to policies: another revision, with other numbers,
// goes on with the same ones. It is safe for concurrent use, and exact: calls are counted one after the other.
type Limiter struct {
	history History

	mu       sync.Mutex
	start    time.Time          // of the first call; moments are nanoseconds since then
	latest   int64              // moment of the latest call. An earlier time is taken for it: a clock that steps back opens nothing
	counts   map[Subject]*count // of what some policy limits
	kept     int                // calls in all counts
	inFlight map[Subject]int    // of every persona and tool
	sweepAt  int                // how many counts make it look for idle ones
	swept    int64              // moment when it last did
}

// count is when the calls of a subject began, in the last day.
type count struct {
	moments []int64 // ascending; at most maxCalls
	used    int64   // moment when it was last asked for or added to
	loaded  bool    // the history is in it
	loading *load   // nil when nobody asks the history
}

// load is one question to the history. Every call that needs the answer waits for it.
type load struct {
	done chan struct{}
	err  error // when done is closed
}

// NewLimiter makes a limiter. Without a history (nil), it forgets at a restart and knows nothing of calls that nobody limited.
func NewLimiter(h History) *Limiter {
	return &Limiter{history: h, counts: map[Subject]*count{}, inFlight: map[Subject]int{}, sweepAt: 1024}
}

// Refusal says why a call may not begin now.
type Refusal struct {
	Rule   string        // "limits", "key" for a limit of the access key, "concurrent"
	Reason string        // for the agent: which limit, and when it lets a call through again
	Retry  time.Duration // until a call would be let through if no other comes first; 0 when that is not known
	Err    error         // why it could not be counted; nil when a limit refused
}

var errTooManyCounts = errors.New("the limiter counts for as many personas, keys and tools as it can")

// Take lets a call begin at the time now, or says why not. All limits of the policy have to allow it; a call that is refused is
// not counted. Calls without limits pass through here too, since other policies may count them. The caller calls release when
// the call has ended; more than once does no harm. Times should have their monotonic reading, as time.Now gives it: a clock that
// is set then changes nothing.
func (l *Limiter) Take(ctx context.Context, s Subject, p *Compiled, now time.Time) (release func(), refused *Refusal) {
	for {
		release, wait, refused := l.try(ctx, s, p, now)
		if wait == nil {
			return release, refused
		}
		select {
		case <-ctx.Done():
			return nil, uncounted(ctx.Err())
		case <-wait.done:
			if wait.err != nil {
				return nil, uncounted(wait.err)
			}
		}
	}
}

func uncounted(err error) *Refusal {
	return &Refusal{Rule: "limits", Reason: "the limits of this tool cannot be checked now", Err: err}
}

// full refuses a call for a limit that lets it through after a time.
func full(l Limit, retry time.Duration) *Refusal {
	rule, whose := "limits", "tool"
	if l.By == byKeyAlone {
		rule, whose = "key", "key"
	}
	return &Refusal{Rule: rule, Retry: retry,
		Reason: fmt.Sprintf("the limit of this %s is reached: %s; try again in %s", whose, l, (retry + time.Second - 1).Truncate(time.Second))}
}

// busy refuses a call beside which as many run as may.
func busy(most int) *Refusal {
	return &Refusal{Rule: "concurrent", Reason: fmt.Sprintf("the limit of this tool is reached: at most %d at once; try again when one has ended", most)}
}

// try takes the call, refuses it, or returns what has to be waited for before it is asked again.
func (l *Limiter) try(ctx context.Context, s Subject, p *Compiled, now time.Time) (func(), *load, *Refusal) {
	l.mu.Lock()
	defer l.mu.Unlock()
	clock, at := l.moment(now)
	var last Limit // the one that lets a call through last
	ready := at
	for _, limit := range p.Limits {
		c := l.count(s.of(limit.By), at)
		if c == nil {
			return nil, nil, uncounted(errTooManyCounts)
		}
		if !c.loaded {
			return nil, l.load(ctx, s.of(limit.By), c, now, at), nil
		}
		if r := c.ready(limit, at); r > ready {
			last, ready = limit, r
		}
	}
	if ready > at {
		return nil, nil, full(last, time.Duration(ready-clock))
	}
	together := s.of(ByPersona)
	if p.Concurrent > 0 && l.inFlight[together] >= p.Concurrent {
		return nil, nil, busy(p.Concurrent)
	}
	l.add(s, at)
	l.inFlight[together]++
	return l.release(together), nil, nil
}

// Kept is how many counts the limiter keeps, and how many calls are in them. A call takes 8 bytes.
func (l *Limiter) Kept() (counts, calls int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.counts), l.kept
}

// moment turns a time into the caller's moment and the one that it is counted at.
func (l *Limiter) moment(now time.Time) (clock, at int64) {
	if l.start.IsZero() {
		l.start = now
	}
	clock = int64(now.Sub(l.start))
	l.latest = max(l.latest, clock)
	return clock, l.latest
}

// count finds or makes the count of a subject; nil when there are too many.
func (l *Limiter) count(of Subject, at int64) *count {
	c, ok := l.counts[of]
	if !ok {
		if len(l.counts) >= l.sweepAt {
			l.sweep(at)
		}
		if len(l.counts) >= maxCounts {
			return nil
		}
		c = &count{loaded: l.history == nil}
		l.counts[of] = c
	}
	c.used = at
	return c
}

// sweep drops what was idle for so long that no call in it counts, at most once a second.
func (l *Limiter) sweep(at int64) {
	if l.swept != 0 && at-l.swept < int64(time.Second) {
		return
	}
	l.swept = at
	for of, c := range l.counts {
		if c.loading == nil && at-c.used >= int64(longest) {
			l.kept -= len(c.moments)
			delete(l.counts, of)
		}
	}
	l.sweepAt = min(max(1024, 2*len(l.counts)), maxCounts)
}

// add counts a call for all who count it: its limits, and those of other policies.
func (l *Limiter) add(s Subject, at int64) {
	var before Subject
	for _, by := range []Scope{ByTool, ByPersona, ByKey, byKeyAlone} {
		of := s.of(by)
		if c := l.counts[of]; c != nil && of != before { // without a key, the key's count is the persona's
			l.kept -= len(c.moments)
			c.add(at)
			l.kept += len(c.moments)
		}
		before = of
	}
}

func (l *Limiter) release(of Subject) func() {
	ended := false
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if ended {
			return
		}
		ended = true
		if l.inFlight[of]--; l.inFlight[of] == 0 {
			delete(l.inFlight, of)
		}
	}
}

// load asks the history for a count, once for all who wait. The answer serves others too, so it does not end with this call.
func (l *Limiter) load(ctx context.Context, of Subject, c *count, now time.Time, at int64) *load {
	if c.loading != nil {
		return c.loading
	}
	answer := &load{done: make(chan struct{})}
	c.loading = answer
	go func() {
		defer close(answer.done)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), historyTimeout)
		defer cancel()
		begun, err := l.history.Begun(ctx, of, now.Add(-longest), maxCalls)
		l.mu.Lock()
		defer l.mu.Unlock()
		if c.loading, answer.err = nil, err; err != nil {
			return
		}
		c.loaded = true
		l.kept -= len(c.moments)
		for _, t := range begun {
			// Before a clock stepped back, a call can have begun in what is now the future. It counts as of now.
			c.moments = append(c.moments, at-max(0, int64(now.Sub(t))))
		}
		slices.Sort(c.moments)
		c.moments = c.moments[max(0, len(c.moments)-maxCalls):]
		l.kept += len(c.moments)
	}()
	return answer
}

// ready is the moment from which the limit lets a further call begin: a period after the call that it would be one too many with.
func (c *count) ready(limit Limit, at int64) int64 {
	if len(c.moments) < limit.Calls {
		return at
	}
	return c.moments[len(c.moments)-limit.Calls] + int64(limit.Per.Length())
}

func (c *count) add(at int64) {
	old := 0
	for old < len(c.moments) && c.moments[old] <= at-int64(longest) {
		old++
	}
	c.moments = append(c.moments[max(old, len(c.moments)-maxCalls+1):], at)
	c.used = at
}
