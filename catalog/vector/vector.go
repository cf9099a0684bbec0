// Package vector owns chromem-go: an index, in memory only, of which vectors are near to a query.
//
// chromem-go is wrapped so that none of its sharp edges can be reached: an index is built once and never changes (no
// Delete, no files), every vector is checked before it goes in (one of another length would break every query, a zero one
// would give NaN), and a query always asks for exactly as many results as there are.
package vector

import (
	"context"
	"fmt"
	"math"
	"strconv"

	"github.com/philippgille/chromem-go"

	"remit/catalog"
)

// Index holds one vector a tool. It never changes and is safe for concurrent use.
type Index struct {
	collection *chromem.Collection
	count, dim int
}

// New indexes the vectors; ids name them in errors. All must have one length and be finite and not zero; they are brought
// to unit length. It has the shape of catalog.Config's NewVectors.
func New(ids []catalog.ID, vectors [][]float32) (catalog.Vectors, error) {
	if len(ids) != len(vectors) {
		return nil, fmt.Errorf("%d tools but %d vectors", len(ids), len(vectors))
	}
	x := &Index{count: len(vectors)}
	if x.count == 0 {
		return x, nil
	}
	x.dim = len(vectors[0])
	var err error
	if x.collection, err = chromem.NewDB().CreateCollection("tools", nil, noEmbedding); err != nil {
		return nil, fmt.Errorf("vector index: %w", err)
	}
	for i, v := range vectors {
		unit, err := normal(v, x.dim)
		if err != nil {
			return nil, fmt.Errorf("the vector of tool %s %w; embed it again", ids[i], err)
		}
		// A document is named by its place, so that two tools can never be one document.
		doc := chromem.Document{ID: strconv.Itoa(i), Embedding: unit}
		if err := x.collection.AddDocument(context.Background(), doc); err != nil {
			return nil, fmt.Errorf("the vector of tool %s cannot be indexed: %w", ids[i], err)
		}
	}
	return x, nil
}

// noEmbedding keeps chromem-go from ever asking its default, a paid service, for a vector.
func noEmbedding(context.Context, string) ([]float32, error) {
	return nil, fmt.Errorf("the vector index embeds nothing itself")
}

// Similar writes the cosine, -1 to 1, of query and the i-th vector into into[i]. It refuses a query that could not be
// compared, and an into of another length than the index.
func (x *Index) Similar(ctx context.Context, query, into []float32) error {
	if len(into) != x.count {
		return fmt.Errorf("the vector index holds %d vectors, but room was made for %d", x.count, len(into))
	}
	if x.count == 0 {
		return nil
	}
	unit, err := normal(query, x.dim)
	if err != nil {
		return fmt.Errorf("the vector of the query %w; the catalog was embedded with another model, so crawl again", err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	results, err := x.collection.QueryEmbedding(ctx, unit, x.count, nil, nil)
	if err != nil {
		return fmt.Errorf("vector index: %w", err)
	}
	for _, r := range results {
		i, err := strconv.Atoi(r.ID)
		if err != nil || i < 0 || i >= len(into) {
			return fmt.Errorf("vector index: a result is named %q", r.ID)
		}
		into[i] = max(-1, min(1, r.Similarity)) // rounding can pass 1
	}
	return nil
}

// normal returns v at unit length, without changing v.
func normal(v []float32, dim int) ([]float32, error) {
	if len(v) != dim || dim == 0 {
		return nil, fmt.Errorf("has %d dimensions, not %d", len(v), dim)
	}
	sum := 0.0
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	length := math.Sqrt(sum)
	if math.IsNaN(sum) || math.IsInf(sum, 0) || length < 1e-12 {
		return nil, fmt.Errorf("is zero or not finite")
	}
	unit := make([]float32, dim)
	for i, x := range v {
		unit[i] = float32(float64(x) / length)
	}
	return unit, nil
}
