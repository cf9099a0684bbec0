package crawl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"remit/catalog"
)

// Turns says whose turn it is to crawl a server, where several processes share a store. A turn lasts for as long as its process renews it;
// each has a fence that grows, without which nothing of a listing is kept.
type Turns interface {
	// Turns renews the turns of this process, takes those of wanted that are nobody's, and returns all. They last so long from now on.
	Turns(ctx context.Context, wanted []string, last time.Duration) ([]Turn, error)
	// Take has it be this process's turn, whoever's it was.
	Take(ctx context.Context, server string, last time.Duration) (Turn, error)
	// Yield ends turns of this process, for another to take.
	Yield(ctx context.Context, servers ...string) error
	// Ask says that a server's tools may have changed. They are known again when as much as is returned was answered.
	Ask(ctx context.Context, server string) (asked int64, err error)
	// Report keeps how the last listing went, if it still is this process's turn. unanswered says that something that may have changed
	// the tools is not.
	Report(ctx context.Context, t Turn, unanswered bool) error
}

// Turn is who crawls a server, and how that went. The zero value but for Server is for a process that shares the store with none.
type Turn struct {
	Server string // empty for the embedding of texts
	Mine   bool   // of this process
	Free   bool   // of none
	Died   bool   // this process has just taken it, and nobody had yielded it
	Place  string // the process, as people call it
	Fence  int64

	Asked, Answered int64 // what may have changed the tools; how much of that was known before the last listing began
	Kept            int64 // listings that changed something
	Listed          time.Time
	Age             time.Duration // of Listed, by the store's clock
	Last            LastListing
}

// LastListing is what the next one whose turn it is has to know of a server.
type LastListing struct {
	Problem  string      `json:"problem,omitempty"`
	Rejected []string    `json:"rejected,omitempty"`
	Changes  []time.Time `json:"changes,omitempty"`
	Unsteady bool        `json:"unsteady,omitempty"`
}

// ErrTurn says that it is the turn of another process.
var ErrTurn = errors.New("another replica crawls this server now, so nothing of the listing is kept")

// textsTurn is the turn to embed.
const textsTurn = ""

// place is where a server stands among the processes that share a store. All but alone is guarded by the follower's mutex.
type place struct {
	alone  bool // no turns are kept
	turn   Turn // as it was when last looked at
	looked time.Time
	until  time.Time // the turn is ours no longer, if it was and nobody said otherwise
	rests  time.Time // until then the turn is not wanted: listings from here failed
	loaded int64     // of Turn.Kept, what is known here
	noted  int64     // of Turn.Asked, what a listing from here was due for
	asked  int64     // what has to be answered before what was announced here is; 0 when nothing was asked
	at     time.Time // when that was asked
	own    map[catalog.ID]catalog.Digest
	froze  map[catalog.ID]catalog.Digest // what it was when what it drifts from was frozen last
	other  string                        // what the server's process of this replica does not offer as the catalog has it
}

// mine says whether this process crawls the server.
func (p *place) mine(now time.Time) bool { return p.alone || p.turn.Mine && now.Before(p.until) }

// Wake has the crawler look at once what other processes changed.
func (c *Crawler) Wake() { poke(c.woken) }

// keepTurns keeps the turns of this process, takes those that are free, and follows what other processes crawl, until ctx ends.
func (c *Crawler) keepTurns(ctx context.Context) error {
	tick := time.NewTicker(c.cfg.Lease / 5)
	defer tick.Stop()
	said := ""
	for {
		select {
		case <-ctx.Done():
			bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.cfg.Lease/5)
			defer cancel()
			return c.yieldAll(bound)
		case <-tick.C:
		case <-c.woken:
		}
		err := c.look(ctx)
		if err != nil && ctx.Err() == nil && err.Error() != said {
			c.cfg.Log.Warn("what other replicas crawled is not known now", "error", err)
		}
		said = fmt.Sprint(err)
	}
}

func (c *Crawler) yieldAll(ctx context.Context) error {
	return c.cfg.Turns.Yield(ctx, append(slices.Collect(maps.Keys(c.followers)), textsTurn)...)
}

