package composer

import (
	"maps"
	"slices"
	"strings"

	"remit/persona"
)

// ask is a need while it is worked on.
type ask struct {
	span     persona.Span
	text     string // of the clause
	sentence int    // that it stands in
	act      action
	also     action // the second of two verbs with one object
	verbStem string
	objects  map[string]float64 // stems of what it is about, with weight
	direct   map[string]bool    // those that stand before any preposition
	named    []mention          // products in the clause itself
	near     map[string]bool    // servers of the nearest products, when the clause names none
	nearby   []mention          // these products
	scope    map[string]bool    // servers of named
	inherits bool               // the verb is that of a clause before
	context  bool               // the clause tells about the world and asks for something at most in passing
	missing  string             // a product that no server offers
}

func (n *ask) wantsChange() bool { return n.act != reads && n.act != renders && n.act != "" }

// reading is the job taken apart.
type reading struct {
	job      string
	words    []word
	sentence []int // of each word
	clauses  []clause
	mentions []mention
}

func (x *index) read(job string) reading {
	r := reading{job: job, words: wordsOf(job, 0), clauses: clausesOf(job)}
	for _, c := range r.clauses {
		for range c.words {
			r.sentence = append(r.sentence, c.sentence)
		}
	}
	r.mentions = x.mentions(r.words)
	return r
}

// asks makes a need of every clause that asks for something, at most limit and one more.
func (x *index) asks(r reading, limit int) []*ask {
	product := make([]bool, len(r.job)+1) // by start of a word
	for _, m := range r.mentions {
		for i := m.first; i <= m.last; i++ {
			product[r.words[i].span.Start] = true
		}
	}
	title := r.title()
	verbs := map[int]*clause{} // the last clause with a verb, by sentence
	var out []*ask
	var last *ask
	for i := range r.clauses {
		c := &r.clauses[i]
		if c.act != "" {
			verbs[c.sentence] = c
		}
		if i > 0 && r.clauses[i-1].context && r.clauses[i-1].sentence == c.sentence && c.verb < 0 && verbs[c.sentence] == nil &&
			!strings.Contains(c.words[0].gap, ":") {
			c.context = true // what follows a statement and asks for nothing itself
		}
		if c.forbids {
			continue
		}
		if n := x.ask(r, *c, verbs[c.sentence], last, product); n != nil {
			n.context = c.context || i < title
			out = append(out, n)
			if !n.context {
				last = n
			}
		}
		if len(out) > limit {
			break
		}
	}
	return out
}

// title is how many clauses at the start say who works there or what the job is called: a first sentence without a verb,
// what stands before a colon, or a single word, when more follows.
func (r reading) title() int {
	n := 0
	for n < len(r.clauses) && r.clauses[n].verb < 0 && !r.clauses[n].context && r.clauses[n].sentence == 0 {
		words := r.clauses[n].words
		n++
		if n == len(r.clauses) {
			return 0 // there is nothing else
		}
		if strings.Contains(words[len(words)-1].after, ":") {
			return n // "Numbers from GitLab: open requests, …"
		}
	}
	if r.clauses[n].sentence > 0 {
		return n
	}
	if n > 0 && content(r.clauses[0].words) < 2 {
		return 1 // "Nightly, …"
	}
	return 0
}

// ask makes a need of one clause. before is the last clause with a verb in the sentence, last the need before. The result is nil when the clause does not say what is wanted.
func (x *index) ask(r reading, c clause, before *clause, last *ask, product []bool) *ask {
	n := &ask{span: c.span(), sentence: c.sentence, act: c.act, objects: map[string]float64{}, direct: map[string]bool{}, scope: map[string]bool{}, near: map[string]bool{}}
	n.text = r.job[n.span.Start:n.span.End]
	if v := c.verb; v >= 0 {
		n.verbStem = c.words[v].stem
		if v+2 < len(c.words) && connectors[c.words[v+1].text] {
			n.also = actions[c.words[v+2].stem] // "add or change …"
		}
	}
	if n.act == "" {
		n.inherits, n.act = true, reads
		if before != nil {
			n.act, n.verbStem = before.act, before.words[before.verb].stem
		}
	}
	x.takeObjects(n, c, product)
	n.takeProducts(c.sentence, r)
	if len(n.objects) == 0 && last != nil && c.verb >= 0 && c.has("it", "them", "those", "these", "both", "that") {
		for o, w := range last.objects { // "read it": what was named just before
			n.objects[o] = 0.8 * w
		}
	}
	if len(n.objects) == 0 && (content(c.words) == 0 || len(n.named) > 0 || !n.wantsChange()) {
		return nil // "From Xero:" says where, not what
	}
	return n
}

