package composer

import (
	"cmp"
	"slices"
	"strings"

	"remit/catalog"
)

// candidate is a tool for a need.
type candidate struct {
	tool  *tool
	score float64
	words float64 // share of the need's words that the tool knows, by weight
	fit   float64 // share of the tool's name that the need or the job asks for
	kin   float64 // agreement of the verbs
	named float64 // share of the need's words that the tool's name holds, by weight
}

// Weights of the parts of a score; they add up to 1. Priors are added for the server.
const (
	wordsWeight = 0.28
	fitWeight   = 0.24
	kinWeight   = 0.23
	foundWeight = 0.25

	priorNamed = 0.20 // the clause names the server
	priorNear  = 0.18 // its sentence does
	priorJob   = 0.08 // the job does
	floor      = 0.36 // below it a tool does not meet a need
	// strange is the floor for a tool of a server that the job does not name, and clearly how much better than the tools of
	// the servers that it names such a tool has to be.
	strange = 0.55
	clearly = 0.25
)

// rank orders the tools that could meet n, best first. A read never takes a tool that changes something, and nothing but a
// wish to delete takes one that deletes.
func (x *index) rank(n *ask, jobStems, jobServers map[string]bool) {
	var own, others []candidate // of the products that the job names, and the rest
	best, deals := 0.0, false   // the best score of a named product's tool, and whether one is named after what the need is about
	for _, t := range x.tools {
		if len(n.scope) > 0 && !n.scope[t.server] || n.found[t] == 0 && !t.touches(n.objects) || !allowed(n, t) {
			continue
		}
		c := x.score(n, t, jobStems)
		raw := c.score
		switch {
		case n.scope[t.server]:
			c.score += priorNamed
		case n.near[t.server]:
			c.score += priorNear
		case jobServers[t.server]:
			c.score += priorJob
		case len(jobServers) > 0:
			others = append(others, c)
			continue
		}
		if jobServers[t.server] {
			best = max(best, raw)
			deals = deals || c.kin >= 0.5 && t.dealsIn(n)
		}
		if c.score >= floor/2 {
			own = append(own, c)
		}
	}
	// The job names its products: another one must fit clearly better than they do, or be the only one to deal in the thing.
	for _, c := range others {
		better := !n.inherits && c.score > max(best+clearly, strange) && (c.named >= 0.2 || n.found[c.tool] >= 0.8)
		only := !deals && c.tool.dealsIn(n) && c.score > strange
		if only {
			c.score += priorNear
		}
		if c.kin >= 0.5 && (better || only) {
			own = append(own, c)
		}
	}
	n.ranked = own
	sortCandidates(n.ranked)
}

func sortCandidates(cs []candidate) {
	slices.SortFunc(cs, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.score, a.score), len(a.tool.things)-len(b.tool.things), strings.Compare(string(a.tool.id), string(b.tool.id)))
	})
}

func (t *tool) touches(objects map[string]float64) bool {
	for o := range objects {
		if t.nameStems[o] || t.firstStems[o] {
			return true
		}
	}
	return false
}

// dealsIn says that the name of t holds what the verb of n acts on.
func (t *tool) dealsIn(n *ask) bool {
	for o := range n.direct {
		if t.nameStems[o] {
			return true
		}
	}
	return false
}

func allowed(n *ask, t *tool) bool {
	switch {
	case !n.wantsChange():
		return !t.changes() || n.act == renders && t.act != deletes && t.effect != catalog.Destructive && kin(n.act, t.act) > 0
	case t.act == deletes || t.act == cancels:
		return n.act == deletes || n.act == cancels || n.act == t.act
	}
	return (t.act != reads || n.act == runs) && (kin(n.act, t.act) > 0 || n.alsoKin(t) > 0)
}

func (x *index) score(n *ask, t *tool, jobStems map[string]bool) candidate {
	c := candidate{tool: t, kin: max(kin(n.act, t.act), n.alsoKin(t))}
	if n.verbStem != "" && n.verbStem == t.verbStem {
		c.kin = 1
	}
	have, all := 0.0, 0.0
	for o, w := range n.objects {
		all += w
		have += w * t.knows(o)
		if t.nameStems[o] {
			c.named += w
		}
	}
	if all > 0 {
		c.words, c.named = have/all, c.named/all
	}
	c.fit = t.fit(n.objects, jobStems)
	if all == 0 { // "tick them off": the verb alone has to tell
		c.words = c.kin
	}
	c.score = wordsWeight*c.words + fitWeight*c.fit + kinWeight*c.kin + foundWeight*n.found[t]
	if !n.wantsChange() && t.effect != catalog.Read {
		c.score -= 0.06
	}
	if n.verbStem != "" && n.verbStem == t.verbStem {
		c.score += 0.04
	}
	if n.act == reads && t.act == reads {
		switch t.verbStem {
		case "list", "search", "find", "query":
			c.score += 0.04 // the agent knows the words of the job, not the ids of records
		default:
			if t.needsID {
				c.score -= 0.08
			}
		}
	}
	return c
}

func (n *ask) alsoKin(t *tool) float64 {
	if n.also == "" {
		return 0
	}
	return kin(n.also, t.act)
}

// knows is how well t knows a word: by its name best.
func (t *tool) knows(stem string) float64 {
	switch {
	case t.nameStems[stem]:
		return 1
	case t.firstStems[stem]:
		return 0.7
	}
	best := 0.0
	if t.descStems[stem] {
		best = 0.4
	} else if t.params[stem] {
		best = 0.35
	}
	for _, s := range synonyms[stem] {
		if t.nameStems[s] {
			return max(best, 0.6)
		}
	}
	return best
}

// fit is the share of what the name of t says that was asked for: a more special tool than was asked for fits less.
func (t *tool) fit(objects map[string]float64, jobStems map[string]bool) float64 {
	if len(t.things) == 0 {
		return 0.5
	}
	top := 0.0
	for _, w := range objects {
		top = max(top, w)
	}
	sum := 0.0
	for _, s := range t.things {
		w, direct := objects[s]
		switch {
		case direct:
			sum += 0.6 + 0.4*w/max(top, 1)
		case synonym(s, objects) > 0:
			sum += 0.3 + 0.4*synonym(s, objects)/max(top, 1)
		case jobStems[s]:
			sum += 0.4
		}
	}
	return sum / float64(len(t.things))
}

// synonym is the weight of the heaviest object that is another word for s.
func synonym(s string, objects map[string]float64) float64 {
	best := 0.0
	for _, o := range synonyms[s] {
		best = max(best, objects[o])
	}
	return best
}
