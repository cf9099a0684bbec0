package vector

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"remit/catalog"
)

func noise(random *rand.Rand, n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(random.NormFloat64())
	}
	return out
}

func build(t testing.TB, vectors [][]float32) *Index {
	t.Helper()
	x, err := New(make([]catalog.ID, len(vectors)), vectors)
	if err != nil {
		t.Fatal(err)
	}
	return x.(*Index)
}

// The kernels must agree with the plain sum for every number of rows and every width.
func TestKernels(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for name, kernel := range map[string]func(dst, rows, query []float32){"plain": dots, "fastest": fastest()} {
		for _, width := range []int{lane, 2 * lane, 384, 512} {
			for _, count := range []int{0, 1, 2, 7, block} {
				query, rows := noise(random, width), noise(random, count*width)
				got := make([]float32, count)
				kernel(got, rows, query)
				for i := range got {
					want := 0.0
					for j := range query {
						want += float64(query[j]) * float64(rows[i*width+j])
					}
					if math.Abs(float64(got[i])-want) > 1e-4 {
						t.Errorf("%s, %d of width %d: got %v, want %v", name, i, width, got[i], want)
					}
				}
			}
		}
	}
}

// TestExactness compares the ten nearest with those of the exact cosine, and with those that chromem-go's own scan finds:
// they may differ only where two cosines are nearer to each other than float32 sums are to the truth.
func TestExactness(t *testing.T) {
	const count, dim, rounding = 3000, 384, 1e-6
	random := rand.New(rand.NewPCG(3, 4))
	vectors := make([][]float32, count)
	for i := range vectors {
		vectors[i] = noise(random, dim)
	}
	x := build(t, vectors)
	queries, into := make([][]float32, 40), make([][]float32, 40)
	for q := range queries {
		queries[q], into[q] = noise(random, dim), make([]float32, count)
	}
	if err := x.Similar(t.Context(), queries, into); err != nil {
		t.Fatal(err)
	}
	overlap := 0
	for q, query := range queries {
		exact := make([]float64, count)
		for i, v := range vectors {
			exact[i] = cosine(query, v)
			if math.Abs(float64(into[q][i])-exact[i]) > rounding {
				t.Fatalf("query %d, vector %d: got %v, want %v", q, i, into[q][i], exact[i])
			}
		}
		want := nearest(exact)
		for _, i := range nearest(into[q]) {
			if slices.Contains(want, i) {
				overlap++
			}
		}
		theirs, err := x.collection.QueryEmbedding(t.Context(), query, 10, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		for rank, r := range theirs {
			if got := into[q][nearest(into[q])[rank]]; math.Abs(float64(got-r.Similarity)) > rounding {
				t.Errorf("query %d, rank %d: got cosine %v, chromem-go says %v", q, rank+1, got, r.Similarity)
			}
		}
	}
	t.Logf("overlap of the ten nearest: %d of %d", overlap, 10*len(queries))
	if got, want := float64(overlap)/float64(10*len(queries)), 0.995; got < want {
		t.Errorf("got an overlap of the ten nearest of %.3f, want at least %.3f", got, want)
	}
}

func cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i := range a {
		ab += float64(a[i]) * float64(b[i])
		aa += float64(a[i]) * float64(a[i])
		bb += float64(b[i]) * float64(b[i])
	}
	return ab / math.Sqrt(aa*bb)
}

func nearest[T float32 | float64](scores []T) []int {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case scores[a] > scores[b]:
			return -1
		case scores[a] < scores[b]:
			return 1
		}
		return 0
	})
	return order[:10]
}

// The collection and the scan share one copy of the vectors.
func TestOneCopy(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	x := build(t, [][]float32{noise(random, 384), noise(random, 384)})
	results, err := x.collection.QueryEmbedding(t.Context(), x.row(1), 2, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if got, want := fmt.Sprintf("%p", &r.Embedding[0]), fmt.Sprintf("%p", &x.row(int(r.ID[0] - '0'))[0]); got != want {
			t.Errorf("document %s: the collection holds a copy at %s, want the row at %s", r.ID, got, want)
		}
	}
}

// BenchmarkSimilar compares a query with 10,000 vectors of 384 dimensions.
func BenchmarkSimilar(b *testing.B) {
	random := rand.New(rand.NewPCG(7, 8))
	vectors := make([][]float32, 10_000)
	for i := range vectors {
		vectors[i] = noise(random, 384)
	}
	x := build(b, vectors)
	into := [][]float32{make([]float32, len(vectors))}
	for name, kernel := range map[string]func(dst, rows, query []float32){"plain": dots, "fastest": fastest()} {
		b.Run(name, func(b *testing.B) {
			x.dots = kernel
			for b.Loop() {
				if err := x.Similar(b.Context(), vectors[:1], into); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("chromem-go", func(b *testing.B) {
		for b.Loop() {
			if _, err := x.collection.QueryEmbedding(b.Context(), vectors[0], len(vectors), nil, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}
