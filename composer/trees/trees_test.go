package trees

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ring is yes where two values lie on a ring, which no sum of single features tells, with a tenth of the answers wrong.
func ring(seed uint64, n int) []Example {
	random := rand.New(rand.NewPCG(seed, 1))
	out := make([]Example, n)
	for i := range out {
		x, y, noise := random.Float64()*2-1, random.Float64()*2-1, random.Float64()
		r := math.Hypot(x, y)
		yes := r > 0.4 && r < 0.8
		if random.Float64() < 0.1 {
			yes = !yes
		}
		out[i] = Example{Row: []float64{x, y, noise}, Yes: yes, Weight: 1}
	}
	return out
}

func TestTrainLearns(t *testing.T) {
	m := Train([]string{"x", "y", "noise"}, ring(1, 4000), Config{})
	right, sum, yes := 0, 0.0, 0.0
	test := ring(2, 4000)
	for _, e := range test {
		p := Probability(m.Logit(e.Row))
		if (p > 0.5) == e.Yes {
			right++
		}
		sum += p
		yes += answer(e.Yes)
	}
	if got, want := float64(right)/float64(len(test)), 0.84; got < want {
		t.Errorf("got %.3f of the answers right, want at least %.2f (0.90 is all that can be known)", got, want)
	}
	if got, want := sum/yes, 1.0; math.Abs(got-want) > 0.08 {
		t.Errorf("calibration: the probabilities add up to %.2f of the true answers, want about 1", got)
	}
}

func TestTrainIsRepeatable(t *testing.T) {
	a, b := Train([]string{"x", "y", "noise"}, ring(3, 500), Config{Trees: 5}), Train([]string{"x", "y", "noise"}, ring(3, 500), Config{Trees: 5})
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("two trainings differ:\n%s", diff)
	}
	raw, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	var back Model
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	row := []float64{0.3, -0.5, 0.1}
	if got, want := back.Logit(row), a.Logit(row); got != want {
		t.Errorf("after storing: got %v, want %v", got, want)
	}
}

func TestTrainDegenerate(t *testing.T) {
	same := []Example{{Row: []float64{1}, Yes: true, Weight: 1}, {Row: []float64{1}, Weight: 1}}
	if got := Probability(Train([]string{"x"}, same, Config{}).Logit([]float64{1})); math.Abs(got-0.5) > 0.01 {
		t.Errorf("one value with both answers: got %v, want 0.5", got)
	}
}

func TestCheck(t *testing.T) {
	leaf := Node{Value: 1}
	for name, m := range map[string]Model{
		"other features":  {Features: []string{"y"}},
		"an empty tree":   {Features: []string{"x"}, Trees: []Tree{{}}},
		"a child outside": {Features: []string{"x"}, Trees: []Tree{{{Left: 1, Right: 2}, leaf}}},
		"a loop":          {Features: []string{"x"}, Trees: []Tree{{{Left: 1, Right: 2}, {Left: 1, Right: 2}, leaf}}},
		"no such feature": {Features: []string{"x"}, Trees: []Tree{{{Feature: 1, Left: 1, Right: 2}, leaf, leaf}}},
	} {
		if err := m.Check([]string{"x"}); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	if err := Train([]string{"x"}, []Example{{Row: []float64{1}, Weight: 1}}, Config{}).Check([]string{"x"}); err != nil {
		t.Error(err)
	}
}
