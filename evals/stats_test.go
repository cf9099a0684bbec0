package evals

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func scored(name string, values ...float64) (out []CaseResult) {
	for _, v := range values {
		out = append(out, CaseResult{Scores: map[string]float64{name: v}})
	}
	return out
}

func metricOf(t *testing.T, metrics []Metric, name string) Metric {
	t.Helper()
	m, ok := find(metrics, name)
	if !ok {
		t.Fatalf("got no metric %s in %+v", name, metrics)
	}
	return m
}

// TestBootstrap compares with the interval that theory gives: of the mean of n zeros and ones it is near p ± 1.96 √(p(1-p)/n).
func TestBootstrap(t *testing.T) {
	values := make([]float64, 400)
	for i := range values {
		if i%4 == 0 {
			values[i] = 1
		}
	}
	got := metricOf(t, summarise(Enforce, scored("exact", values...), 1, true), "exact")
	half := 1.96 * math.Sqrt(0.25*0.75/400)
	want := &Interval{0.25 - half, 0.25 + half}
	if got.Value != 0.25 || got.Cases != 400 {
		t.Errorf("got %+v, want 0.25 of 400", got)
	}
	if diff := cmp.Diff(want, got.Interval, cmpopts.EquateApprox(0, 0.006)); diff != "" {
		t.Errorf("interval (-theory +bootstrap):\n%s", diff)
	}
	again := metricOf(t, summarise(Enforce, scored("exact", values...), 1, true), "exact")
	other := metricOf(t, summarise(Enforce, scored("exact", values...), 2, true), "exact")
	if *again.Interval != *got.Interval || *other.Interval == *got.Interval {
		t.Errorf("got %v, %v, want the same for the same seed only: %v", again.Interval, other.Interval, got.Interval)
	}
}

// TestMeanSkipsWhatACaseDoesNotSay: gap recall is over the cases with a gap, and F1 is that of the means.
func TestMeanSkipsWhatACaseDoesNotSay(t *testing.T) {
	results := []CaseResult{
		{Scores: map[string]float64{"precision": 1, "need_recall": 0, "gap_recall": 1}},
		{Scores: map[string]float64{"precision": 0.5, "need_recall": 1, "gaps_invented": 0}},
	}
	metrics := summarise(Compose, results, 1, true)
	for name, want := range map[string]float64{"precision": 0.75, "need_recall": 0.5, "f1": 0.6, "gap_recall": 1, "gaps_invented": 0} {
		if got := metricOf(t, metrics, name).Value; math.Abs(got-want) > 1e-12 {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	if _, ok := find(metrics, "forbidden"); ok {
		t.Error("got a metric that no case says anything about")
	}
}

// TestPermute compares with the exact test: of n cases that all gain alike, only 2 of 2ⁿ swaps differ as much.
func TestPermute(t *testing.T) {
	a, b := scored("exact", 0, 0, 0, 0, 0, 0, 0, 0), scored("exact", 1, 1, 1, 1, 1, 1, 1, 1)
	stats, differences, ps := permute(Enforce, a, b, 1)
	if len(stats) != 1 || differences[0] != 1 || math.Abs(ps[0]-2.0/256) > 0.004 {
		t.Errorf("got difference %v, p %v, want 1 and near %v", differences, ps, 2.0/256)
	}
	if _, _, ps := permute(Enforce, a, a, 1); ps[0] != 1 {
		t.Errorf("got p %v for equal results, want 1", ps[0])
	}
	if _, _, ps := permute(Enforce, scored("exact", 0, 1, 0, 1), scored("exact", 1, 0, 1, 1), 1); ps[0] < 0.5 {
		t.Errorf("got p %v for one case more, want no significance", ps[0])
	}
}

func TestHolm(t *testing.T) {
	got := holm([]float64{0.04, 0.01, 0.03})
	if diff := cmp.Diff([]float64{0.06, 0.03, 0.06}, got, cmpopts.EquateApprox(0, 1e-12)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRank(t *testing.T) {
	for _, tc := range []struct {
		values []float64
		p      float64
		want   float64
	}{{nil, 0.5, 0}, {[]float64{1}, 0.99, 1}, {[]float64{1, 2, 3, 4}, 0.5, 2}, {[]float64{1, 2, 3, 4}, 0.51, 3}, {[]float64{1, 2, 3, 4}, 1, 4}} {
		if got := rank(tc.values, tc.p); got != tc.want {
			t.Errorf("rank(%v, %v): got %v, want %v", tc.values, tc.p, got, tc.want)
		}
	}
}
