package evals

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"remit/catalog"
)

// Searcher is what a retrieval suite is run against.
type Searcher interface {
	Search(ctx context.Context, query string, k int) (catalog.Results, error)
}

// Modes are the ways of searching that are compared: by words and meaning, by words only, by meaning only.
var Modes = []string{"hybrid", "words", "meaning"}

const retrieved = 20 // results asked for

// retrieve runs one case. A query without words finds nothing.
func retrieve(ctx context.Context, c RetrieveCase, tools *ToolFile, searcher Searcher) (CaseResult, error) {
	out := CaseResult{ID: c.ID, Text: c.Query, Tags: c.Tags, Ranking: &RankingResult{}}
	k := retrieved
	for _, s := range c.Gold {
		out.Ranking.Wanted = append(out.Ranking.Wanted, s)
	}
	if c.byServer() {
		k = max(len(tools.Tools), 1) // one server may hold the first hundred tools
		out.Ranking.Wanted = nil
		for _, server := range c.Servers {
			out.Ranking.Wanted = append(out.Ranking.Wanted, []string{server})
		}
	}
	start := time.Now()
	found, err := searcher.Search(ctx, c.Query, k)
	out.LatencyMS = milliseconds(time.Since(start))
	if err != nil && !errors.Is(err, catalog.ErrEmptyQuery) {
		return out, fmt.Errorf("query %s: %w", c.ID, err)
	}
	out.Degraded = found.Degraded
	out.Ranking.Found = ranking(found.Matches, tools, c.byServer())
	out.Scores = scoreRanking(out.Ranking.Found, out.Ranking.Wanted)
	return out, nil
}

// checkGold says whether the tools and servers that a case wants are there.
func (c RetrieveCase) checkGold(tools *ToolFile, servers map[string]bool) error {
	for _, server := range c.Servers {
		if c.byServer() && !servers[server] {
			return fmt.Errorf("query %q wants server %q, which has no tool in the set", c.ID, server)
		}
	}
	for _, slot := range c.Gold {
		for _, name := range slot {
			if _, ok := tools.ID(name); !ok {
				return fmt.Errorf("query %q wants tool %q, which is not in the set", c.ID, name)
			}
		}
	}
	return nil
}

// ranking lists the first 20 tools, or the first 20 servers in the order of their best tools.
func ranking(matches []catalog.Match, tools *ToolFile, byServer bool) []string {
	found := []string{}
	for _, m := range matches {
		name := tools.Name(m.Tool.ID)
		if byServer {
			name = m.Tool.Server()
		}
		if len(found) < retrieved && !slices.Contains(found, name) {
			found = append(found, name)
		}
	}
	return found
}

// scoreRanking scores one ranking against the slots of a query.
func scoreRanking(ranking []string, slots [][]string) map[string]float64 {
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
	mrr := 0.0
	if first := slices.Index(gains, true); first >= 0 {
		mrr = 1 / float64(first+1)
	}
	return map[string]float64{"recall_at_5": recall(5), "recall_at_10": recall(10), "recall_at_20": recall(20), "ndcg_at_10": gained / ideal, "mrr": mrr}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
