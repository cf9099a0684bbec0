package vector_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"remit/catalog"
	"remit/catalog/vector"
)

func similar(t *testing.T, x catalog.Vectors, query, into []float32) error {
	return x.Similar(t.Context(), [][]float32{query}, [][]float32{into})
}

func TestSimilar(t *testing.T) {
	ids := []catalog.ID{"s/a", "s/b", "s/c", "s/a"} // even equal ids stay apart
	x, err := vector.New(ids, [][]float32{{2, 0}, {0, 0.5}, {-1, 0}, {1, 1}})
	if err != nil {
		t.Fatal(err)
	}
	got := make([]float32, 4)
	if err := similar(t, x, []float32{10, 0}, got); err != nil {
		t.Fatal(err)
	}
	for i, want := range []float32{1, 0, -1, math.Sqrt2 / 2} {
		if math.Abs(float64(got[i]-want)) > 1e-6 {
			t.Errorf("%d: got cosine %f, want %f", i, got[i], want)
		}
	}
}

func TestSimilarIsTheCosine(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const n, dim = 500, 16
	ids, vectors := make([]catalog.ID, n), make([][]float32, n+1)
	for i := range vectors {
		vectors[i] = make([]float32, dim)
		for d := range dim {
			vectors[i][d] = float32(random.NormFloat64())
		}
	}
	for i := range ids {
		ids[i] = catalog.NewID("s", fmt.Sprint(i))
	}
	x, err := vector.New(ids, vectors[:n])
	if err != nil {
		t.Fatal(err)
	}
	query := vectors[n]
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			got := make([]float32, n)
			if err := similar(t, x, query, got); err != nil {
				t.Error(err)
			}
			for i := range got {
				if want := cosine(query, vectors[i]); math.Abs(float64(got[i])-want) > 1e-5 {
					t.Errorf("%d: got cosine %f, want %f", i, got[i], want)
				}
			}
		})
	}
	wait.Wait()
}

func cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i := range a {
		ab, aa, bb = ab+float64(a[i]*b[i]), aa+float64(a[i]*a[i]), bb+float64(b[i]*b[i])
	}
	return ab / math.Sqrt(aa*bb)
}

func TestNewRefuses(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for name, vectors := range map[string][][]float32{
		"another length": {{1, 0}, {1, 0, 0}},
		"zero":           {{1, 0}, {0, 0}},
		"not a number":   {{1, 0}, {nan, 1}},
		"infinite":       {{1, 0}, {inf, 1}},
		"empty":          {{1, 0}, {}},
		"too few":        {{1, 0}},
	} {
		_, err := vector.New([]catalog.ID{"s/good", "s/bad"}, vectors)
		if err == nil || name != "too few" && !strings.Contains(err.Error(), "s/bad") {
			t.Errorf("%s: got %v, want an error that names s/bad", name, err)
		}
	}
}

func TestSimilarRefuses(t *testing.T) {
	x, err := vector.New([]catalog.ID{"s/a"}, [][]float32{{1, 0}})
	if err != nil {
		t.Fatal(err)
	}
	room := make([]float32, 1)
	for name, query := range map[string][]float32{"another length": {1}, "zero": {0, 0}, "none": nil, "not a number": {float32(math.NaN()), 0}} {
		if err := similar(t, x, query, room); err == nil {
			t.Errorf("query of %s: got no error", name)
		}
	}
	if err := similar(t, x, []float32{1, 0}, make([]float32, 2)); err == nil {
		t.Error("room for two: got no error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := x.Similar(ctx, [][]float32{{1, 0}}, [][]float32{room}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func TestEmpty(t *testing.T) {
	x, err := vector.New(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := similar(t, x, []float32{1}, nil); err != nil {
		t.Errorf("got %v, want nothing found", err)
	}
}
