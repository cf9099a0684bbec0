package policy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var (
	noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	ann  = Subject{Persona: "ops", Key: "ann", Tool: "mail/send"}
	bob  = Subject{Persona: "ops", Key: "bob", Tool: "mail/send"}
	eve  = Subject{Persona: "sales", Key: "eve", Tool: "mail/send"}
	read = Subject{Persona: "ops", Key: "ann", Tool: "mail/read"}
)

// record is a history in memory, of calls that were let through.
type record struct {
	mu    sync.Mutex
	calls []begun
	asked int
	err   error
}

type begun struct {
	Subject
	at time.Time
}

func (r *record) Begun(_ context.Context, of Subject, since time.Time, most int) ([]time.Time, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	var times []time.Time
	for _, c := range r.calls {
		if (of.Persona == "" || of.Persona == c.Persona) && (of.Key == "" || of.Key == c.Key) && of.Tool == c.Tool && c.at.After(since) {
			times = append(times, c.at)
		}
	}
	return times[max(0, len(times)-most):], r.err
}

func limits(ll ...Limit) *Compiled { return &Compiled{Policy: Policy{Limits: ll}} }

func TestLimits(t *testing.T) {
	two, perKey, all := limits(Limit{Calls: 2, Per: Minute}), limits(Limit{Calls: 1, Per: Hour, By: ByKey}), limits(Limit{Calls: 2, Per: Day, By: ByTool})
	burst := limits(Limit{Calls: 1, Per: Second}, Limit{Calls: 2, Per: Minute})
	type ask struct {
		by     Subject
		policy *Compiled
		after  time.Duration // since noon
		retry  time.Duration // 0 where the call is let through
		reason string
	}
	for name, asks := range map[string][]ask{
		"a window slides": {
			{ann, two, 0, 0, ""}, {ann, two, 50 * time.Second, 0, ""},
			{ann, two, 59 * time.Second, time.Second, "at most 2 a minute; try again in 1s"},
			{ann, two, time.Minute, 0, ""}, {ann, two, 61 * time.Second, 49 * time.Second, "at most 2 a minute"},
		},
		"a persona's keys count together, another tool does not": {
			{ann, two, 0, 0, ""}, {bob, two, 0, 0, ""}, {ann, two, 0, time.Minute, "a minute"}, {eve, two, 0, 0, ""}, {read, two, 0, 0, ""},
		},
		"a key counts alone": {
			{ann, perKey, 0, 0, ""}, {bob, perKey, 0, 0, ""}, {ann, perKey, time.Minute, 59 * time.Minute, "at most 1 an hour with one key; try again in 59m0s"},
		},
		"all personas of a tool, those without a limit too": {
			{ann, all, 0, 0, ""}, {eve, limits(), time.Hour, 0, ""}, {ann, all, 2 * time.Hour, 22 * time.Hour, "at most 2 a day by all together"},
		},
		"a refused call counts nowhere": {
			{ann, burst, 0, 0, ""}, {ann, burst, 100 * time.Millisecond, 900 * time.Millisecond, "at most 1 a second; try again in 1s"},
			{ann, burst, time.Second, 0, ""}, {ann, burst, 2 * time.Second, 58 * time.Second, "at most 2 a minute"},
		},
		"a revision goes on with the counts": {
			{ann, limits(Limit{Calls: 5, Per: Second}), 0, 0, ""}, {ann, limits(Limit{Calls: 5, Per: Second}), 0, 0, ""},
			{ann, two, time.Second, 59 * time.Second, "at most 2 a minute"}, {ann, limits(Limit{Calls: 3, Per: Day}), time.Second, 0, ""},
			{ann, limits(Limit{Calls: 3, Per: Day}), 2 * time.Second, 24*time.Hour - 2*time.Second, "at most 3 a day"},
		},
		"a clock that steps back opens nothing": {
			{ann, two, time.Hour, 0, ""}, {ann, two, time.Hour, 0, ""}, {ann, two, 0, time.Hour + time.Minute, "a minute"},
			{ann, two, time.Hour + time.Second, 59 * time.Second, "a minute"}, {ann, two, time.Hour + time.Minute, 0, ""},
		},
		"a clock that steps back and on again opens nothing": {
			{ann, two, time.Hour, 0, ""}, {ann, two, 0, 0, ""}, {ann, limits(Limit{Calls: 1, Per: Minute}), time.Hour, time.Minute, "a minute"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := NewLimiter(nil)
			for i, a := range asks {
				_, refused := l.Take(t.Context(), a.by, a.policy, noon.Add(a.after))
				switch {
				case (refused == nil) != (a.retry == 0):
					t.Fatalf("call %d: got %+v, want %+v", i+1, refused, a)
				case refused != nil && (refused.Retry != a.retry || refused.Rule != "limits" || !strings.Contains(refused.Reason, a.reason)):
					t.Errorf("call %d: got %+v, want %+v", i+1, refused, a)
				}
			}
		})
	}
}

