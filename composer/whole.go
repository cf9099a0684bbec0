package composer

import (
	"cmp"
	"math"
	"slices"

	"remit/catalog"
	"remit/composer/trees"
)

// wholeNames are the features of a tool for the job as a whole, in the order of a candidate's row.
var wholeNames = []string{
	"best need", "second need", "third need", "rank", "rank in server", "needs that it suits best", "lead in server", "lead",
	"server's share", "server's best", "server's good tools", "job names server", "job names others", "changes", "reads", "lists", "searches", "needs an id",
	"length of name", "destroys", "leaves", "size of server", "same things as a likely tool", "likely tool needs its id", "takes no id", "needs of the job",
	"cosine to job", "cosine to job below server", "cosine to prohibition", "prohibitions", "read-only job", "changes in read-only job", "has a need", "change wanted", "context", "verbs agree", "words known", "name fits",
	"object asked", "same verb", "verb known", "shapes", "secrets", "secrets asked", "runs code", "named better than by job's servers",
}

// candidate is a tool that a draft may grant.
type candidate struct {
	tool   *tool
	pairs  []pair // of the needs that it may serve, best first
	row    []float64
	need   float64 // probability that the job cannot do without it, or something of its kind
	fine   float64 // probability that a careful person would let it pass
	lookup *tool   // the tool that this one finds the record for
}

// best is the log-odds of the k-th best need, or what is below all of them.
func (c *candidate) best(k int) float64 {
	if k < len(c.pairs) {
		return c.pairs[k].logit
	}
	return unlikely
}

const (
	unlikely = -6.0 // log-odds of a tool that no need has as a candidate
	faint    = -4.5 // log-odds below which a pair makes no candidate
	inPlay   = -1.5 // log-odds of the best pair of a server whose other reads are candidates too
)

// field is all candidates of a job, and what their rows are made of.
type field struct {
	x        *index
	scope    scope
	asks     []*ask
	byAsk    [][]pair // judged, best first
	all      map[*tool]*candidate
	share    map[string]float64 // of a server: the sum over needs of its best probability
	top      map[string]float64 // of a server: its best log-odds
	good     map[string]int     // of a server: tools with log-odds above 0
	likely   []*candidate       // the likeliest tools
	toJob    map[string]float64 // of a server: the greatest cosine to the job
	readOnly bool
}

func newField(x *index, s scope, asks []*ask, byAsk [][]pair, ks []constraint) *field {
	f := &field{x: x, scope: s, asks: asks, byAsk: byAsk, all: map[*tool]*candidate{}, share: map[string]float64{}, top: map[string]float64{}, good: map[string]int{}, toJob: map[string]float64{}}
	for _, k := range ks {
		f.readOnly = f.readOnly || k.anything && len(k.objects) == 0
	}
	for _, pairs := range byAsk {
		bests := map[string]float64{}
		for _, p := range pairs {
			c := f.all[p.tool]
			if c == nil {
				c = &candidate{tool: p.tool}
				f.all[p.tool] = c
			}
			c.pairs = append(c.pairs, p)
			server := p.tool.server
			if b, ok := bests[server]; !ok || p.logit > b {
				bests[server] = p.logit
			}
		}
		for server, logit := range bests {
			f.share[server] += trees.Probability(logit)
			if t, ok := f.top[server]; !ok || logit > t {
				f.top[server] = logit
			}
		}
	}
	for t, c := range f.all {
		slices.SortStableFunc(c.pairs, func(a, b pair) int { return cmp.Compare(b.logit, a.logit) })
		if c.best(0) < faint {
			delete(f.all, t)
		} else if c.best(0) > 0 {
			f.good[t.server]++
		}
	}
	return f
}

const mostLikely = 25

// candidates makes the rows of all tools that a need has as a candidate, and of the reads of the servers in play: they may
// find what another tool needs. Tools that blocked names are left out.
func (f *field) candidates(blocked func(*tool) bool) []*candidate {
	for server, top := range f.top {
		if top < inPlay {
			continue
		}
		for _, t := range f.x.servers[server] {
			if f.all[t] == nil && !t.changes() && !blocked(t) {
				f.all[t] = &candidate{tool: t}
			}
		}
	}
	var out []*candidate
	for place, t := range f.x.tools {
		f.toJob[t.server] = max(f.toJob[t.server], f.scope.near.cosine(f.scope.near.whole, place))
		if c := f.all[t]; c != nil {
			out = append(out, c)
		}
	}
	f.likely = slices.Clone(out)
	slices.SortStableFunc(f.likely, func(a, b *candidate) int { return cmp.Compare(b.best(0), a.best(0)) })
	f.likely = f.likely[:min(len(f.likely), mostLikely)]
	for _, c := range out {
		c.row = f.row(c)
	}
	return out
}

