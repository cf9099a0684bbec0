package crawl

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"remit/catalog"
)

// embedBatch is how many texts are embedded between two saves: a crawl that is stopped loses at most one batch.
const embedBatch = 64

// passages are the hashes of the texts of a definition.
type passages struct {
	of     catalog.Digest
	hashes []TextHash
}

// hashes are those of each tool's texts. Cutting them out takes seconds for very many tools, so it is done once for each, on all processors.
func hashes(tools []catalog.Tool, known map[catalog.ID]passages) map[catalog.ID]passages {
	found := make([]passages, len(tools))
	var workers errgroup.Group
	part := max(1, (len(tools)+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0))
	for from := 0; from < len(tools); from += part {
		workers.Go(func() error {
			for i := from; i < min(from+part, len(tools)); i++ {
				if found[i] = known[tools[i].ID]; found[i].of == tools[i].Digest {
					continue
				}
				found[i] = passages{of: tools[i].Digest}
				for _, text := range catalog.Passages(tools[i]) {
					found[i].hashes = append(found[i].hashes, hashOf(text))
				}
			}
			return nil
		})
	}
	_ = workers.Wait() // none fails
	all := make(map[catalog.ID]passages, len(tools))
	for i, t := range tools {
		all[t.ID] = found[i]
	}
	return all
}

// replace gives the catalog every tool that is known, with the vectors that there are.
func (c *Crawler) replace() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	tools := slices.Concat(slices.Collect(maps.Values(c.tools))...)
	c.stale = false
	if c.cfg.Embedder == nil {
		return c.cfg.Catalog.Replace(tools, nil)
	}
	c.passages = hashes(tools, c.passages)
	return c.cfg.Catalog.Replace(tools, embeddings(c.passages, c.vectors))
}

// embeddings are the vectors that are known of the tools' texts.
func embeddings(of map[catalog.ID]passages, known map[TextHash][]float32) map[catalog.ID]catalog.Embedding {
	out := make(map[catalog.ID]catalog.Embedding, len(of))
	for id, p := range of {
		vectors := make([][]float32, len(p.hashes))
		for i, h := range p.hashes {
			vectors[i] = known[h]
		}
		out[id] = catalog.NewEmbedding(vectors)
	}
	return out
}

// hashOf identifies a text that is embedded.
func hashOf(text string) TextHash { return sha256.Sum256([]byte(text)) }

// rebuild gives the catalog the tools that are new, to be found by words at once, then embeds the texts that have no
// vector yet and gives it those. With nothing new it does nothing.
func (c *Crawler) rebuild(ctx context.Context, progress func(Event)) (embedded int, err error) {
	c.building.Lock()
	defer c.building.Unlock()
	c.mu.Lock()
	stale := c.stale
	c.mu.Unlock()
	if stale {
		if err := c.replace(); err != nil {
			return 0, err
		}
	}
	if c.cfg.Embedder == nil {
		return 0, nil
	}
	model := c.cfg.Embedder.Model()
	hashes, texts := c.missing()
	if len(texts) > 0 && c.cfg.Turns != nil {
		found, err := c.cfg.Store.Vectors(ctx, model, hashes...) // another process may have embedded them
		if err != nil {
			return 0, err
		}
		if c.learn(found); len(found) > 0 {
			if err := c.replace(); err != nil {
				return 0, err
			}
			hashes, texts = c.missing()
		}
	}
	if len(texts) == 0 || !c.embeds() {
		return 0, c.prune(ctx, false)
	}
	for from := 0; from < len(texts); from += embedBatch {
		if !c.embeds() {
			return embedded, nil // another process goes on
		}
		to := min(from+embedBatch, len(texts))
		vectors, err := c.cfg.Embedder.Embed(ctx, texts[from:to])
		if err != nil {
			return embedded, fmt.Errorf("embedding the catalog: %w", err)
		}
		if len(vectors) != to-from {
			return embedded, fmt.Errorf("embedding the catalog: %d vectors came for %d texts", len(vectors), to-from)
		}
		batch := map[TextHash][]float32{}
		for i, v := range vectors {
			batch[hashes[from+i]] = v
		}
		if err := c.cfg.Store.SaveVectors(ctx, model, batch); err != nil {
			return embedded, err
		}
		c.learn(batch)
		embedded += len(batch)
		if progress != nil {
			progress(Event{Phase: "embed", Done: to, Total: len(texts)})
		}
	}
	if err := c.prune(ctx, true); err != nil {
		return embedded, err
	}
	return embedded, c.replace()
}

// prune forgets the vectors of texts that no tool has any more: a server that keeps changing would fill disk and memory
// with them. Those of other models are only looked for when one of this model was added.
func (c *Crawler) prune(ctx context.Context, added bool) error {
	c.mu.Lock()
	used := map[TextHash]bool{}
	for _, p := range c.passages {
		for _, h := range p.hashes {
			used[h] = true
		}
	}
	for h := range c.vectors {
		if !used[h] {
			delete(c.vectors, h)
			added = true
		}
	}
	c.mu.Unlock()
	if !added || !c.embeds() {
		return nil
	}
	c.texts.Lock()
	turn := c.texts.turn
	c.texts.Unlock()
	if c.cfg.Turns == nil {
		turn = Turn{}
	}
	err := c.cfg.Store.KeepVectors(ctx, turn, c.cfg.Embedder.Model(), used)
	if errors.Is(err, ErrTurn) {
		return nil // another process does
	}
	return err
}

// embeds says whether it is this process that embeds what is new.
func (c *Crawler) embeds() bool {
	c.texts.Lock()
	defer c.texts.Unlock()
	return c.cfg.Turns == nil || c.texts.mine(c.cfg.Now())
}

// missing are the texts that have no vector.
func (c *Crawler) missing() (hashes []TextHash, texts []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := map[TextHash]bool{}
	for _, of := range c.tools {
		for _, t := range of {
			p := c.passages[t.ID]
			if p.of != t.Digest {
				continue // it came just now, and the next rebuild sees it
			}
			for i, h := range p.hashes {
				if _, ok := c.vectors[h]; !ok && !seen[h] {
					seen[h] = true
					hashes, texts = append(hashes, h), append(texts, catalog.Passages(t)[i])
				}
			}
		}
	}
	return hashes, texts
}

func (c *Crawler) learn(batch map[TextHash][]float32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.vectors == nil {
		c.vectors = map[TextHash][]float32{}
	}
	for h, v := range batch {
		c.vectors[h] = v
	}
}

// Load gives the catalog what the store knows, for commands that search without reaching any server.
func Load(ctx context.Context, s Store, embedder catalog.Embedder, cat *catalog.Catalog) error {
	tools, err := s.Tools(ctx)
	if err != nil {
		return err
	}
	if embedder == nil {
		return cat.Replace(tools, nil)
	}
	known, err := s.Vectors(ctx, embedder.Model())
	if err != nil {
		return err
	}
	return cat.Replace(tools, embeddings(hashes(tools, nil), known))
}
