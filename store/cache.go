package store

import (
	"context"
	"database/sql"
	"sync"
	"sync/atomic"
	"time"

	"remit/catalog"
	"remit/identity"
	"remit/persona"
)

// Cache is a Store that answers from memory what every request of an agent asks: its key or its person, its
// persona, what is suspended and what is frozen. Before each answer it makes sure that nothing of that was written since, by whichever
// process or hand, so that a change holds from the next request on: it reads how many transactions were committed, which costs
// next to nothing, and where there were others than recordings of calls it asks the database for the version of what it keeps.
// What is returned is shared: it must not be changed.
type Cache struct {
	*Store
	// Staleness is for how long what the database said last is believed, unless Run hears of a change before or the store itself
	// made one. 0 is not at all. When the database cannot be asked then, there is no answer.
	Staleness time.Duration

	version *sql.Stmt
	commits *atomic.Uint32 // nil where they cannot be counted: then the database is asked each time
	now     atomic.Pointer[memory]
	heard   atomic.Int64 // how many changes Run heard of
}

// memory is what was read at one version.
type memory struct {
	version int64
	seen    atomic.Uint32          // how many transactions had been committed before the version was last read
	asked   atomic.Pointer[asking] // when the database last said that the version is this one

	mu          sync.Mutex
	keys        map[string]identity.Key
	personas    map[persona.ID]persona.Persona
	people      map[subject]identity.Person
	frozen      map[pinned]time.Time // zero where it is not
	suspensions map[struct{}][]persona.Suspension
}

// asking is one question for the version: when it began, and how many changes had been heard of or made until then.
type asking struct {
	began time.Time
	heard int64
}

// subject is whom an issuer knows.
type subject struct{ issuer, name string }

type pinned struct {
	persona  persona.ID
	revision int
	tool     catalog.ID
	digest   catalog.Digest
}

func remember(version int64) *memory {
	return &memory{version: version, keys: map[string]identity.Key{}, personas: map[persona.ID]persona.Persona{}, people: map[subject]identity.Person{},
		frozen: map[pinned]time.Time{}, suspensions: map[struct{}][]persona.Suspension{}}
}

// NewCache returns a cache of the store, which has to be closed by itself.
func NewCache(ctx context.Context, s *Store) (*Cache, error) {
	version, err := s.reads.PrepareContext(ctx, "select version from standing where one = 1")
	if err != nil {
		return nil, err
	}
	c := &Cache{Store: s, version: version}
	c.now.Store(remember(0))
	if _, err := c.memory(ctx); err != nil { // which opens a connection, without which there is nothing to count
		return nil, err
	}
	c.commits = s.index.commits()
	c.now.Store(remember(0)) // what was read uncounted
	return c, nil
}

// countedFor is for how long the count of transactions is believed without asking the database: should the count be wrong for a reason
// that nobody thought of, a change is missed for no longer.
const countedFor = time.Second

// askTimeout bounds how long a request waits to hear whether what is remembered still holds.
const askTimeout = 5 * time.Second

// memory returns what may be answered from now.
func (c *Cache) memory(ctx context.Context) (*memory, error) {
	m, count := c.now.Load(), uint32(0)
	now := asking{time.Now(), c.heard.Load() + c.changes.Load()}
	last := m.asked.Load()
	if c.commits != nil {
		count = c.commits.Load()
		if last != nil && now.began.Sub(last.began) < countedFor && c.quiet.Load().covers(m.seen.Load(), count) {
			return m, nil
		}
	}
	if last != nil && last.heard == now.heard && now.began.Sub(last.began) < c.Staleness {
		return m, nil
	}
	if c.engine.shared {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, askTimeout)
		defer cancel()
	}
	var version int64
	if err := c.version.QueryRowContext(ctx).Scan(&version); err != nil {
		return nil, err
	}
	if m.version != version {
		m = remember(version) // two may do so at once: one is forgotten
		m.seen.Store(count)
		c.now.Store(m)
	}
	m.seen.Store(count)
	m.asked.Store(&asking{now.began, now.heard})
	return m, nil
}

// Run listens for changes that other processes make, which hold from when they are heard of, and hands them over.
func (c *Cache) Run(ctx context.Context, hear func(Event)) error {
	return c.Listen(ctx, func(e Event) {
		c.heard.Add(1)
		hear(e)
	})
}

// recall returns what is remembered under the key, or reads it. The version was read before, so what is kept is that
// version's or newer, and in the latter case forgotten by the next who asks.
func recall[K comparable, V any](ctx context.Context, c *Cache, of func(*memory) map[K]V, key K, read func() (V, error)) (V, error) {
	var none V
	m, err := c.memory(ctx)
	if err != nil {
		return none, err
	}
	m.mu.Lock()
	v, ok := of(m)[key]
	m.mu.Unlock()
	if ok {
		return v, nil
	}
	if v, err = read(); err != nil {
		return none, err
	}
	m.mu.Lock()
	of(m)[key] = v
	m.mu.Unlock()
	return v, nil
}

// Key returns a key by its public id.
func (c *Cache) Key(ctx context.Context, id string) (identity.Key, error) {
	return recall(ctx, c, func(m *memory) map[string]identity.Key { return m.keys }, id,
		func() (identity.Key, error) { return c.Store.Key(ctx, id) })
}

// TouchKey notes when and from where a key was last used; that is no change that anything is decided by.
func (c *Cache) TouchKey(ctx context.Context, id string, used time.Time, from string) error {
	if err := c.Store.TouchKey(ctx, id, used, from); err != nil {
		return err
	}
	m := c.now.Load()
	m.mu.Lock()
	defer m.mu.Unlock()
	if k, ok := m.keys[id]; ok {
		k.LastUse, k.LastFrom = used, from
		m.keys[id] = k
	}
	return nil
}

// PersonOf returns whom the issuer knows as subject.
func (c *Cache) PersonOf(ctx context.Context, issuer, name string) (identity.Person, error) {
	return recall(ctx, c, func(m *memory) map[subject]identity.Person { return m.people }, subject{issuer, name},
		func() (identity.Person, error) { return c.Store.PersonOf(ctx, issuer, name) })
}

// Persona returns the persona with the definitions of all its pins.
func (c *Cache) Persona(ctx context.Context, id persona.ID) (persona.Persona, error) {
	return recall(ctx, c, func(m *memory) map[persona.ID]persona.Persona { return m.personas }, id,
		func() (persona.Persona, error) { return c.Store.Persona(ctx, id) })
}

// Frozen says whether, and since when, a revision's pin is frozen.
func (c *Cache) Frozen(ctx context.Context, id persona.ID, revision int, pin persona.Pin) (since time.Time, frozen bool, err error) {
	since, err = recall(ctx, c, func(m *memory) map[pinned]time.Time { return m.frozen }, pinned{id, revision, pin.Tool, pin.Digest},
		func() (time.Time, error) {
			since, _, err := c.Store.Frozen(ctx, id, revision, pin)
			return since, err
		})
	return since, !since.IsZero(), err
}

// Suspensions returns what is suspended now, by kind and name.
func (c *Cache) Suspensions(ctx context.Context) ([]persona.Suspension, error) {
	return recall(ctx, c, func(m *memory) map[struct{}][]persona.Suspension { return m.suspensions }, struct{}{},
		func() ([]persona.Suspension, error) { return c.Store.Suspensions(ctx) })
}