func (f *field) row(c *candidate) []float64 {
	t, n := c.tool, float64(max(1, len(f.asks)))
	rank, inServer, firsts, lead, leadInServer := f.standing(c)
	things, id := f.support(c)
	place, near := t.place, f.scope.near
	forbidden := 0.0
	for _, text := range near.forbidden {
		forbidden = max(forbidden, near.cosine(text, place))
	}
	top, ok := f.top[t.server]
	if !ok {
		top = unlikely
	}
	named := f.scope.jobServers[t.server]
	row := []float64{
		c.best(0), c.best(1), c.best(2), 1 / float64(1+rank), 1 / float64(1+inServer), float64(firsts), leadInServer, lead,
		f.share[t.server] / n, top, float64(min(f.good[t.server], 12)), is(named), is(f.scope.brands && !named), is(t.changes()), is(t.act == reads), is(lookUpRank(t) == 1), is(lookUpRank(t) == 0), is(t.needsID),
		float64(min(4, len(t.things))), is(t.effect == catalog.Destructive), is(t.effect == catalog.External), math.Sqrt(float64(len(f.x.servers[t.server]))), things, id, is(!t.needsID), min(n, 12),
		near.cosine(near.whole, place), f.toJob[t.server] - near.cosine(near.whole, place), forbidden, float64(min(4, len(near.forbidden))), is(f.readOnly), is(f.readOnly && t.changes()), is(len(c.pairs) > 0),
	}
	if len(c.pairs) > 0 {
		n0 := c.pairs[0].ask
		fits := f.x.fits(n0, t, f.scope.jobStems)
		row = append(row, is(n0.wantsChange()), is(n0.context), fits.kin, fits.words, fits.fit, is(t.dealsIn(n0)), is(n0.verbStem != "" && n0.verbStem == t.verbStem), is(n0.verbStem != ""))
	} else {
		row = append(row, 0, 0, 0, 0, 0, 0, 0, 0)
	}
	only := 0.0
	for _, p := range c.pairs {
		only = max(only, p.only)
	}
	return append(row, is(t.holds(shapes)), is(t.holds(secrets)), is(t.holds(secrets) && holdsAny(f.scope.jobStems, secrets)), is(t.runsCode), only)
}

var (
	shapes  = stems(`table field column board group property schema project environment workspace database collection index base space folder type model organisation organization`)
	secrets = stems(`secret password credential token key certificate login vault`)
)

// holds says that one of the words is what t acts on.
func (t *tool) holds(words map[string]bool) bool {
	return slices.ContainsFunc(t.things, func(s string) bool { return words[s] })
}

func holdsAny(have, words map[string]bool) bool {
	for w := range words {
		if have[w] {
			return true
		}
	}
	return false
}

// standing is where c stands among the candidates of its best need: ranks from 0, in how many needs it is the first, and by
// how much it leads the next.
func (f *field) standing(c *candidate) (rank, inServer, firsts int, lead, leadInServer float64) {
	if len(c.pairs) == 0 {
		return 50, 50, 0, 0, 0
	}
	next, nextInServer := unlikely, unlikely
	for i, pairs := range f.byAsk {
		if len(pairs) > 0 && pairs[0].tool == c.tool {
			firsts++
		}
		if f.asks[i] != c.pairs[0].ask {
			continue
		}
		for _, p := range pairs {
			switch {
			case p.tool == c.tool:
			case p.logit > c.best(0):
				rank++
				if p.tool.server == c.tool.server {
					inServer++
				}
				fallthrough
			default:
				next = max(next, p.logit)
				if p.tool.server == c.tool.server {
					nextInServer = max(nextInServer, p.logit)
				}
			}
		}
	}
	return rank, inServer, firsts, c.best(0) - next, c.best(0) - nextInServer
}

// support says how much c, if it reads, finds what a likely tool of its server needs: by the things that both are about, and
// by the ids that the other requires. It notes the tool it supports most.
func (f *field) support(c *candidate) (things, id float64) {
	if c.tool.changes() {
		return 0, 0
	}
	for _, o := range f.likely {
		if o.tool == c.tool || o.tool.server != c.tool.server {
			continue
		}
		p := trees.Probability(o.best(0))
		v := sameThings(c.tool, o.tool) * p
		if !o.tool.needsID && !o.tool.changes() {
			v *= 0.4
		}
		things = max(things, v)
		for _, thing := range c.tool.things {
			if o.tool.idOf[thing] && !c.tool.idOf[thing] && p > id {
				id, c.lookup = p, o.tool
			}
		}
	}
	return things, id
}
