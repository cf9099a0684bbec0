package web

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Sign-ins that are allowed at once for one address or one name, and how fast they come back.
const (
	signInBurst = 10
	signInEvery = 15 * time.Second
	maxBuckets  = 10_000
)

// limiter slows down guessing. It holds at most maxBuckets: when they are all in use a new address or name is refused,
// so that a flood of names cannot wash out the bucket of the one that is being guessed.
type limiter struct {
	mu      sync.Mutex
	now     func() time.Time
	buckets map[string]*rate.Limiter
}

func newLimiter(now func() time.Time) *limiter {
	return &limiter{now: now, buckets: map[string]*rate.Limiter{}}
}

// allow takes one try from each bucket and says whether all had one.
func (l *limiter) allow(keys ...string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for _, key := range keys {
		b, ok := l.buckets[key]
		if !ok {
			if len(l.buckets) >= maxBuckets {
				l.sweep(now)
			}
			if len(l.buckets) >= maxBuckets {
				return false
			}
			b = rate.NewLimiter(rate.Every(signInEvery), signInBurst)
			l.buckets[key] = b
		}
		if !b.AllowN(now, 1) {
			return false
		}
	}
	return true
}

// sweep forgets the buckets that are full again.
func (l *limiter) sweep(now time.Time) {
	for key, b := range l.buckets {
		if b.TokensAt(now) >= signInBurst {
			delete(l.buckets, key)
		}
	}
}
