// Package vector owns chromem-go and the scan over its vectors: an index, in memory only, of which vectors are near to a
// query or to each other.
//
// chromem-go keeps the documents and admits them; it does not answer queries. Its own scan walks a map through a channel
// and a lock, adds up one product at a time, and sorts a heap of every result by string ids, which for a whole catalog
// costs ten times the arithmetic (docs/performance.md). So the documents' vectors are rows of one array, which both
// share, and the rows are multiplied here.
//
// None of chromem-go's sharp edges can be reached: an index is built once and never changes (no Delete, no files), and
// every vector is checked before it goes in (one of another length would break every query, a zero one would give NaN).
package vector

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/philippgille/chromem-go"

	"remit/catalog"
)

// Index holds one vector a tool. It never changes and is safe for concurrent use.
type Index struct {
	collection *chromem.Collection // its documents' embeddings are the rows
	rows       []float32           // one vector after the other, each followed by zeros up to the stride
	count, dim int
	stride     int // values from one row to the next, a multiple of lane
	dots       func(dst, rows, query []float32)
}

// block is how many rows one processor takes at a time. They stay in its cache while all queries are compared with them.
const block = 64

// New indexes the vectors; ids name them in errors. All must have one length and be finite and not zero; they are brought
// to unit length. It has the shape of catalog.Config's NewVectors.
func New(ids []catalog.ID, vectors [][]float32) (catalog.Vectors, error) {
	if len(ids) != len(vectors) {
		return nil, fmt.Errorf("%d tools but %d vectors", len(ids), len(vectors))
	}
	x := &Index{count: len(vectors), dots: fastest()}
	if x.count == 0 {
		return x, nil
	}
	x.dim = len(vectors[0])
	x.stride = (x.dim + lane - 1) / lane * lane
	x.rows = make([]float32, x.count*x.stride)
	var err error
	if x.collection, err = chromem.NewDB().CreateCollection("tools", nil, noEmbedding); err != nil {
		return nil, fmt.Errorf("vector index: %w", err)
	}
	for i, v := range vectors {
		row := x.row(i)[:x.dim:x.dim]
		if err := normalize(row, v); err != nil {
			return nil, fmt.Errorf("the vector of tool %s %w; embed it again", ids[i], err)
		}
		// A document is named by its place, so that two tools can never be one document. Its embedding has unit length, so
		// the collection keeps the row itself and no copy.
		doc := chromem.Document{ID: strconv.Itoa(i), Embedding: row}
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

func (x *Index) row(i int) []float32 { return x.rows[i*x.stride:][:x.stride] }

// Similar writes the cosine, -1 to 1, of the q-th query and the i-th vector into into[q][i]. It refuses a query that could
// not be compared, and an into of another shape. The cosine is exact but for the rounding of float32 sums, about 1e-6.
func (x *Index) Similar(ctx context.Context, queries, into [][]float32) error {
	if len(into) != len(queries) {
		return fmt.Errorf("room was made for %d queries, not %d", len(into), len(queries))
	}
	units := make([][]float32, len(queries))
	for q := range queries {
		if len(into[q]) != x.count {
			return fmt.Errorf("the vector index holds %d vectors, but room was made for %d", x.count, len(into[q]))
		}
		if x.count == 0 {
			continue
		}
		units[q] = make([]float32, x.stride)
		if err := normalize(units[q][:x.dim], queries[q]); err != nil {
			return fmt.Errorf("the vector of the query %w; the catalog was embedded with another model, so crawl again", err)
		}
	}
	return each(ctx, (x.count+block-1)/block, func(i int) {
		from, to := i*block, min((i+1)*block, x.count)
		for q, unit := range units {
			out := into[q][from:to]
			x.dots(out, x.rows[from*x.stride:to*x.stride], unit)
			for i, cosine := range out {
				out[i] = max(-1, min(1, cosine)) // rounding can pass 1
			}
		}
	})
}

// each calls do for 0 to n-1 on all processors, until ctx ends.
func each(ctx context.Context, n int, do func(i int)) error {
	var next atomic.Int64
	work := func() {
		for ctx.Err() == nil {
			i := int(next.Add(1)) - 1
			if i >= n {
				return
			}
			do(i)
		}
	}
	var wait sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) - 1 {
		wait.Go(work)
	}
	work()
	wait.Wait()
	return ctx.Err()
}

// normalize sets unit to v at unit length.
func normalize(unit, v []float32) error {
	if len(v) != len(unit) || len(v) == 0 {
		return fmt.Errorf("has %d dimensions, not %d", len(v), len(unit))
	}
	sum := 0.0
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	length := math.Sqrt(sum)
	if math.IsNaN(sum) || math.IsInf(sum, 0) || length < 1e-12 {
		return fmt.Errorf("is zero or not finite")
	}
	for i, x := range v {
		unit[i] = float32(float64(x) / length)
	}
	return nil
}
