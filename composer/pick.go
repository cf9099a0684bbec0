package composer

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"remit/catalog"
	"remit/persona"
)

// picked is a tool that is chosen, and the needs it was chosen for.
type picked struct {
	candidate
	asks   []*ask
	margin float64 // to the best candidate that was left out
	lookup *tool   // the tool that this one finds the record for
}

// selection is a draft while tools are chosen.
type selection struct {
	chosen  map[*tool]*picked
	order   []*picked
	refused map[*tool]refusal
	gaps    []Gap
}

type refusal struct {
	by    constraint
	score float64
	ask   *ask
}

// settle leaves one of the servers that a product's name stands for ("jira" on two servers): the one whose tools meet the
// needs best; and it leans to servers that already serve other needs, so that one purpose is not served twice.
func settle(asks []*ask) {
	best := map[string]float64{}
	for _, n := range asks {
		seen := map[string]bool{}
		for _, c := range n.ranked[:min(len(n.ranked), 8)] {
			if !seen[c.tool.server] {
				seen[c.tool.server] = true
				best[c.tool.server] += c.score
			}
		}
	}
	for _, n := range asks {
		keep := map[string]bool{}
		for _, m := range n.named {
			keep[favourite(m.servers, best)] = true
		}
		for _, m := range n.nearby {
			keep[favourite(m.servers, best)] = true
		}
		out := n.ranked[:0]
		for _, c := range n.ranked {
			s := c.tool.server
			if (n.scope[s] || n.near[s]) && !keep[s] {
				continue
			}
			c.score += 0.05 * min(1, best[s]/float64(len(asks)))
			out = append(out, c)
		}
		n.ranked = out
		sortCandidates(n.ranked)
	}
}

func favourite(servers map[string]bool, best map[string]float64) string {
	top := ""
	for s := range servers {
		if top == "" || cmp.Or(cmp.Compare(best[s], best[top]), strings.Compare(top, s)) > 0 {
			top = s
		}
	}
	return top
}

// pick chooses for every need, in the order of the job: the best tool, then more only while they bring words of the need
// that the chosen ones do not have in their names.
func (x *index) pick(job string, asks []*ask, ks []constraint) *selection {
	s := &selection{chosen: map[*tool]*picked{}, refused: map[*tool]refusal{}}
	for _, n := range asks {
		if n.missing != "" {
			s.gaps = append(s.gaps, Gap{Words: n.span, Reason: fmt.Sprintf("no server in the catalog is named %s", n.missing)})
			continue
		}
		free := s.withoutForbidden(n, ks)
		if len(free) == 0 || free[0].score < floor || !x.meets(n, free[0]) {
			if n.inherits && len(n.named) == 0 {
				continue // a detail of the need before it
			}
			s.gaps = append(s.gaps, Gap{Words: n.span, Reason: gapReason(n, free)})
			continue
		}
		s.cover(x, n, free)
	}
	return s
}

// meets asks for more than a good score: the tool must know a word of the need by its name or its first sentence.
func (x *index) meets(n *ask, c candidate) bool {
	return len(n.objects) == 0 || c.words > 0.15 || (n.scope[c.tool.server] || n.near[c.tool.server]) && c.kin >= 0.6 && n.found[c.tool] > 0.5
}

func gapReason(n *ask, free []candidate) string {
	where := "in the catalog"
	if len(n.named) > 0 {
		where = "of " + n.named[0].text
	}
	if len(free) == 0 {
		return "no tool " + where + " does this"
	}
	return fmt.Sprintf("no tool %s does this; the nearest is %s", where, free[0].tool.id)
}

func (s *selection) withoutForbidden(n *ask, ks []constraint) []candidate {
	var free []candidate
	for _, c := range n.ranked {
		if k, ok := forbiddenBy(ks, c.tool, n); ok {
			if old, ok := s.refused[c.tool]; !ok || old.score < c.score {
				s.refused[c.tool] = refusal{k, c.score, n}
			}
			continue
		}
		free = append(free, c)
	}
	return free
}

func forbiddenBy(ks []constraint, t *tool, n *ask) (constraint, bool) {
	for _, k := range ks {
		if k.covers(t, n) {
			return k, true
		}
	}
	return constraint{}, false
}

const (
	maxPerNeed = 4
	// A further tool must bring this share of the words of the need that are not yet covered, and score nearly as well.
	bringsShare = 0.12
	nearScore   = 0.70
)

func (s *selection) cover(x *index, n *ask, free []candidate) {
	left := map[string]float64{}
	total := 0.0
	for o, w := range n.objects {
		left[o] = w
		total += w
	}
	free0 := free[0]
	for k := 0; k < maxPerNeed && len(free) > 0; k++ {
		best, gain := -1, 0.0
		for i, c := range free {
			if c.score < nearScore*n.ranked[0].score || c.score < floor {
				break
			}
			g := brings(n, c.tool, left) / max(total, 1)
			if k == 0 {
				best = 0
				break
			}
			if n.wantsChange() && (c.kin < free0.kin || c.tool.effect.Exceeds(free0.tool.effect)) {
				continue // "draft an email" asks for no tool that sends it
			}
			if g < bringsShare || len(n.scope) == 0 && c.tool.server != free0.tool.server || c.fit < 0.5 {
				continue
			}
			if g*c.score > gain {
				best, gain = i, g*c.score
			}
		}
		if best < 0 {
			return
		}
		c := free[best]
		free = slices.Delete(slices.Clone(free), best, best+1)
		margin := c.score
		if len(free) > 0 {
			margin = max(0, c.score-free[0].score)
		}
		s.take(c, n, margin)
		for o := range left {
			if c.tool.nameStems[o] {
				delete(left, o)
			}
		}
	}
}

