package composer

import (
	"fmt"
	"slices"

	"remit/composer/trees"
)

// picked is a tool that is chosen, and the needs it was chosen for, best first.
type picked struct {
	*candidate
	asks  []*ask
	value float64
}

// selection is a draft while tools are chosen.
type selection struct {
	chosen  map[*tool]*picked
	order   []*picked
	refused map[*tool]refusal
	twins   map[*tool]*tool // tools that do the same as a chosen one
	gaps    []Gap

	proposed map[*tool]proposal // by a language model; nil when none chose
	dropped  []string           // what of it was not taken
}

// refusal is a candidate that the job rules out.
type refusal struct {
	pair
	by constraint
}

// Balance is how the probabilities make a draft. What a tool is worth to it is the probability that the job needs it, as far
// as the chosen tools do not give that already, and a share of the probability that it is harmless. Package fit sets the
// numbers.
type Balance struct {
	LeastValue float64 // of a tool that is chosen
	FineShare  float64
	LeastFine  float64 // probability of being harmless that a tool needs in any case
	LeastSafe  float64 // the same for a tool that changes something
	// What is left of the probability that a tool is needed when another one was chosen for the same words.
	LeftElsewhere float64 // on another server: one purpose is not served twice
	LeftAlike     float64 // that does the same to something else
	LeftChange    float64 // when both change something
}

// also is the probability of serving a need from which on a tool is said to be chosen for it too.
const also = 0.3

// pick chooses the tools worth most, one after the other, until none is worth enough. alike says that two tools do the same.
func (s *Study) pick(all []*candidate, m Models, alike func(a, b *tool) bool) *selection {
	b := m.Balance
	out := &selection{chosen: map[*tool]*picked{}, refused: s.refused, twins: map[*tool]*tool{}}
	left := make(map[*candidate]float64, len(all))
	for _, c := range all {
		c.need, c.fine = trees.Probability(m.Need.Logit(c.row)), trees.Probability(m.Fine.Logit(c.row))
		if c.fine >= b.LeastFine && (!c.tool.changes() || c.fine >= b.LeastSafe && c.changeAsked()) {
			left[c] = 1
		}
	}
	for {
		var best *candidate
		most := b.LeastValue
		for _, c := range all {
			if l, ok := left[c]; ok && c.need*l+b.FineShare*c.fine >= most {
				if value := c.need*l + b.FineShare*c.fine; best == nil || value > most {
					best, most = c, value
				}
			}
		}
		if best == nil {
			return out
		}
		delete(left, best)
		out.take(best, most)
		for c := range left {
			switch {
			case alike(best.tool, c.tool):
				out.twins[c.tool] = best.tool
				delete(left, c)
			case !best.serves(0) || len(c.pairs) == 0 || best.pairs[0].ask != c.pairs[0].ask:
			case best.tool.server != c.tool.server:
				left[c] *= b.LeftElsewhere
			case best.tool.changes() && c.tool.changes():
				left[c] *= b.LeftChange
			case best.tool.act == c.tool.act:
				left[c] *= b.LeftAlike
			}
		}
	}
}

// serves says that c is there for its k-th best need, not for what other tools need.
func (c *candidate) serves(k int) bool {
	return k < len(c.pairs) && trees.Probability(c.pairs[k].logit) >= also/3
}

// changeAsked says that a need which the tool may serve asks for a change of its kind, or has no verb that tells.
func (c *candidate) changeAsked() bool {
	return slices.ContainsFunc(c.pairs, func(p pair) bool {
		n := p.ask
		return trees.Probability(p.logit) >= also/6 && (n.inherits && !n.context || kin(n.act, c.tool.act) > 0 || n.also != "" && kin(n.also, c.tool.act) > 0)
	})
}

func (s *selection) take(c *candidate, value float64) {
	p := &picked{candidate: c, value: value}
	for i, pair := range c.pairs {
		if i == 0 && (c.serves(0) || c.tool.changes()) || trees.Probability(pair.logit) >= also {
			p.asks = append(p.asks, pair.ask)
		}
	}
	s.chosen[c.tool] = p
	s.order = append(s.order, p)
}

// gapBelow is the probability below which the best tool for a need does not serve it.
const gapBelow = 0.02

// findGaps lists the needs that name a product which no server offers, or that no tool comes near.
func (s *Study) findGaps(out *selection) {
	for i, n := range s.asks {
		if n.missing != "" {
			out.gaps = append(out.gaps, Gap{Words: n.span, Reason: "no server in the catalog is named " + n.missing})
			continue
		}
		if n.context || n.inherits || len(n.objects) == 0 || len(s.byAsk[i]) > 0 && trees.Probability(s.byAsk[i][0].logit) >= gapBelow {
			continue
		}
		out.gaps = append(out.gaps, Gap{Words: n.span, Reason: gapReason(n, s.byAsk[i])})
	}
}

func gapReason(n *ask, pairs []pair) string {
	where := "in the catalog"
	if len(n.named) > 0 {
		where = "of " + n.named[0].text
	}
	if len(pairs) == 0 {
		return "no tool " + where + " does this"
	}
	return fmt.Sprintf("no tool %s does this; the nearest is %s", where, pairs[0].tool.id)
}

func forbiddenBy(ks []constraint, t *tool, n *ask) (constraint, bool) {
	for _, k := range ks {
		if k.covers(t, n) {
			return k, true
		}
	}
	return constraint{}, false
}

// sameThings is how much two tools act on the same: shared things of their names over all of them.
func sameThings(r, t *tool) float64 {
	if len(r.things) == 0 {
		return 0.5
	}
	both := 0
	for _, w := range r.things {
		if slices.Contains(t.things, w) {
			both++
		}
	}
	return float64(both) / float64(len(r.things)+len(t.things)-both)
}

func lookUpRank(t *tool) int {
	switch t.verbStem {
	case "search", "find":
		return 0
	case "list":
		return 1
	}
	return 2
}