func TestConcurrent(t *testing.T) {
	l, two := NewLimiter(nil), &Compiled{Policy: Policy{Concurrent: 2, Limits: []Limit{{Calls: 3, Per: Day}}}}
	take := func(s Subject, p *Compiled) (func(), *Refusal) { return l.Take(t.Context(), s, p, noon) }
	first, _ := take(ann, limits()) // of a revision without limits
	if _, refused := take(bob, two); refused != nil {
		t.Fatal(refused)
	}
	if _, refused := take(ann, two); refused == nil || refused.Rule != "concurrent" || !strings.Contains(refused.Reason, "at most 2 at once") {
		t.Errorf("a third at once: got %+v", refused)
	}
	if _, refused := take(read, two); refused != nil {
		t.Errorf("another tool: got %+v", refused)
	}
	first()
	first() // once more frees nothing
	if _, refused := take(ann, two); refused != nil {
		t.Errorf("after one ended: got %+v", refused)
	}
	if _, refused := take(ann, two); refused == nil || refused.Rule != "concurrent" {
		t.Errorf("released twice: got %+v", refused)
	}
}

func TestLimitsAreExactInParallel(t *testing.T) {
	past := &record{calls: []begun{{bob, noon.Add(-time.Hour)}, {eve, noon.Add(-time.Hour)}}}
	for name, tc := range map[string]struct {
		history History
		policy  Policy
		want    int64
	}{
		"a limit":             {nil, Policy{Limits: []Limit{{Calls: 10, Per: Day}}}, 10},
		"a limit, after some": {past, Policy{Limits: []Limit{{Calls: 10, Per: Day}}}, 9},
		"three limits":        {past, Policy{Limits: []Limit{{Calls: 11, Per: Minute}, {Calls: 10, Per: Day, By: ByTool}, {Calls: 9, Per: Day, By: ByKey}}}, 8},
		"at once":             {nil, Policy{Concurrent: 10}, 10},
	} {
		t.Run(name, func(t *testing.T) {
			l, p := NewLimiter(tc.history), &Compiled{Policy: tc.policy}
			var passed atomic.Int64
			var group sync.WaitGroup
			for i := range 1000 {
				group.Go(func() {
					if _, refused := l.Take(t.Context(), ann, p, noon.Add(time.Duration(i%7)*time.Millisecond)); refused == nil {
						passed.Add(1)
					}
				})
			}
			group.Wait()
			if passed.Load() != tc.want {
				t.Errorf("got %d calls through, want %d", passed.Load(), tc.want)
			}
		})
	}
}

func TestHistory(t *testing.T) {
	day := limits(Limit{Calls: 2, Per: Day})
	past := &record{err: errors.New("the store is down"), calls: []begun{{ann, noon.Add(-23 * time.Hour)}, {bob, noon.Add(time.Hour)}, {eve, noon}, {ann, noon.Add(-25 * time.Hour)}}}
	l := NewLimiter(past)
	if _, refused := l.Take(t.Context(), ann, day, noon); refused == nil || refused.Err == nil || refused.Retry != 0 || strings.Contains(refused.Reason, "store") {
		t.Errorf("without a history: got %+v", refused)
	}
	if _, refused := l.Take(t.Context(), ann, limits(), noon); refused != nil {
		t.Errorf("without a history or a limit: got %+v", refused)
	}
	past.err, l = nil, NewLimiter(past)
	if _, refused := l.Take(t.Context(), ann, day, noon); refused == nil || refused.Retry != time.Hour {
		t.Errorf("after two calls, one of them in what is now the future: got %+v", refused)
	}
	if _, refused := l.Take(t.Context(), ann, day, noon.Add(time.Hour)); refused != nil {
		t.Errorf("an hour later: got %+v", refused)
	}
	if _, refused := l.Take(t.Context(), ann, day, noon.Add(24*time.Hour)); refused != nil {
		t.Errorf("a day after the call in the future was heard of: got %+v", refused)
	}
	if past.asked != 2 {
		t.Errorf("the history was asked %d times, want once for each limiter", past.asked)
	}
}