// brings is the weight of the words that are left and that t has; of a change only what the verb acts on counts.
func brings(n *ask, t *tool, left map[string]float64) float64 {
	sum := 0.0
	for o, w := range left {
		if slices.Contains(t.things, o) && (!n.wantsChange() || n.direct[o]) {
			sum += w
		}
	}
	return sum
}

func (s *selection) take(c candidate, n *ask, margin float64) {
	if p := s.chosen[c.tool]; p != nil {
		p.asks = append(p.asks, n)
		if c.score > p.score {
			p.candidate, p.margin = c, margin
		}
		return
	}
	p := &picked{candidate: c, asks: []*ask{n}, margin: margin}
	s.chosen[c.tool] = p
	s.order = append(s.order, p)
}

// actsOnRecord are actions on something that has to be found first.
var actsOnRecord = map[action]bool{updates: true, completes: true, moves: true, attaches: true, labels: true, assigns: true,
	deletes: true, cancels: true, pauses: true, approves: true, merges: true, publishes: true, switches: true}

// lookUps adds, for every chosen tool that needs the id of a record, the tool that finds it, unless one is chosen: a
// list or search on the same server about the same thing.
func (s *selection) lookUps(x *index, ks []constraint) {
	for _, p := range slices.Clone(s.order) {
		t := p.tool
		if t.act == reads && lookUpRank(t) < 2 || !(t.needsID || actsOnRecord[t.act]) || t.act == sends || p.lookup != nil {
			continue
		}
		var best candidate
		found := false
		for _, r := range x.servers[t.server] {
			if r.act != reads || r.effect != catalog.Read && r.claimed != catalog.Read || r == t || r.needsID && lookUpRank(r) == 2 {
				continue
			}
			c := candidate{tool: r, score: sameThings(r, t)}
			if c.score < 0.5 {
				continue
			}
			if s.chosen[r] != nil {
				found = true
				break
			}
			if _, no := forbiddenBy(ks, r, nil); no {
				continue
			}
			if best.tool == nil || c.score > best.score || c.score == best.score && lookUpRank(r) < lookUpRank(best.tool) {
				best = c
			}
		}
		if found || best.tool == nil {
			continue
		}
		best.score *= p.score
		q := &picked{candidate: best, asks: p.asks, lookup: t}
		s.chosen[best.tool] = q
		s.order = append(s.order, q)
	}
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

// nearMisses lists what was tempting: tools that a prohibition keeps out, then the runners-up of each need.
func (s *selection) nearMisses(x *index, job string, asks []*ask, ks []constraint) []Miss {
	var out []Miss
	seen := map[*tool]bool{}
	for _, t := range s.outlawed(x, ks) {
		k, _ := forbiddenBy(ks, t, nil)
		if s.refused[t].score == 0 {
			s.refused[t] = refusal{by: k, score: floor}
		}
	}
	for t, r := range s.refused {
		if s.chosen[t] != nil || r.score < floor*0.8 {
			continue
		}
		seen[t] = true
		out = append(out, Miss{Tool: t.id, Effect: t.effect, Words: []persona.Span{r.by.span}, Score: r.score,
			Reason: "the job says " + quoteWords(job, r.by.span)})
	}
	for _, n := range asks {
		kept := 0
		for _, c := range n.ranked {
			if kept == maxMissesPerNeed || c.score < floor {
				break
			}
			if s.chosen[c.tool] != nil || seen[c.tool] {
				continue
			}
			seen[c.tool] = true
			kept++
			out = append(out, Miss{Tool: c.tool.id, Effect: c.tool.effect, Words: []persona.Span{n.span}, Score: c.score, Reason: s.whyNot(n, c)})
		}
	}
	slices.SortFunc(out, func(a, b Miss) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), strings.Compare(string(a.Tool), string(b.Tool)))
	})
	return out[:min(len(out), maxMisses)]
}

// outlawed lists tools that a prohibition names outright, by its verb or by what must not be changed, on the servers whose
// tools are granted.
func (s *selection) outlawed(x *index, ks []constraint) []*tool {
	servers := map[string]bool{}
	for _, p := range s.order {
		servers[p.tool.server] = true
	}
	var out []*tool
	for _, t := range x.tools {
		if !servers[t.server] || !t.changes() || len(out) == maxOutlawed {
			continue
		}
		for _, k := range ks {
			named := slices.Contains(k.verbs, t.verbStem) || k.anything && len(k.objects) > 0
			if named && k.covers(t, nil) {
				out = append(out, t)
				break
			}
		}
	}
	return out
}

const (
	maxOutlawed      = 6
	maxMissesPerNeed = 2
	maxMisses        = 20
)

func (s *selection) whyNot(n *ask, c candidate) string {
	if n.missing != "" {
		return "the job names " + n.missing + ", which this is not"
	}
	for _, p := range s.order {
		if !slices.Contains(p.asks, n) {
			continue
		}
		switch {
		case p.tool.server != c.tool.server && sameThings(c.tool, p.tool) >= 0.5:
			return fmt.Sprintf("same purpose as %s, which fits better", p.tool.id)
		case c.fit < p.fit:
			return fmt.Sprintf("about something more special than was asked for; %s fits better", p.tool.id)
		case c.kin < p.kin:
			return fmt.Sprintf("does something else than “%s”; %s does that", n.act, p.tool.id)
		}
		return fmt.Sprintf("%s covers these words better", p.tool.id)
	}
	return "too far from what was asked for"
}
