package evals

import (
	"math"
	"testing"
)

func TestScoreRanking(t *testing.T) {
	log2 := math.Log2
	names := []string{"recall_at_5", "recall_at_10", "recall_at_20", "ndcg_at_10", "mrr"}
	x := "x"
	for _, tc := range []struct {
		name  string
		found []string
		slots [][]string
		want  []float64
	}{
		{"first", []string{"a", "b"}, [][]string{{"a"}}, []float64{1, 1, 1, 1, 1}},
		{"second", []string{"b", "a"}, [][]string{{"a"}}, []float64{1, 1, 1, 1 / log2(3), 0.5}},
		{"seventh", []string{x, x, x, x, x, x, "a"}, [][]string{{"a"}}, []float64{0, 1, 1, 1 / log2(8), 1.0 / 7}},
		{"twelfth", []string{x, x, x, x, x, x, x, x, x, x, x, "a"}, [][]string{{"a"}}, []float64{0, 0, 1, 0, 1.0 / 12}},
		{"nothing", nil, [][]string{{"a"}}, []float64{0, 0, 0, 0, 0}},
		{"half", []string{"c", "b"}, [][]string{{"a"}, {"b"}}, []float64{0.5, 0.5, 0.5, (1 / log2(3)) / (1 + 1/log2(3)), 0.5}},
		// Either of a and b covers the first slot; the second of them gains nothing.
		{"slot", []string{"b", "a", "c"}, [][]string{{"a", "b"}, {"c"}}, []float64{1, 1, 1, (1 + 0.5) / (1 + 1/log2(3)), 1}},
	} {
		got := scoreRanking(tc.found, tc.slots)
		for i, name := range names {
			if math.Abs(got[name]-tc.want[i]) > 1e-9 {
				t.Errorf("%s: %s: got %f, want %f", tc.name, name, got[name], tc.want[i])
			}
		}
	}
}
