package embed

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"remit/catalog/embed/modelfile"
)

// The kernels must agree with the plain sum, whatever the number of rows leaves for the last tile.
func TestKernelsMultiply(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, shape := range []struct{ in, out int }{{1, 16}, {7, 32}, {256, 48}, {1536, 16}} {
		w := modelfile.Matrix{In: shape.in, Out: shape.out, Panels: make([]byte, shape.in*shape.out)}
		for i := range w.Panels {
			w.Panels[i] = byte(random.IntN(255) - 127)
		}
		w.Scales = noise(random, shape.out)
		bias := noise(random, shape.out)
		for rows := 1; rows <= 26; rows++ {
			padded := (rows + tile - 1) / tile * tile
			x := noise(random, padded*shape.in)
			want := plainProduct(x, rows, &w, bias)
			for _, k := range []kernel{portable, fastest()} {
				got := make([]float32, padded*shape.out)
				k.multiply(got, x, rows, &w, bias)
				compare(t, fmt.Sprintf("%s, %d x %d x %d", k.name, rows, shape.in, shape.out), got[:len(want)], want)
			}
		}
	}
}

func TestKernelsAttend(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, head := range []int{lane, 2 * lane, 4 * lane} {
		for _, rows := range []int{1, 2, 7, 128} {
			stride := head + 48
			q, weights := noise(random, head), noise(random, rows)
			data := noise(random, (rows-1)*stride+head)
			scores, mixed := make([]float32, rows), make([]float32, head)
			for j := range rows {
				for i := range head {
					scores[j] += q[i] * data[j*stride+i]
					mixed[i] += weights[j] * data[j*stride+i]
				}
			}
			for _, k := range []kernel{portable, fastest()} {
				name := fmt.Sprintf("%s, %d rows of %d", k.name, rows, head)
				got := make([]float32, rows)
				k.score(got, q, data, stride)
				compare(t, "score: "+name, got, scores)
				got = noise(random, head)
				k.blend(got, weights, data, stride)
				compare(t, "blend: "+name, got, mixed)
			}
		}
	}
}

// Whole vectors: a replica with another processor must not need another index.
func TestKernelsEmbedAlike(t *testing.T) {
	fast := encoder(t)
	if fast.network.kernel.name == portable.name {
		t.Skip("this processor has the plain kernel only")
	}
	plain, err := load(weights, portable)
	if err != nil {
		t.Fatal(err)
	}
	for i, ref := range references(t) {
		if i%4 > 0 {
			continue // the plain kernel takes long under the race detector
		}
		want, err := plain.Embed(t.Context(), []string{ref.Text})
		if err != nil {
			t.Fatal(err)
		}
		compare(t, fmt.Sprintf("%.40q", ref.Text), embedOne(t, ref.Text), want[0])
	}
}

func TestExp(t *testing.T) {
	for x := float32(0); x > -87; x -= 0.0137 {
		got, want := float64(exp(x)), math.Exp(float64(x))
		if !(math.Abs(got-want) <= 5e-7*want) {
			t.Fatalf("exp(%v): got %v, want %v", x, got, want)
		}
	}
	for _, x := range []float32{-88, -1e9, float32(math.Inf(-1)), float32(math.NaN())} {
		if got, want := exp(x), float32(0); got != want {
			t.Errorf("exp(%v): got %v, want %v", x, got, want)
		}
	}
}

func TestGELU(t *testing.T) {
	for x := float32(-9); x < 9; x += 0.00137 {
		got, want := []float32{x}, 0.5*float64(x)*(1+math.Erf(float64(x)/math.Sqrt2))
		gelu(got)
		if !(math.Abs(float64(got[0])-want) <= 2e-6) {
			t.Fatalf("gelu(%v): got %v, want %v", x, got[0], want)
		}
	}
	odd := []float32{float32(math.NaN()), float32(math.Inf(-1)), float32(math.Inf(1))}
	gelu(odd)
	if odd[0] != 0 || odd[1] != 0 || !math.IsInf(float64(odd[2]), 1) {
		t.Errorf("gelu of NaN, -Inf, +Inf: got %v", odd)
	}
}

func plainProduct(x []float32, rows int, w *modelfile.Matrix, bias []float32) []float32 {
	out := make([]float32, 0, rows*w.Out)
	for r := range rows {
		for c := range w.Out {
			sum := 0.0
			for i := range w.In {
				b := w.Panels[(c/modelfile.Panel*w.In+i)*modelfile.Panel+c%modelfile.Panel]
				sum += float64(x[r*w.In+i]) * float64(int8(b))
			}
			out = append(out, float32(sum*float64(w.Scales[c])+float64(bias[c])))
		}
	}
	return out
}

func noise(random *rand.Rand, n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = random.Float32()*2 - 1
	}
	return out
}

// compare allows for sums that were added up in another order.
func compare(t *testing.T, what string, got, want []float32) {
	t.Helper()
	widest := 1.0
	for _, v := range want {
		widest = max(widest, math.Abs(float64(v)))
	}
	for i := range want {
		if miss := math.Abs(float64(got[i]) - float64(want[i])); !(miss <= 1e-5*widest) {
			t.Fatalf("%s: value %d: got %v, want %v", what, i, got[i], want[i])
		}
	}
}
