package crawl

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"remit/upstream"
)

// Run lists every server at once, when it connects anew, when it says that its list changed, and on the schedule, until
// ctx ends. A server that keeps changing or failing is listed with growing pauses. An embedding failure is logged and
// tried again with the next change or interval; search uses words meanwhile.
func (c *Crawler) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	if c.cfg.Turns != nil {
		if err := c.look(ctx); err != nil {
			c.cfg.Log.Warn("what other replicas crawled is not known now", "error", err)
		}
		g.Go(func() error { return c.keepTurns(ctx) })
	}
	for _, s := range c.cfg.Servers {
		f := c.followers[s.Name()]
		s.OnListChanged(func() { f.announce(c.cfg.Now()) })
		f.announce(c.cfg.Now()) // it may have connected before
		g.Go(func() error { return c.follow(ctx, f) })
	}
	g.Go(func() error {
		tick := time.NewTicker(c.cfg.Interval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
				for _, f := range c.followers {
					poke(f.due)
				}
			case <-c.dirty:
				if _, err := c.rebuild(ctx, nil); err != nil && ctx.Err() == nil {
					c.cfg.Log.Warn("the search by meaning is not complete", "error", err)
				}
			}
		}
	})
	return g.Wait()
}

// follow lists one server whenever it is time to.
func (c *Crawler) follow(ctx context.Context, f *follower) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.due:
		case <-f.again(c.cfg.Now()):
		case <-f.wake:
			pause := time.NewTimer(f.wait(c.cfg.Now()))
			select {
			case <-ctx.Done():
			case <-f.due:
			case <-pause.C:
			}
			pause.Stop()
		}
		if ctx.Err() != nil {
			return nil
		}
		if err := c.visit(ctx, f); err != nil && !errors.Is(err, ErrTurn) && ctx.Err() == nil {
			c.cfg.Log.Warn("crawl failed", "server", f.server.Name(), "error", err)
		}
		poke(c.dirty)
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Listed says why nobody knows whether the server's tools still are what the catalog holds, and nil when that is known
// well enough to call them:
//
//   - a change that the server announced, and a new connection, must be answered by a listing within twice Config.Pause,
//     and at once when a listing fails meanwhile;
//   - without an announcement, listings may fail for Config.Grace;
//   - a server that changes too often to be kept up with is not known at all;
//   - where it is another process's turn to crawl, the same holds for its listings, and what a server's process of our own
//     offers must be what that one saw.
func (c *Crawler) Listed(server string) error {
	f := c.followers[server]
	if f == nil {
		return fmt.Errorf("server %s is not crawled: look at the configuration", server)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if why := f.unknown(c.cfg.Now(), c.cfg.Interval, c.cfg.Grace); why != "" {
		return fmt.Errorf("server %s %s", server, why)
	}
	return nil
}

// follower is one server with when it was and will be listed.
type follower struct {
	server  *upstream.Server
	listing sync.Mutex    // one listing at a time
	wake    chan struct{} // list after the pause
	due     chan struct{} // list now

	mu sync.Mutex
	course
	place
}

func newFollower(s *upstream.Server, cfg Config) *follower {
	return &follower{server: s, place: place{alone: cfg.Turns == nil}, wake: make(chan struct{}, 1), due: make(chan struct{}, 1),
		course: course{least: cfg.Pause, longest: cfg.LongestPause, most: cfg.MaxChanges}}
}

func (f *follower) announce(now time.Time) {
	f.mu.Lock()
	f.announced(now)
	f.mu.Unlock()
	poke(f.wake)
}

func (f *follower) wait(now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.next.Sub(now)
}

// again is when the server is to be listed without being asked; never, when that is what the schedule is for.
func (f *follower) again(now time.Time) <-chan time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.course.again.IsZero() {
		return nil
	}
	return time.After(f.course.again.Sub(now))
}

func (f *follower) note(change func(*course)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.course)
}