var relatives = set(`who whom whose which`)

// takeObjects weighs what the clause is about: its words without stop words, products and the verb. What stands after a
// preposition ("a ticket for the web team") or says which one ("the customer who wrote") counts half.
func (x *index) takeObjects(n *ask, c clause, product []bool) {
	near := 1.0
	if c.verb >= 0 && c.words[c.verb].stem == "log" {
		n.objects["record"] = 0.5 * x.known("record")
	}
	for i, w := range c.words {
		if i > c.verb+1 && len(n.objects) > 0 && (prepositions[w.text] || relatives[w.text] || c.verb >= 0 && breaksClause(w.gap)) {
			near = 0.5
		}
		if i == c.verb {
			if thingVerbs[n.act] && nounVerbs[w.stem] {
				n.objects[w.stem] = 0.7 * x.known(w.stem)
			}
			continue
		}
		if stop[w.text] || product[w.span.Start] || isNumber(w.text) || len(w.text) < 2 {
			continue
		}
		if actions[w.stem] != "" && isVerb(c.words, i) && !nounVerbs[w.stem] {
			continue
		}
		if near == 1 {
			n.direct[w.stem] = true
		}
		if long, ok := shortForms[strings.TrimSuffix(w.text, "s")]; ok {
			for _, l := range long {
				n.objects[stem(l)] = max(n.objects[stem(l)], near*x.known(stem(l)))
			}
			continue
		}
		n.objects[w.stem] = max(n.objects[w.stem], near*x.known(w.stem))
	}
}

// known is the weight of a word, or of its nearest synonym where no tool knows it: then it cannot tell tools apart itself.
func (x *index) known(stem string) float64 {
	if x.df[stem] > 0 {
		return x.weight(stem)
	}
	best := 0.0
	for _, s := range synonyms[stem] {
		if x.df[s] > 0 {
			best = max(best, x.weight(s)/2)
		}
	}
	return best
}

// takeProducts scopes the need to the products that its clause names, or else to the nearest of its sentence, or of the job.
func (n *ask) takeProducts(sentence int, r reading) {
	var before, after *mention
	for i := range r.mentions {
		m := &r.mentions[i]
		start := r.words[m.first].span.Start
		switch {
		case start >= n.span.Start && start < n.span.End:
			n.named = append(n.named, *m)
			maps.Copy(n.scope, m.servers)
			if len(m.servers) == 0 {
				n.missing = m.text
			}
		case r.sentence[m.first] != sentence:
		case start < n.span.Start:
			before = m
		case after == nil:
			after = m
		}
	}
	if len(n.named) > 0 {
		if len(n.scope) > 0 {
			n.missing = ""
		}
		return
	}
	if before == nil {
		before = r.lastBefore(n.span.Start)
	} else {
		after = nil
	}
	for _, m := range []*mention{before, after, r.lastBefore(-1)} {
		if m != nil && len(m.servers) > 0 && !slices.ContainsFunc(n.nearby, func(o mention) bool { return maps.Equal(o.servers, m.servers) }) {
			n.nearby = append(n.nearby, *m)
			maps.Copy(n.near, m.servers)
		}
	}
}

// lastBefore is the product that was named last before a place of the job, or else the first one after it: people name a
// product once and go on about it.
func (r reading) lastBefore(at int) *mention {
	var found *mention
	for i := range r.mentions {
		m := &r.mentions[i]
		if len(m.servers) > 0 && (found == nil || r.words[m.first].span.Start < at) {
			found = m
		}
	}
	return found
}

// scopeConstraints limits each prohibition to the products that it names.
func (r reading) scopeConstraints(ks []constraint) []constraint {
	var out []constraint
	for _, k := range ks {
		k.servers = map[string]bool{}
		for _, m := range r.mentions {
			if s := r.words[m.first].span; s.Start >= k.span.Start && s.End <= k.span.End {
				for server := range m.servers {
					k.servers[server] = true
				}
				for i := m.first; i <= m.last; i++ {
					delete(k.objects, r.words[i].stem)
				}
			}
		}
		if !k.empty() {
			out = append(out, k)
		}
	}
	return out
}

func (n *ask) label() string { return strings.Join(strings.Fields(n.text), " ") }
