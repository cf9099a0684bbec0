package composer

// fits is how well a tool's words fit those of a need; all 0 to 1.
type fits struct {
	words float64 // share of the need's words that the tool knows, by weight
	fit   float64 // share of the tool's name that the need or the job asks for
	kin   float64 // agreement of the verbs
	named float64 // share of the need's words that the tool's name holds, by weight
}

func (x *index) fits(n *ask, t *tool, jobStems map[string]bool) fits {
	f := fits{kin: kin(n.act, t.act)}
	if n.also != "" {
		f.kin = max(f.kin, kin(n.also, t.act))
	}
	if n.verbStem != "" && n.verbStem == t.verbStem {
		f.kin = 1
	}
	have, all := 0.0, 0.0
	for o, w := range n.objects {
		all += w
		have += w * t.knows(o)
		if t.nameStems[o] {
			f.named += w
		}
	}
	f.fit = t.fit(n.objects, jobStems)
	if all == 0 { // "tick them off": the verb alone has to tell
		f.words = f.kin
		return f
	}
	f.words, f.named = have/all, f.named/all
	return f
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

// knows is how well t knows a word: by its name best.
func (t *tool) knows(stem string) float64 {
	switch {
	case t.nameStems[stem]:
		return 1
	case t.gistStems[stem]:
		return 0.7
	}
	best := 0.0
	if t.params[stem] {
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