// look renews turns and takes over what other processes kept.
func (c *Crawler) look(ctx context.Context) error {
	c.looking.Lock()
	defer c.looking.Unlock()
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Lease*3/5)
	defer cancel()
	now := c.cfg.Now()
	var wanted []string
	for name, f := range c.followers {
		f.mu.Lock()
		if !now.Before(f.rests) {
			wanted = append(wanted, name)
		}
		f.mu.Unlock()
	}
	if c.cfg.Embedder != nil {
		wanted = append(wanted, textsTurn)
	}
	turns, err := c.cfg.Turns.Turns(ctx, wanted, c.cfg.Lease)
	if err != nil {
		return err
	}
	for _, t := range turns {
		err = errors.Join(err, c.see(ctx, t, now))
	}
	return err
}

// see takes over what a turn says, as it was at a time.
func (c *Crawler) see(ctx context.Context, t Turn, now time.Time) error {
	until := now.Add(c.cfg.Lease * 4 / 5)
	if t.Server == textsTurn {
		c.texts.Lock()
		defer c.texts.Unlock()
		if p := &c.texts.place; t.Kept != p.turn.Kept || t.Mine && !p.turn.Mine {
			poke(c.dirty)
		}
		c.texts.turn, c.texts.until = t, until
		return nil
	}
	f := c.followers[t.Server]
	if f == nil {
		return nil // another process has it configured
	}
	f.mu.Lock()
	known := t.Kept <= f.loaded
	f.mu.Unlock()
	if !known {
		if err := c.load(ctx, f, t.Kept); err != nil {
			return err // what is known stays as it is, with what is doubtful of it
		}
		if t.Mine {
			poke(f.due) // it was not a listing from here
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if t.Mine && !f.mine(now) {
		c.cfg.Log.Info("this replica crawls the server now", "server", t.Server)
	}
	f.follow(t, now, until, c.cfg.Interval)
	return nil
}

// follow moves the course as far as the turn, and another process, has brought it.
func (f *follower) follow(t Turn, now, until time.Time, interval time.Duration) {
	was := f.mine(now)
	f.turn, f.looked, f.until = t, now, until
	switch {
	case t.Mine && !was:
		f.changes, f.unsteady, f.asked = t.Last.Changes, t.Last.Unsteady, 0
		if t.Died || t.Asked > t.Answered {
			f.announced(now)
		}
		if t.Died || t.Asked > t.Answered || t.Last.Problem != "" || t.Last.Unsteady || t.Age >= interval {
			poke(f.due)
		}
		f.noted = t.Asked
	case t.Mine && t.Asked > max(t.Answered, f.noted):
		f.noted = t.Asked
		f.announced(now)
		poke(f.wake)
	case !t.Mine:
		f.unsteady, f.changes = t.Last.Unsteady, nil
		if f.server.Own() { // this replica's process answers for itself
			if was {
				poke(f.due)
			}
			return
		}
		if f.err, f.failing = nil, (time.Time{}); t.Last.Problem != "" {
			f.err = errors.New(t.Last.Problem)
		}
		if f.asked > 0 && t.Answered >= f.asked {
			f.asked, f.first = 0, time.Time{}
			if f.latest.After(f.at) { // and something was announced since, which is asked for next
				f.first = f.latest
			}
		}
	}
}

// visit does what is due of a server: it is listed by the process whose turn it is. Another one asks for that, and looks at a server's process
// of its own, which no other process can see.
func (c *Crawler) visit(ctx context.Context, f *follower) error {
	now := c.cfg.Now()
	f.mu.Lock()
	mine, announced := f.mine(now), !f.first.IsZero()
	f.mu.Unlock()
	switch {
	case mine:
		_, err := c.list(ctx, f.server)
		if errors.Is(err, ErrTurn) {
			poke(f.wake) // what was announced here is asked for, and a process of its own is looked at
		}
		return err
	case f.server.Own():
		return c.check(ctx, f)
	case !announced:
		f.note(func(at *course) { at.again = time.Time{} })
		return nil
	}
	asked, err := c.cfg.Turns.Ask(ctx, f.server.Name())
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next, f.course.again = now.Add(f.least), time.Time{}
	if err != nil {
		f.course.again = f.next
		return err
	}
	f.asked, f.at = asked, now
	return nil
}

// load takes over the tools of a server that another process kept.
func (c *Crawler) load(ctx context.Context, f *follower, kept int64) error {
	server := f.server.Name()
	tools, err := c.cfg.Store.Tools(ctx, server)
	if err != nil {
		return err
	}
	tools = slices.DeleteFunc(tools, func(t catalog.Tool) bool { return t.Gone })
	c.mu.Lock()
	changes := differ(c.tools[server], tools)
	c.tools[server], c.stale = tools, true
	c.status[server].Tools = len(tools)
	c.mu.Unlock()
	teach(f, tools)
	if len(changes.Changed)+len(changes.Gone) > 0 {
		if err := c.replace(); err != nil {
			c.cfg.Log.Warn("the search by meaning is not complete", "error", err)
		}
	}
	poke(c.dirty)
	f.mu.Lock()
	f.loaded, f.other = kept, otherwise(f.own, tools)
	f.mu.Unlock()
	if !changes.None() && c.cfg.Changed != nil {
		c.cfg.Changed(server, changes)
	}
	return nil
}

// teach tells the server what a listing would have.
func teach(f *follower, tools []catalog.Tool) {
	var definitions []json.RawMessage
	for _, t := range tools {
		if t.Kind == catalog.ATool {
			definitions = append(definitions, t.Definition)
		}
	}
	f.server.Learn(definitions)
}

// differ says what tools are otherwise than before.
func differ(before, tools []catalog.Tool) (c Changes) {
	known := digests(before)
	for _, t := range tools {
		switch digest, ok := known[t.ID]; {
		case !ok:
			c.Added = append(c.Added, t.ID)
		case digest != t.Digest:
			c.Changed = append(c.Changed, t.ID)
		}
		delete(known, t.ID)
	}
	c.Gone = slices.Collect(maps.Keys(known))
	return c
}

func digests(tools []catalog.Tool) map[catalog.ID]catalog.Digest {
	of := map[catalog.ID]catalog.Digest{}
	for _, t := range tools {
		of[t.ID] = t.Digest
	}
	return of
}

// check looks what a server's process of this replica offers, when it is the turn of another. Nothing of it is kept, but what it drifts
// from is frozen, and nothing of the server is called here until it offers what the catalog has.
func (c *Crawler) check(ctx context.Context, f *follower) error {
	f.listing.Lock()
	defer f.listing.Unlock()
	name, start := f.server.Name(), c.cfg.Now()
	listing, err := f.server.List(ctx)
	if err != nil {
		if ctx.Err() == nil {
			f.note(func(at *course) { at.failed(c.cfg.Now(), err) })
		}
		return err
	}
	tools, _ := c.read(name, listing)
	c.mu.Lock()
	known := c.tools[name]
	c.mu.Unlock()
	at, own := c.cfg.Now(), digests(tools)
	other := otherwise(own, known)
	f.mu.Lock()
	news := other != "" && !maps.Equal(own, f.froze)
	f.own, f.other = own, other
	f.mu.Unlock()
	if news {
		if _, err = c.cfg.Store.Freeze(ctx, name, tools, at, "on one replica the server "+other); err != nil {
			f.note(func(now *course) { now.failed(at, err) })
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if news {
		f.froze = own
	}
	f.course.listed(start, at, news, true)
	f.unsteady = f.turn.Last.Unsteady
	return nil
}

// otherwise says in words what of the catalog's tools is not what a process of the server offers; empty when all is. nil is of no process.
func otherwise(own map[catalog.ID]catalog.Digest, known []catalog.Tool) string {
	if own == nil {
		return ""
	}
	for _, t := range known {
		if own[t.ID] != t.Digest {
			return "does not offer " + t.Name + " as the replica that crawls it saw it: let all replicas start the same version of it"
		}
	}
	return ""
}

// takeTexts has it be this process's turn to embed, whoever's it was, and keeps the turns of this process until end is called.
func (c *Crawler) takeTexts(ctx context.Context) (end func(), err error) {
	t, err := c.cfg.Turns.Take(ctx, textsTurn, c.cfg.Lease)
	if err == nil {
		err = c.see(ctx, t, c.cfg.Now())
	}
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() { _ = c.keepTurns(ctx) }) // what could not be yielded is over soon
	return func() { cancel(); done.Wait() }, nil
}

// ours is the turn to crawl with, or an error when it is not this process's.
func (f *follower) ours(now time.Time) (Turn, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.alone {
		return Turn{Server: f.server.Name()}, nil
	}
	if !f.mine(now) {
		return Turn{}, ErrTurn
	}
	return f.turn, nil
}

// failed notes that a listing, or keeping it, failed. Another process is let try.
func (c *Crawler) failed(ctx context.Context, f *follower, turn Turn, err error) {
	if errors.Is(err, ErrTurn) {
		f.mu.Lock()
		f.turn.Mine = false
		f.mu.Unlock()
		c.Wake()
		return
	}
	var unanswered bool
	f.note(func(at *course) { at.failed(c.cfg.Now(), err); unanswered = !at.first.IsZero() })
	c.note(f.server.Name(), func(st *ServerStatus) { st.Err = err.Error() })
	if f.alone {
		return
	}
	f.mu.Lock()
	turn.Last.Problem, turn.Last.Changes, turn.Last.Unsteady = err.Error(), f.changes, f.unsteady
	f.rests, f.turn.Mine = f.course.again, false
	f.mu.Unlock()
	err = c.cfg.Turns.Report(ctx, turn, unanswered)
	if err = errors.Join(err, c.cfg.Turns.Yield(ctx, f.server.Name())); err != nil { // it is over soon
		c.cfg.Log.Warn("other replicas do not hear that a crawl failed", "server", f.server.Name(), "error", err)
	}
}

// listed tells the other processes how a listing went that was kept, or was not because the server is unsteady.
func (c *Crawler) listed(ctx context.Context, f *follower, turn Turn, tools []catalog.Tool, last LastListing, changed bool) error {
	if f.alone {
		return nil
	}
	f.mu.Lock()
	if f.other = ""; f.server.Own() {
		f.own = digests(tools)
	}
	last.Changes, last.Unsteady = slices.Clone(f.changes), f.unsteady
	if f.turn.Fence == turn.Fence {
		if changed {
			f.turn.Kept++
			f.loaded = turn.Kept + 1
		}
		f.turn.Answered, f.turn.Last, f.turn.Listed, f.turn.Age, f.looked = max(f.turn.Answered, turn.Asked), last, c.cfg.Now(), 0, c.cfg.Now()
	}
	f.mu.Unlock()
	turn.Last = last
	return c.cfg.Turns.Report(ctx, turn, false)
}

// unknown says in words why the server's tools are not known; empty when they are.
func (f *follower) unknown(now time.Time, interval, grace time.Duration) string {
	why := f.doubt(now, grace)
	switch age := f.turn.Age + now.Sub(f.looked); {
	case f.mine(now) || why != "" || f.looked.IsZero(): // and nothing was read yet, which is waited for
		return why
	case f.other != "":
		return f.other
	case f.turn.Listed.IsZero():
		return "was not listed by any replica yet"
	case age > interval+grace:
		return fmt.Sprintf("was not listed by any replica for %s", age.Round(time.Second))
	}
	return ""
}

// tell completes what a person is told of a server that another process crawls.
func (f *follower) tell(st *ServerStatus, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.alone {
		return
	}
	if st.By = f.turn.Place; f.mine(now) {
		return
	}
	st.LastCrawl, st.Rejected, st.Err = f.turn.Listed, f.turn.Last.Rejected, f.turn.Last.Problem
	if f.other != "" {
		st.Err = "the process of this replica " + f.other
	}
}
