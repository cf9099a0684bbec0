package catalog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Config of a [Catalog]. The zero value searches by words only.
type Config struct {
	Embedder Embedder // of queries; nil means words only
	// NewVectors indexes the vectors of the tools; nil means words only.
	NewVectors func(ids []ID, vectors [][]float32) (Vectors, error)
	// WordsWeight and MeaningWeight are how much the two scores count; both 0 means 1 and 1.5.
	WordsWeight, MeaningWeight float64
	// QueryTimeout bounds the embedding of one query, so that a slow endpoint does not hold up a search; 0 means 3 s.
	QueryTimeout time.Duration
}

// Catalog is every tool that is offered now, and the search over them. It is safe for concurrent use; a reader sees the
// catalog before or after a Replace, never a mixture.
type Catalog struct {
	config Config
	now    atomic.Pointer[snapshot]
	recent queryCache
	down   outage
	pairs  pairCache
}

// New returns an empty catalog.
func New(config Config) *Catalog {
	if config.QueryTimeout == 0 {
		config.QueryTimeout = 3 * time.Second
	}
	c := &Catalog{config: config}
	empty := newSnapshot(nil)
	empty.index = newIndex(nil)
	c.now.Store(empty)
	return c
}

func (c *Catalog) weights() (words, meaning float64) {
	if c.config.WordsWeight == 0 && c.config.MeaningWeight == 0 {
		return 1, 1.5
	}
	return c.config.WordsWeight, c.config.MeaningWeight
}

// Replace makes tools, without those that are gone, the catalog. A tool without vectors is found by words only. When the
// vectors cannot be used the tools are taken over all the same and are found by words, and the error says why.
func (c *Catalog) Replace(tools []Tool, vectors map[ID]Embedding) error {
	s := newSnapshot(tools)
	var words sync.WaitGroup
	words.Go(func() { s.indexWords(c.now.Load()) })
	err := c.addVectors(s, vectors)
	words.Wait()
	if err != nil {
		s.vectors, s.cores, s.embedded = nil, nil, nil
		s.degraded = fmt.Sprintf("Found by words only: %v. Crawl again to rebuild the vectors.", err)
	}
	c.now.Store(s)
	return err
}

func (c *Catalog) addVectors(s *snapshot, vectors map[ID]Embedding) error {
	if c.config.Embedder == nil || c.config.NewVectors == nil || len(s.tools) == 0 {
		return nil
	}
	var ids []ID
	var wholes, cores [][]float32
	for i, t := range s.tools {
		if v := vectors[t.ID]; len(v.Core) > 0 {
			ids, s.embedded = append(ids, t.ID), append(s.embedded, i)
			wholes, cores = append(wholes, v.whole()), append(cores, v.Core)
		}
	}
	if missing := len(s.tools) - len(ids); missing > 0 {
		s.degraded = fmt.Sprintf("%d of %d tools have no vector yet and are found by words only; crawl again to embed them.", missing, len(s.tools))
	}
	if len(ids) == 0 {
		return nil
	}
	var both errgroup.Group
	for _, of := range []struct {
		into    *Vectors
		vectors [][]float32
	}{{&s.vectors, wholes}, {&s.cores, cores}} {
		both.Go(func() (err error) {
			*of.into, err = c.config.NewVectors(ids, of.vectors)
			return err
		})
	}
	if err := both.Wait(); err != nil {
		return fmt.Errorf("the vectors of the catalog cannot be searched: %w", err)
	}
	return nil
}

// Tool returns a tool that is offered now.
func (c *Catalog) Tool(id ID) (Tool, bool) {
	s := c.now.Load()
	i := sort.Search(len(s.tools), func(i int) bool { return s.tools[i].ID >= id })
	if i == len(s.tools) || s.tools[i].ID != id {
		return Tool{}, false
	}
	return s.tools[i], true
}

// Tools returns every tool that is offered now, by id.
func (c *Catalog) Tools() []Tool { return slices.Clone(c.now.Load().tools) }

// Tokens is what all definitions cost a model that is given everything.
func (c *Catalog) Tokens() int { return c.now.Load().tokens }

// Digest identifies the catalog as a whole: it differs when a tool comes, goes or changes.
func (c *Catalog) Digest() string { return c.now.Load().digest }

