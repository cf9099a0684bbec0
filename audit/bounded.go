package audit

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Bounded records refusals so that whoever causes them cannot fill the disk: so many entries of one source are written in
// a span of time; those beyond are counted, and one entry with the count is written when the span is over.
type Bounded struct {
	Append func(context.Context, Entry) error
	Failed func(error) // if set, is told when an entry with a count could not be written

	mu   sync.Mutex
	open map[string]*span
	busy sync.WaitGroup // spans that are not over
}

// span is the time since a source's first refusal.
type span struct {
	written    int
	suppressed int
	last       Entry // of the suppressed
	length     time.Duration
	timer      *time.Timer
}

// appendTimeout bounds the writing of one entry, which goes on when the request that caused it has ended.
const appendTimeout = 20 * time.Second

// Record writes or counts e. The empty source is everybody who is not known; entries with their count name nobody.
func (b *Bounded) Record(source string, most int, within time.Duration, e Entry) error {
	b.mu.Lock()
	s := b.open[source]
	if s == nil {
		if b.open == nil {
			b.open = map[string]*span{}
		}
		s = &span{length: within}
		b.open[source] = s
		b.busy.Add(1)
		s.timer = time.AfterFunc(within, func() { b.end(source, s) })
	}
	if s.written >= most {
		s.suppressed++
		s.last = e
		b.mu.Unlock()
		return nil
	}
	s.written++
	b.mu.Unlock()
	return b.append(e)
}

func (b *Bounded) append(e Entry) error {
	ctx, cancel := context.WithTimeout(context.Background(), appendTimeout)
	defer cancel()
	return b.Append(ctx, e)
}

// end closes a span and writes one entry for what it only counted.
func (b *Bounded) end(source string, s *span) {
	defer b.busy.Done()
	b.mu.Lock()
	delete(b.open, source)
	n, e := s.suppressed, s.last
	b.mu.Unlock()
	if n == 0 {
		return
	}
	e.Time = time.Now()
	e.Reason = fmt.Sprintf("%d more were refused within %s; the last: %s", n, s.length, e.Reason)
	e.Detail = map[string]string{"suppressed": fmt.Sprint(n)}
	if source == "" {
		e.Actor, e.Persona, e.Tool = Actor{}, "", ""
	}
	if err := b.append(e); err != nil && b.Failed != nil {
		b.Failed(err)
	}
}

// Flush writes what is only counted so far. Nothing of b runs when it returns.
func (b *Bounded) Flush() {
	b.mu.Lock()
	open := make(map[string]*span, len(b.open))
	for source, s := range b.open {
		open[source] = s
	}
	b.mu.Unlock()
	for source, s := range open {
		if s.timer.Stop() {
			b.end(source, s)
		}
	}
	b.busy.Wait()
}