// slow is a history that answers when it is told to.
type slow struct {
	record
	answer chan struct{}
}

func (s *slow) Begun(ctx context.Context, of Subject, since time.Time, most int) ([]time.Time, error) {
	select {
	case <-s.answer:
		return s.record.Begun(ctx, of, since, most)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestSlowHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		past := &slow{answer: make(chan struct{})}
		l, day := NewLimiter(past), limits(Limit{Calls: 1, Per: Day})
		canceled, cancel := context.WithCancel(t.Context())
		results := make(chan *Refusal, 3)
		for _, ctx := range []context.Context{canceled, t.Context(), t.Context()} {
			go func() {
				_, refused := l.Take(ctx, ann, day, time.Now())
				results <- refused
			}()
			synctest.Wait()
		}
		cancel()
		if r := <-results; r == nil || !errors.Is(r.Err, context.Canceled) {
			t.Errorf("the first caller has left: got %+v", r)
		}
		close(past.answer)
		if a, b := <-results, <-results; (a == nil) == (b == nil) || past.asked != 1 {
			t.Errorf("got %+v and %+v after %d questions, want one call through after one", a, b, past.asked)
		}
		past.answer = nil // for ever
		if _, refused := l.Take(t.Context(), read, day, time.Now()); refused == nil || !errors.Is(refused.Err, context.DeadlineExceeded) {
			t.Errorf("a history that does not answer: got %+v", refused)
		}
	})
}

func TestMemoryOfLimitsIsBounded(t *testing.T) {
	l, one := NewLimiter(nil), limits(Limit{Calls: maxCalls, Per: Second})
	key := func(i int) Subject { return Subject{Persona: fmt.Sprint(i), Tool: "t"} }
	for i := range maxCounts {
		if _, refused := l.Take(t.Context(), key(i), one, noon); refused != nil {
			t.Fatalf("subject %d: got %+v", i, refused)
		}
	}
	if _, refused := l.Take(t.Context(), key(maxCounts), one, noon.Add(time.Hour)); refused == nil || !errors.Is(refused.Err, errTooManyCounts) {
		t.Errorf("one subject more: got %+v", refused)
	}
	if _, refused := l.Take(t.Context(), key(0), one, noon.Add(time.Hour)); refused != nil {
		t.Errorf("a subject that is counted: got %+v", refused)
	}
	if _, refused := l.Take(t.Context(), key(maxCounts), one, noon.Add(25*time.Hour-time.Minute)); refused != nil || len(l.counts) != 2 {
		t.Errorf("a day later: got %+v, %d counts", refused, len(l.counts))
	}
	for i := range 3 * maxCalls {
		l.Take(t.Context(), key(0), one, noon.Add(26*time.Hour+time.Duration(i)*time.Millisecond))
	}
	if c := l.counts[key(0)]; len(c.moments) != maxCalls || cap(c.moments) > 2*maxCalls {
		t.Errorf("got %d moments in the space of %d, want %d", len(c.moments), cap(c.moments), maxCalls)
	}
	sum := 0
	for _, c := range l.counts {
		sum += len(c.moments)
	}
	if counts, calls := l.Kept(); counts != 2 || calls != sum {
		t.Errorf("got %d calls in %d counts, want %d in 2", calls, counts, sum)
	}
}

func BenchmarkTake(b *testing.B) {
	p := limits(Limit{Calls: maxCalls, Per: Second}, Limit{Calls: maxCalls, Per: Second, By: ByKey}, Limit{Calls: maxCalls, Per: Second, By: ByTool})
	for name, policy := range map[string]*Compiled{"none": limits(), "three": p} {
		b.Run(name, func(b *testing.B) {
			l, now := NewLimiter(nil), noon
			b.ReportAllocs()
			for b.Loop() {
				now = now.Add(200 * time.Microsecond)
				release, refused := l.Take(b.Context(), ann, policy, now)
				if refused != nil {
					b.Fatal(refused)
				}
				release()
			}
		})
	}
}