// snapshot is one state of the catalog. It never changes; only its pool of buffers does.
type snapshot struct {
	tools    []Tool // by id, none gone
	index    *index
	vectors  Vectors // of all that is embedded of a tool; nil: words only
	cores    Vectors // of the cores alone
	embedded []int   // the tool, by position of the vector
	degraded string
	tokens   int
	digest   string
	pool     sync.Pool // of *buffers
}

// newSnapshot lacks the indexes.
func newSnapshot(tools []Tool) *snapshot {
	s := &snapshot{}
	for _, t := range tools {
		if !t.Gone {
			s.tools = append(s.tools, t)
		}
	}
	slices.SortFunc(s.tools, func(a, b Tool) int { return strings.Compare(string(a.ID), string(b.ID)) })
	s.tools = slices.CompactFunc(s.tools, func(a, b Tool) bool { return a.ID == b.ID })
	hash := sha256.New()
	for _, t := range s.tools {
		s.tokens += t.Tokens
		fmt.Fprintf(hash, "%s %s\n", t.ID, t.Digest)
	}
	s.digest = "sha256:" + hex.EncodeToString(hash.Sum(nil))
	return s
}

// indexWords takes over the word index of before when the definitions are still the same, as after most crawls.
func (s *snapshot) indexWords(before *snapshot) {
	if s.index = before.index; before.digest != s.digest {
		s.index = newIndex(s.tools)
	}
}

// outage remembers that the embedding of queries failed, so that each search does not wait for the same failure.
type outage struct {
	mu     sync.Mutex
	until  time.Time
	reason string
}

const outagePause = 10 * time.Second

// embedQuery returns a vector for each part of the query, or none and the reason in words for a person. Its error is ctx's.
func (c *Catalog) embedQuery(ctx context.Context, s *snapshot, parts []string) (vectors [][]float32, degraded string, err error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	if s.vectors == nil {
		return nil, s.degraded, nil
	}
	if cached := c.recent.get(parts); cached != nil {
		return cached, s.degraded, nil
	}
	c.down.mu.Lock()
	reason, wait := c.down.reason, time.Now().Before(c.down.until)
	c.down.mu.Unlock()
	if wait {
		return nil, reason, nil
	}
	vectors, err = c.embedNow(ctx, parts)
	if ctx.Err() != nil {
		return nil, "", ctx.Err()
	}
	if err != nil {
		reason = fmt.Sprintf("Found by words only: the query could not be embedded with %s: %v. It is tried again in a few seconds.",
			c.config.Embedder.Model(), err)
		c.down.mu.Lock()
		c.down.until, c.down.reason = time.Now().Add(outagePause), reason
		c.down.mu.Unlock()
		return nil, reason, nil
	}
	c.recent.put(parts, vectors)
	return vectors, s.degraded, nil
}

func (c *Catalog) embedNow(ctx context.Context, parts []string) ([][]float32, error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.QueryTimeout)
	defer cancel()
	embed := c.config.Embedder.Embed
	if q, ok := c.config.Embedder.(QueryEmbedder); ok {
		embed = q.EmbedQueries
	}
	vectors, err := embed(ctx, parts)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("no answer within %s; see that the endpoint is up", c.config.QueryTimeout)
	}
	if err == nil && len(vectors) != len(parts) {
		return nil, fmt.Errorf("the model answered %d vectors for %d texts", len(vectors), len(parts))
	}
	return vectors, err
}

// queryCache keeps the vectors of the last texts that were searched for: people search for the same words again while they
// edit a draft.
type queryCache struct {
	mu      sync.Mutex
	vectors map[string][]float32 // by text
	order   []string             // oldest first
}

const maxCached = 512 // texts

// get returns the vectors of the texts; nil where one is missing.
func (q *queryCache) get(texts []string) [][]float32 {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := make([][]float32, len(texts))
	for i, text := range texts {
		if out[i] = q.vectors[text]; out[i] == nil {
			return nil
		}
	}
	return out
}

func (q *queryCache) put(texts []string, vectors [][]float32) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.vectors == nil {
		q.vectors = map[string][]float32{}
	}
	for i, text := range texts {
		if _, ok := q.vectors[text]; ok {
			continue
		}
		if len(q.order) == maxCached {
			delete(q.vectors, q.order[0])
			q.order = slices.Delete(q.order, 0, 1)
		}
		q.vectors[text] = vectors[i]
		q.order = append(q.order, text)
	}
}
