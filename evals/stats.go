package evals

import (
	"math"
	"math/rand/v2"
	"slices"
)

const (
	resamples    = 2_000
	permutations = 10_000
)

// statistic is a number of some of the results, by their positions; n is over how many it is taken.
type statistic struct {
	Definition
	of func(picked []int) (value float64, n int)
}

// statistics are those that a kind takes over cases, without times.
func statistics(kind Kind, results []CaseResult) []statistic {
	var out []statistic
	for _, d := range Definitions {
		if d.Kind != kind {
			continue
		}
		of := mean(results, d.Name)
		if d.Name == "f1" {
			precision, recall := mean(results, "precision"), mean(results, "need_recall")
			of = func(picked []int) (float64, int) {
				p, n := precision(picked)
				r, _ := recall(picked)
				if p+r == 0 {
					return 0, n
				}
				return 2 * p * r / (p + r), n
			}
		}
		out = append(out, statistic{d, of})
	}
	return out
}

// mean is over the picked results that have the score. It adds in order and then divides, as score.py does.
func mean(results []CaseResult, name string) func([]int) (float64, int) {
	values := make([]float64, len(results))
	for i, r := range results {
		v, ok := r.Scores[name]
		if !ok {
			v = math.NaN()
		}
		values[i] = v
	}
	return func(picked []int) (float64, int) {
		sum, n := 0.0, 0
		for _, i := range picked {
			if v := values[i]; !math.IsNaN(v) {
				sum += v
				n++
			}
		}
		return sum / float64(max(n, 1)), n
	}
}

func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// summarise takes the metrics of a kind over results. A metric that no case says anything about is left out.
func summarise(kind Kind, results []CaseResult, seed uint64, intervals bool) []Metric {
	var out []Metric
	stats := statistics(kind, results)
	all := upTo(len(results))
	for _, s := range stats {
		if v, n := s.of(all); n > 0 {
			out = append(out, Metric{Name: s.Name, Value: v, Cases: n})
		}
	}
	if intervals {
		for i, interval := range bootstrap(stats, len(results), seed) {
			if at := slices.IndexFunc(out, func(m Metric) bool { return m.Name == stats[i].Name }); at >= 0 {
				out[at].Interval = &interval
			}
		}
	}
	return append(out, costs(results)...)
}

// costs are the times and the degraded cases.
func costs(results []CaseResult) []Metric {
	times := make([]float64, len(results))
	degraded := 0
	for i, r := range results {
		times[i] = r.LatencyMS
		if r.Degraded != "" {
			degraded++
		}
	}
	slices.Sort(times)
	out := []Metric{{Name: "latency_p50_ms", Value: rank(times, 0.50), Cases: len(results)},
		{Name: "latency_p99_ms", Value: rank(times, 0.99), Cases: len(results)}}
	var waits []float64
	for _, r := range results {
		if r.Model != nil {
			waits = append(waits, r.Model.WaitedMS)
		}
	}
	if slices.Sort(waits); len(waits) > 0 {
		out = append(out, Metric{Name: "model_p50_ms", Value: rank(waits, 0.50), Cases: len(waits)}, Metric{Name: "model_p99_ms", Value: rank(waits, 0.99), Cases: len(waits)})
	}
	return append(out, Metric{Name: "degraded", Value: float64(degraded), Cases: len(results)})
}

// rank is the smallest of sorted values that at least the share p of them do not exceed (nearest rank).
func rank(sorted []float64, p float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, int(math.Ceil(p*float64(len(sorted))))-1)]
}

// bootstrap returns for each statistic the 95 % interval by the percentile method (Efron and Tibshirani, An Introduction to
// the Bootstrap, 1993, chapter 13): the cases are drawn with replacement 2,000 times, and the interval runs from the 2.5th
// to the 97.5th percentile of what the statistic then is. The same seed draws the same cases.
func bootstrap(stats []statistic, n int, seed uint64) []Interval {
	random := rand.New(rand.NewPCG(seed, 1))
	values := make([][]float64, len(stats))
	picked := make([]int, n)
	for range resamples {
		for i := range picked {
			picked[i] = random.IntN(n)
		}
		for i, s := range stats {
			if v, m := s.of(picked); m > 0 {
				values[i] = append(values[i], v)
			}
		}
	}
	out := make([]Interval, len(stats))
	for i, v := range values {
		slices.Sort(v)
		out[i] = Interval{rank(v, 0.025), rank(v, 0.975)}
	}
	return out
}

// permute returns for each statistic the difference of b to a, and the two-sided p of it by a paired permutation test
// (Fisher's randomisation test; for retrieval: Smucker, Allan and Carterette, A Comparison of Statistical Significance
// Tests for Information Retrieval Evaluation, CIKM 2007): if a and b were alike, each case could as well have had their
// results swapped, so p is the share of 10,000 random swaps that differ as much, counting the one that was seen. Results that
// repeat one case are swapped together, for they are not independent.
func permute(kind Kind, a, b []CaseResult, seed uint64) (stats []statistic, differences, ps []float64) {
	n := len(a)
	stats = statistics(kind, slices.Concat(a, b))
	left, right := upTo(n), upTo(2 * n)[n:]
	difference := func(s statistic) float64 {
		x, _ := s.of(left)
		y, _ := s.of(right)
		return y - x
	}
	ps = make([]float64, len(stats))
	for _, s := range stats {
		differences = append(differences, difference(s))
	}
	random := rand.New(rand.NewPCG(seed, 2))
	of, groups := grouped(b)
	swap := make([]bool, groups)
	for range permutations {
		for g := range swap {
			swap[g] = random.Uint64()&1 == 1
		}
		for i := range n {
			left[i], right[i] = i, n+i
			if swap[of[i]] {
				left[i], right[i] = n+i, i
			}
		}
		for i, s := range stats {
			if math.Abs(difference(s)) >= math.Abs(differences[i])-1e-12 {
				ps[i]++
			}
		}
	}
	for i := range ps {
		ps[i] = (ps[i] + 1) / (permutations + 1)
	}
	return stats, differences, ps
}

// grouped numbers the cases that the results are of.
func grouped(results []CaseResult) (of []int, groups int) {
	numbers := map[string]int{}
	for _, r := range results {
		id := r.Of
		if id == "" {
			id = r.ID
		}
		if _, ok := numbers[id]; !ok {
			numbers[id] = len(numbers)
		}
		of = append(of, numbers[id])
	}
	return of, len(numbers)
}

// holm corrects several p for being several (Holm, A Simple Sequentially Rejective Multiple Test Procedure, 1979).
func holm(ps []float64) []float64 {
	order := upTo(len(ps))
	slices.SortFunc(order, func(i, j int) int {
		if ps[i] < ps[j] {
			return -1
		}
		if ps[i] > ps[j] {
			return 1
		}
		return i - j
	})
	out := make([]float64, len(ps))
	highest := 0.0
	for at, i := range order {
		highest = max(highest, min(1, ps[i]*float64(len(ps)-at)))
		out[i] = highest
	}
	return out
}
