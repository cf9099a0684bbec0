// Package evals owns how good the parts of Remit are: suites, metrics, runners and reports.
package evals

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"remit/catalog"
)

// Searcher is what a retrieval suite is run against.
type Searcher interface {
	Search(ctx context.Context, query string, k int) (catalog.Results, error)
}

// RetrieveScore holds the means over a suite's queries, each 0 to 1, with binary gain. A query's gold is a list of slots; a
// slot is covered by any one of its tools (mostly there is just one).
type RetrieveScore struct {
	Recall5, Recall10, Recall20 float64 // share of slots covered by the first 5, 10, 20 results
	// NDCG10 is normalised discounted cumulative gain (Järvelin and Kekäläinen, 2002): Σ gain/log2(rank+1) over the first
	// ten results, divided by that of the ideal order. A result gains 1 if it covers a slot that none before it did.
	NDCG10 float64
	MRR    float64 // 1/rank of the first result that covers a slot, 0 when none of the first 20 does
}

// RetrieveReport is the outcome of one suite.
type RetrieveReport struct {
	Set      string
	Tools    int
	Queries  int
	Score    RetrieveScore
	P50, P99 time.Duration // of one search
	Degraded int           // searches that used words only
}

const retrieved = 20 // results asked for

// RunRetrieve searches for every query of the set. The searcher must hold the set's tools.
func RunRetrieve(ctx context.Context, set RetrieveSet, searcher Searcher) (RetrieveReport, error) {
	report := RetrieveReport{Set: set.Name, Tools: len(set.Tools), Queries: len(set.Queries)}
	took := make([]time.Duration, 0, len(set.Queries))
	for _, q := range set.Queries {
		k := retrieved
		if q.ByServer {
			k = max(len(set.Tools), 1) // one server may hold the first hundred tools
		}
		start := time.Now()
		found, err := searcher.Search(ctx, q.Text, k)
		took = append(took, time.Since(start))
		if err != nil {
			return report, fmt.Errorf("%s: query %s: %w", set.Name, q.ID, err)
		}
		if found.Degraded != "" {
			report.Degraded++
		}
		report.Score = report.Score.plus(scoreRanking(ranking(found.Matches, q.ByServer), q.Gold))
	}
	report.Score = report.Score.over(len(set.Queries))
	report.P50, report.P99 = percentile(took, 0.50), percentile(took, 0.99)
	return report, nil
}

// ranking lists the first 20 tools, or the first 20 servers in the order of their best tools.
func ranking(matches []catalog.Match, byServer bool) []catalog.ID {
	var ids []catalog.ID
	for _, m := range matches {
		id := m.Tool.ID
		if byServer {
			id = catalog.NewID(m.Tool.Server(), "")
		}
		if len(ids) < retrieved && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// scoreRanking scores one ranking against the slots of a query.
func scoreRanking(ranking []catalog.ID, slots [][]catalog.ID) RetrieveScore {
	covered := make([]int, len(slots)) // rank that covered the slot, from 1; 0 is none
	gains := make([]bool, len(ranking))
	for i, id := range ranking {
		for s, slot := range slots {
			if covered[s] == 0 && slices.Contains(slot, id) {
				covered[s], gains[i] = i+1, true
			}
		}
	}
	recall := func(k int) float64 {
		n := 0
		for _, rank := range covered {
			if rank > 0 && rank <= k {
				n++
			}
		}
		return float64(n) / float64(len(slots))
	}
	score := RetrieveScore{Recall5: recall(5), Recall10: recall(10), Recall20: recall(20)}
	gained, ideal := 0.0, 0.0
	for i := range 10 {
		discount := 1 / math.Log2(float64(i)+2)
		if i < len(gains) && gains[i] {
			gained += discount
		}
		if i < len(slots) {
			ideal += discount
		}
	}
	score.NDCG10 = gained / ideal
	if first := slices.Index(gains, true); first >= 0 {
		score.MRR = 1 / float64(first+1)
	}
	return score
}

func (s RetrieveScore) plus(o RetrieveScore) RetrieveScore {
	return RetrieveScore{s.Recall5 + o.Recall5, s.Recall10 + o.Recall10, s.Recall20 + o.Recall20, s.NDCG10 + o.NDCG10, s.MRR + o.MRR}
}

func (s RetrieveScore) over(n int) RetrieveScore {
	d := float64(max(n, 1))
	return RetrieveScore{s.Recall5 / d, s.Recall10 / d, s.Recall20 / d, s.NDCG10 / d, s.MRR / d}
}

// percentile is the smallest value that at least the share p of the values do not exceed (nearest rank); it sorts them.
func percentile(values []time.Duration, p float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[max(0, int(math.Ceil(p*float64(len(values))))-1)]
}

// RetrieveReports are the outcomes of several suites.
type RetrieveReports []RetrieveReport

// Macro is the mean over suites, each counting the same however many queries it has.
func (rs RetrieveReports) Macro() RetrieveScore {
	var sum RetrieveScore
	for _, r := range rs {
		sum = sum.plus(r.Score)
	}
	return sum.over(len(rs))
}

// String is a table with one line a suite and the macro average.
func (rs RetrieveReports) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-20s %6s %7s  %6s %6s %6s %7s %6s  %8s %8s\n", "set", "tools", "queries", "R@5", "R@10", "R@20", "nDCG@10", "MRR", "p50 ms", "p99 ms")
	scores := func(s RetrieveScore) string {
		return fmt.Sprintf("%6.3f %6.3f %6.3f %7.3f %6.3f", s.Recall5, s.Recall10, s.Recall20, s.NDCG10, s.MRR)
	}
	for _, r := range rs {
		fmt.Fprintf(&b, "%-20s %6d %7d  %s  %8.2f %8.2f", r.Set, r.Tools, r.Queries, scores(r.Score), milliseconds(r.P50), milliseconds(r.P99))
		if r.Degraded > 0 {
			fmt.Fprintf(&b, "  %d searches by words only", r.Degraded)
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%-20s %6s %7s  %s\n", "macro average", "", "", scores(rs.Macro()))
	return b.String()
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
