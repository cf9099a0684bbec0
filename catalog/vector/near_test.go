package vector

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"remit/catalog"
)

// grouped spreads so many vectors over the groups, one after the other.
func grouped(count, groups int) []int32 {
	out := make([]int32, count)
	for i := range out {
		out[i] = int32(i % groups)
	}
	return out
}

func TestNearIsExactForAFewThousand(t *testing.T) {
	const count, dim, most = 300, 48, 8
	random := rand.New(rand.NewPCG(1, 2))
	vectors := make([][]float32, count)
	for i := range vectors {
		vectors[i] = noise(random, dim)
	}
	x, groups := build(t, vectors), grouped(count, 7)
	got, err := x.Near(t.Context(), groups, 0.1, most)
	if err != nil {
		t.Fatal(err)
	}
	for i, list := range got {
		var want []catalog.Neighbour
		of := map[int32]int{}
		order := make([]int, count)
		for j := range order {
			order[j] = j
		}
		cosines := make([]float64, count)
		for j := range cosines {
			cosines[j] = cosine(vectors[i], vectors[j])
		}
		slices.SortFunc(order, func(a, b int) int { return cmp.Compare(cosines[b], cosines[a]) })
		for _, j := range order {
			if groups[j] != groups[i] && of[groups[j]] < ofGroup && len(want) < most && got[i] != nil {
				of[groups[j]]++
				want = append(want, catalog.Neighbour{At: int32(j)})
			}
		}
		for k, n := range list {
			if n.At != want[k].At {
				t.Fatalf("vector %d, neighbour %d: got %d, want %d", i, k, n.At, want[k].At)
			}
			if n.Nearness < 0.1 || k > 0 && n.Nearness > list[k-1].Nearness {
				t.Errorf("vector %d: got nearness %v, want at least 0.1 and falling", i, n.Nearness)
			}
		}
	}
}

func TestNearness(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, shift := range []float32{0, 1} { // with a common direction, as many models have one
		vectors := make([][]float32, 400)
		for i := range vectors {
			vectors[i] = noise(random, 64)
			for d := range vectors[i] {
				vectors[i][d] += shift
			}
		}
		vectors[1] = vectors[0]
		got, err := build(t, vectors).Near(t.Context(), grouped(400, 400), -1, 400)
		if err != nil {
			t.Fatal(err)
		}
		if n := got[0][0]; n.At != 1 || math.Abs(float64(n.Nearness)-1) > 1e-5 {
			t.Errorf("shift %v: got %v, want vector 1 with nearness 1", shift, n)
		}
		if n := got[0][200]; math.Abs(float64(n.Nearness)) > 0.2 {
			t.Errorf("shift %v: the middle neighbour has nearness %v, want about 0", shift, n.Nearness)
		}
	}
}

// Beyond a few thousand, a pair with a cosine of 0.9 is still found, and equal vectors take no more time than others.
func TestNearOfMany(t *testing.T) {
	const count, dim, pairs = 12_000, 64, 1000
	random := rand.New(rand.NewPCG(5, 6))
	vectors := make([][]float32, count)
	for i := range vectors {
		vectors[i] = noise(random, dim)
	}
	for i := range pairs {
		twin := noise(random, dim)
		for d := range twin {
			twin[d] = vectors[i][d] + 0.48*twin[d]
		}
		vectors[pairs+i] = twin
	}
	for i := count / 2; i < count; i++ {
		vectors[i] = vectors[count/2]
	}
	groups := grouped(count, 2*pairs)
	got, err := build(t, vectors).Near(t.Context(), groups, 0.3, 8)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for i := range pairs {
		if slices.ContainsFunc(got[i], func(n catalog.Neighbour) bool { return int(n.At) == pairs+i }) {
			found++
		}
	}
	t.Logf("found %d of %d pairs", found, pairs)
	if got, want := float64(found)/pairs, 0.97; got < want {
		t.Errorf("got %.3f of the pairs, want at least %.2f", got, want)
	}
	for i, list := range got {
		if len(list) > 8 {
			t.Fatalf("vector %d: got %d neighbours, want at most 8", i, len(list))
		}
	}
}

func TestNearRefuses(t *testing.T) {
	x := build(t, [][]float32{{1, 0}, {0, 1}})
	if _, err := x.Near(t.Context(), []int32{0}, 0, 5); err == nil {
		t.Error("one group for two vectors: got no error")
	}
	if got, err := build(t, nil).Near(t.Context(), nil, 0, 5); err != nil || len(got) != 0 {
		t.Errorf("no vectors: got %v, %v, want nothing", got, err)
	}
}
