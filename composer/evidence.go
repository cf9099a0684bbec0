package composer

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"remit/catalog"
	"remit/composer/trees"
)

// pairNames are the features of a tool for one need, in the order of a pair's row. Cosines are of the embedded encoder;
// "below" is the distance to the best tool of the catalog, or of the server.
var pairNames = []string{
	"cosine", "cosine below best", "cosine below server", "sentence cosine", "sentence below best", "sentence below server",
	"server below best", "words of best", "words of server", "server knows words", "rank", "rank in server", "known words",
	"name fits", "name asked", "verbs agree", "same verb", "verb known", "need names server", "server nearby", "job names server",
	"job names others", "changes", "change wanted", "destroys", "destruction wanted", "needs an id", "lists or searches",
	"inherits verb", "object asked", "sends", "sending wanted", "context", "words in need", "named better than by job's servers",
}

// pair is a tool that may serve a need, and what speaks for it.
type pair struct {
	tool  *tool
	ask   *ask
	row   []float64
	only  float64 // by how much its name says more of the need than any name of the servers that the job names
	logit float64 // of the probability that the tool serves the need
}

// nearness of all tools to the texts of a job.
type nearness struct {
	catalog.Scores
	sentences map[int]int // the text of a sentence; before them stand those of the needs
	whole     int         // the job
	forbidden []int       // what it rules out
}

// measure scores all tools for every need, for the sentence that it stands in, the whole job and what the job rules out.
func (c *Composer) measure(ctx context.Context, r reading, asks []*ask, ks []constraint) (nearness, error) {
	texts := make([]string, 0, 2*len(asks))
	for _, n := range asks {
		texts = append(texts, n.text)
	}
	near := nearness{sentences: map[int]int{}}
	for _, n := range asks {
		if _, ok := near.sentences[n.sentence]; !ok {
			near.sentences[n.sentence] = len(texts)
			texts = append(texts, r.sentenceText(n.sentence))
		}
	}
	near.whole = len(texts)
	texts = append(texts, r.job)
	for _, k := range ks {
		near.forbidden = append(near.forbidden, len(texts))
		texts = append(texts, r.job[k.span.Start:k.span.End])
	}
	var err error
	if near.Scores, err = c.config.Finder.Score(ctx, texts); err != nil {
		return near, fmt.Errorf("searching the catalog: %w", err)
	}
	return near, nil
}

// cosine of the tool at a place of the catalog and a text; 0 without vectors.
func (n nearness) cosine(text, place int) float64 {
	if n.Cosine == nil {
		return 0
	}
	return float64(max(n.Cosine[text][place], 0))
}

// sentenceText is the sentence as written.
func (r reading) sentenceText(sentence int) string {
	first, last := -1, 0
	for i, s := range r.sentence {
		if s == sentence {
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	return r.job[r.words[first].span.Start:r.words[last].span.End]
}

const (
	deepest   = 40 // candidates of a need over the whole catalog
	perServer = 25 // and of each server that the job names
)

// scope is what of the job a need's candidates are judged by.
type scope struct {
	near       nearness
	jobStems   map[string]bool
	jobServers map[string]bool
	brands     bool // the job names a product by its name, not by an everyday word ("the calendar")
}

// tops are the greatest scores of the candidates of one need, over the catalog or a server.
type tops struct{ cosine, sentence, words float64 }

func (t tops) with(o tops) tops {
	return tops{max(t.cosine, o.cosine), max(t.sentence, o.sentence), max(t.words, o.words)}
}

// pairs are the candidates of the i-th need, not yet judged: the nearest of the catalog, and those of the servers that the
// job names. Nothing but a wish to delete takes a tool that deletes.
func (x *index) pairs(n *ask, i int, s scope) []pair {
	of := func(place int) tops {
		return tops{s.near.cosine(i, place), s.near.cosine(s.near.sentences[n.sentence], place), float64(s.near.Words[i][place])}
	}
	var places []int
	best, servers := tops{words: 0.001}, map[string]tops{}
	for place, t := range x.tools {
		if len(n.scope) > 0 && !n.scope[t.server] || (t.act == deletes || t.act == cancels) && n.act != t.act && n.act != deletes && n.act != cancels {
			continue
		}
		places = append(places, place)
		best = best.with(of(place))
		servers[t.server] = servers[t.server].with(of(place))
	}
	quick := make(map[int]float64, len(places))
	for _, place := range places {
		v := of(place)
		quick[place] = v.words/best.words + 2*v.cosine/max(best.cosine, 0.1) + 0.5*v.sentence/max(best.sentence, 0.1)
	}
	slices.SortStableFunc(places, func(a, b int) int { return cmp.Compare(quick[b], quick[a]) })
	named := 0.0 // the most that a name of the job's servers says of the need
	if s.brands {
		for server := range s.jobServers {
			for _, t := range x.servers[server] {
				named = max(named, x.fits(n, t, s.jobStems).named)
			}
		}
	}
	var out []pair
	taken := map[string]int{}
	for rank, place := range places {
		t := x.tools[place]
		taken[t.server]++
		if own := s.jobServers[t.server]; rank < deepest || own && taken[t.server] <= perServer {
			f, only := x.fits(n, t, s.jobStems), 0.0
			if s.brands && !own {
				only = max(0, f.named-named)
			}
			row := append(row(n, t, s, f, of(place), best, servers[t.server], rank, taken[t.server]), only)
			out = append(out, pair{tool: t, ask: n, row: row, only: only})
		}
	}
	return out
}

// row is the features of a pair but the last.
func row(n *ask, t *tool, s scope, f fits, v, best, server tops, rank, inServer int) []float64 {
	return []float64{
		v.cosine, best.cosine - v.cosine, server.cosine - v.cosine, v.sentence, best.sentence - v.sentence, server.sentence - v.sentence,
		best.cosine - server.cosine, v.words / best.words, v.words / max(server.words, 0.001), is(server.words > 0), 1 / float64(1+rank), 1 / float64(inServer), f.words,
		f.fit, f.named, f.kin, is(n.verbStem != "" && n.verbStem == t.verbStem), is(n.verbStem != ""), is(n.scope[t.server]), is(n.near[t.server]), is(s.jobServers[t.server]),
		is(s.brands && !s.jobServers[t.server]), is(t.changes()), is(n.wantsChange()), is(t.effect == catalog.Destructive), is(n.act == deletes || n.act == cancels),
		is(t.act == reads && t.needsID), is(t.act == reads && lookUpRank(t) < 2),
		is(n.inherits), is(t.dealsIn(n)), is(t.act == sends), is(n.act == sends || n.act == comments), is(n.context), min(float64(len(n.objects)), 8),
	}
}

func is(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// judge fills in the logits and orders the pairs, best first.
func judge(pairs []pair, m *trees.Model) {
	for i := range pairs {
		pairs[i].logit = m.Logit(pairs[i].row)
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return cmp.Compare(b.logit, a.logit) })
}
