package policy

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Shared counts the calls of several processes together, in a place that all of them ask. It is as exact as a Limiter: the place decides
// and counts in one step, by a clock of its own. When it cannot be asked, calls that something limits are refused, and others
// go on uncounted.
type Shared struct {
	Place   Place
	History History
	Longest time.Duration // of a call: after it, one that nobody ended counts as ended, as its process may have died
}

// Place keeps counts, each under a name. It forgets any count that it may have lost a part of, which is then loaded again.
type Place interface {
	// Take counts the call unless something of it is to be loaded, or full.
	Take(ctx context.Context, call Asked) (Answer, error)
	// Load adds calls that began so long ago to a count that is to be loaded. Two who load the same count load it once.
	Load(ctx context.Context, count string, ago []time.Duration) error
	// End takes a call from those that run.
	End(ctx context.Context, running, id string) error
}

// Asked is a call that wants to begin.
type Asked struct {
	ID         string
	Counts     []string // that the call is in, if anybody asked for them before or does now
	Limits     []Counted
	Running    string // which calls count together as running; "" where nobody asks how many do
	Concurrent int    // most of them
	Longest    time.Duration
}

// Counted is a limit of one of the counts.
type Counted struct {
	Count int // index
	Calls int
	Per   time.Duration
}

// Answer says whether a call began. The zero Answer is that it did.
type Answer struct {
	Load []int // counts to be loaded first
	Full int   // 1 + the index of the limit that lets a call through last
	Busy bool  // as many run as may
	Wait time.Duration
}

// KeptCalls is how many calls of a count matter to any limit, and KeptFor for how long.
const (
	KeptCalls = maxCalls
	KeptFor   = longest
)

// releaseTimeout bounds how long the end of a call waits to be told.
const releaseTimeout = 5 * time.Second

// Take is Limiter's.
func (l *Shared) Take(ctx context.Context, s Subject, p *Compiled, now time.Time) (release func(), refused *Refusal) {
	call := Asked{ID: rand.Text(), Concurrent: p.Concurrent, Longest: l.Longest}
	if p.Concurrent > 0 {
		call.Running = name(s.of(ByPersona))
	}
	var subjects []Subject
	index := map[string]int{}
	for _, by := range []Scope{ByTool, ByPersona, ByKey, byKeyAlone} {
		if of := s.of(by); !slices.Contains(subjects, of) { // without a key, the key's count is the persona's
			index[name(of)] = len(subjects)
			subjects, call.Counts = append(subjects, of), append(call.Counts, name(of))
		}
	}
	for _, limit := range p.Limits {
		call.Limits = append(call.Limits, Counted{index[name(s.of(limit.By))], limit.Calls, limit.Per.Length()})
	}
	limited := len(p.Limits) > 0 || p.Concurrent > 0
	for range 3 { // what was loaded may be lost before it is asked again
		answer, err := l.Place.Take(ctx, call)
		switch {
		case err != nil && limited:
			return nil, uncounted(err)
		case err != nil:
			return func() {}, nil
		case len(answer.Load) > 0:
			for _, i := range answer.Load {
				if err := l.load(ctx, call.Counts[i], subjects[i], now); err != nil {
					return nil, uncounted(err)
				}
			}
		case answer.Full > 0:
			return nil, full(p.Limits[answer.Full-1], answer.Wait)
		case answer.Busy:
			return nil, busy(p.Concurrent)
		default:
			return l.release(ctx, call), nil
		}
	}
	return nil, uncounted(fmt.Errorf("the counts of %s were lost again and again", s.Tool))
}

func (l *Shared) load(ctx context.Context, count string, of Subject, now time.Time) error {
	var ago []time.Duration
	if l.History != nil {
		begun, err := l.History.Begun(ctx, of, now.Add(-longest), maxCalls)
		if err != nil {
			return err
		}
		for _, t := range begun {
			ago = append(ago, max(0, now.Sub(t)))
		}
	}
	return l.Place.Load(ctx, count, ago)
}

func (l *Shared) release(ctx context.Context, call Asked) func() {
	if call.Running == "" {
		return func() {}
	}
	return sync.OnceFunc(func() {
		bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
		defer cancel()
		_ = l.Place.End(bound, call.Running, call.ID) // else it ends with Longest
	})
}

// name is a subject in one line, which no other subject has.
func name(s Subject) string { return fmt.Sprintf("%q %q %q", s.Persona, s.Key, s.Tool) }
