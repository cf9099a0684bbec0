package web

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Tries to sign in that are allowed at once, and how fast they come back. An address may be a proxy's or an office's.
const (
	nameBurst    = 10
	nameEvery    = 15 * time.Second
	addressBurst = 60
	addressEvery = time.Second
	maxBuckets   = 10_000
)

// limiter slows down guessing. It holds at most maxBuckets: when they are all in use a new address or name is refused,
// so that a flood of names cannot wash out the bucket of the one that is being guessed.
type limiter struct {
	mu      sync.Mutex
	now     func() time.Time
	burst   int
	every   time.Duration
	buckets map[string]*rate.Limiter
	swept   time.Time
}

func newLimiter(now func() time.Time, burst int, every time.Duration) *limiter {
	return &limiter{now: now, burst: burst, every: every, buckets: map[string]*rate.Limiter{}}
}

// allow takes one try and says whether there was one.
func (l *limiter) allow(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	b, ok := l.buckets[key]
	if !ok {
		if len(l.buckets) >= maxBuckets && now.Sub(l.swept) >= time.Second { // a flood must not make every request pay for it
			l.swept = now
			l.sweep(now)
		}
		if len(l.buckets) >= maxBuckets {
			return false
		}
		b = rate.NewLimiter(rate.Every(l.every), l.burst)
		l.buckets[key] = b
	}
	return b.AllowN(now, 1)
}

// sweep forgets the buckets that are full again.
func (l *limiter) sweep(now time.Time) {
	for key, b := range l.buckets {
		if b.TokensAt(now) >= float64(l.burst) {
			delete(l.buckets, key)
		}
	}
}
