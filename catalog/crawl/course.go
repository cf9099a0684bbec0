package crawl

import (
	"fmt"
	"time"
)

// course is how one server's listings went: what follows from it is when the server is listed again, whether its changes
// are kept, and whether its tools may be called. It knows no clock; every move says when it happens.
type course struct {
	least, longest time.Duration // pauses
	most           int           // changes that are kept within an hour

	pause   time.Duration // after a change; grows while the server keeps changing
	trouble time.Time     // the last change
	next    time.Time     // no announcement is answered sooner
	retry   time.Duration // after a failure; grows while listings keep failing
	again   time.Time     // when to list without being asked; zero for the schedule

	first, latest time.Time   // of the announcements that no listing has answered; zero when there is none
	failing       time.Time   // the first failure since the last success; zero when there is none
	err           error       // the last failure
	changes       []time.Time // of the last hour
	unsteady      bool        // a change was not kept
}

// announced: the server said that its tools changed, or it connected anew.
func (c *course) announced(now time.Time) {
	if c.first.IsZero() {
		c.first = now
	}
	c.latest = now
}

// failed: a listing, or keeping it, failed.
func (c *course) failed(now time.Time, err error) {
	if c.failing.IsZero() {
		c.failing = now
	}
	c.err = err
	c.retry = min(max(2*c.retry, c.least), c.longest)
	c.again = now.Add(c.retry)
	if soonest := now.Add(c.least); c.next.Before(soonest) { // a server that connects at last need not wait for the retry
		c.next = soonest
	}
}

// listed: a listing that began at start came to its end. kept says that what it changed, if anything, was kept.
func (c *course) listed(start, now time.Time, changed, kept bool) {
	c.failing, c.err, c.retry, c.again = time.Time{}, nil, 0, time.Time{}
	if c.latest.After(start) {
		c.first = now // what was announced during the listing may have come too late for it
	} else {
		c.first, c.latest = time.Time{}, time.Time{}
	}
	if changed {
		c.changes = append(c.changes, now)
		c.slow(now)
	} else if c.quiet(now) {
		c.pause = c.least
	}
	// A server stays unsteady until there is room for its changes: else each change there and back would begin it anew.
	c.unsteady = c.unsteady && c.full(now) || !kept
	c.next = now.Add(max(c.pause, c.least))
	if c.unsteady {
		c.again = c.next
	}
}

// quiet says that there was no trouble for longer than any pause.
func (c *course) quiet(now time.Time) bool { return now.Sub(c.trouble) >= 2*c.longest }

// slow doubles the pause, or begins with the least after a quiet time.
func (c *course) slow(now time.Time) {
	if c.pause == 0 || c.quiet(now) {
		c.pause = c.least
	} else {
		c.pause = min(2*c.pause, c.longest)
	}
	c.trouble = now
}

// full says that the server changed as often within the last hour as may be kept.
func (c *course) full(now time.Time) bool {
	for len(c.changes) > 0 && now.Sub(c.changes[0]) >= time.Hour {
		c.changes = c.changes[1:]
	}
	return len(c.changes) >= c.most
}

// doubt says in words why the server's tools are not known; empty when they are.
func (c *course) doubt(now time.Time, grace time.Duration) string {
	switch {
	case c.unsteady:
		return c.unsteadiness()
	case !c.first.IsZero() && c.err != nil:
		return fmt.Sprintf("connected anew or announced a change of its tools, and cannot be listed since: %v", c.err)
	case !c.first.IsZero() && now.Sub(c.first) > 2*c.least:
		return fmt.Sprintf("connected anew or announced a change of its tools %s ago, and was not listed since", now.Sub(c.first).Round(time.Second))
	case !c.failing.IsZero() && now.Sub(c.failing) > grace:
		return fmt.Sprintf("could not be listed for %s, longer than the %s that are allowed: %v", now.Sub(c.failing).Round(time.Second), grace, c.err)
	}
	return ""
}

func (c *course) unsteadiness() string {
	return fmt.Sprintf("is unsteady: its tools changed %d times within an hour, and later changes are not kept; they stay frozen until it has been quiet", c.most)
}
