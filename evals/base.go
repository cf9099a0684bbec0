package evals

import (
	"context"
	"maps"
	"sync"
	"time"

	"remit/catalog"
)

// base is a file of tools with their vectors, from which the catalogs of all variants are made.
type base struct {
	file    *ToolFile
	vectors map[catalog.ID]catalog.Embedding
	queries *memo
	// poison is what attacks make of the vectors, by attack: several ways of drafting are run over the same.
	poison map[string]map[catalog.ID]catalog.Embedding
}

func (r *Runner) load(ctx context.Context, path string) (*base, error) {
	file, err := LoadTools(path, r.Count)
	if err != nil {
		return nil, err
	}
	b := &base{file: file, poison: map[string]map[catalog.ID]catalog.Embedding{}}
	if r.Embedder != nil {
		b.queries = &memo{Embedder: r.Embedder, known: map[string][]float32{}}
	}
	b.vectors, err = r.embed(ctx, path, file.Tools)
	return b, err
}

func (r *Runner) embed(ctx context.Context, stage string, tools []catalog.Tool) (map[catalog.ID]catalog.Embedding, error) {
	return Embed(ctx, r.Embedder, tools, func(done, total int) {
		if r.Progress != nil {
			r.Progress("embedding "+stage, done, total)
		}
	})
}

// config of a catalog over the base. A query is waited for as long as it takes: what it finds by words only would mislead.
func (r *Runner) config(b *base) catalog.Config {
	if b.queries == nil {
		return catalog.Config{}
	}
	return catalog.Config{Embedder: b.queries, NewVectors: r.NewVectors, QueryTimeout: time.Minute}
}

// with is the base with some tools replaced or added.
func (b *base) with(file *ToolFile, vectors map[catalog.ID]catalog.Embedding) *base {
	all := maps.Clone(b.vectors)
	maps.Copy(all, vectors)
	return &base{file: file, vectors: all, queries: b.queries}
}

func (r *Runner) catalog(b *base) (*catalog.Catalog, error) {
	c := catalog.New(r.config(b))
	return c, c.Replace(b.file.Tools, b.vectors)
}

// memo remembers the vectors of queries, so that variants are compared on the same work and a text is embedded once. Times
// of the first variant of a suite contain the embedding, later ones do not.
type memo struct {
	catalog.Embedder
	mu    sync.Mutex
	known map[string][]float32
}

// EmbedQueries embeds the texts that were not embedded before.
func (m *memo) EmbedQueries(ctx context.Context, texts []string) ([][]float32, error) {
	m.mu.Lock()
	out := make([][]float32, len(texts))
	var unknown []string
	var places []int
	for i, text := range texts {
		if out[i] = m.known[text]; out[i] == nil {
			unknown, places = append(unknown, text), append(places, i)
		}
	}
	m.mu.Unlock()
	if len(unknown) == 0 {
		return out, nil
	}
	embed := m.Embedder.Embed
	if q, ok := m.Embedder.(catalog.QueryEmbedder); ok {
		embed = q.EmbedQueries
	}
	made, err := embed(ctx, unknown)
	if err != nil || len(made) != len(unknown) {
		return made, err // the catalog says that there are too few
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, v := range made {
		out[places[i]], m.known[unknown[i]] = v, v
	}
	return out, nil
}
