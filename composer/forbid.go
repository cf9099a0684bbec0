package composer

import (
	"slices"
	"strings"

	"remit/catalog"
	"remit/persona"
)

// constraint is something that the job rules out.
type constraint struct {
	span     persona.Span
	verbs    []string        // stems of the verbs as written
	actions  []action        // what they do
	anything bool            // every change, whatever the verb ("nothing is changed", "read-only")
	absolute bool            // whatever a need asks for ("send nothing")
	objects  map[string]bool // stems; empty means whatever the object
	servers  map[string]bool // empty means on every server
}

var (
	// prohibitions begin a negative clause wherever they stand in it.
	prohibitions = []string{"must not", "must never", "mustnt", "shall not", "shall never", "should not", "should never", "shouldnt", "may not", "may never",
		"can not", "cannot", "cant", "can never", "do not", "dont", "does not", "doesnt", "never", "not to", "not be", "not be able",
		"will not", "wont", "is not", "are not", "isnt", "arent", "not allowed", "not touch", "has no business", "have no business",
		"no business", "hands off", "off limits", "off-limits", "keep away", "stay away", "stay out", "without changing",
		"without touching", "without sending", "without deleting", "stay as they", "stay exactly", "stays as it", "stays exactly",
		"stay untouched", "leave alone", "nothing", "nobody", "none of", "no one", "not the agent", "not your", "instead of",
		"rather than", "ourselves", "myself", "themselves", "by hand", "neither", "way it is", "as it is", "as they are", "way they are", "alone"}
	// startProhibitions are negative only where a clause begins.
	startProhibitions = []string{"no", "not", "and no", "without", "nor", "or no", "but no", "but not", "and not"}
	readOnly          = []string{"read only", "readonly", "only look", "only looks", "look only", "only looking", "only read", "only reads", "only reading",
		"look ups only", "lookups only", "looking only", "reading only", "reports only", "reporting only", "just want the", "only want to see",
		"nothing is changed", "nothing gets changed", "nothing changed", "no changes", "no writes", "not change anything", "dont change anything",
		"never change anything", "must not change anything", "view only", "just looks", "just reads", "only see", "only views", "only report",
		"only reports", "purely read", "look but dont touch", "just look", "no write access", "read access only"}
	// handovers say that what was named is for somebody else.
	handovers = []string{"is for the", "are for the", "is for", "goes to", "go to the", "is up to", "are up to", "thats for", "that is for",
		"thats the", "that is the", "a human does", "a person does", "someone else", "we do that", "i do that", "are mine", "is mine",
		"is me", "is us", "is on me", "is on us", "is by hand",
		"do that ourselves", "leave that to", "stays with", "stay with", "remain with", "remains with", "belongs to", "is left to", "are left to", "left to people", "decides that", "handles that",
		"does that", "do that", "takes care of"}
	// owners of a task stand in the genitive before one of these ("approving is Gillian's job").
	tasks         = set(`job call decision business task turf`)
	conditionals  = []string{"if", "when", "unless", "that", "which", "who", "where", "because", "since", "whether", "what", "so that", "while"}
	changeVerbs   = stems(`change touch modify alter edit write update fiddle mess meddle`)
	scopeBreakers = []string{"but", "just", "only", "instead", "then", "i", "we", "it", "they", "thats", "that", "the agent", "and it", "and then"}
)

func negativeCue(c clause) bool {
	if c.starts(conditionals...) && !c.starts("that is") {
		return false
	}
	if c.starts(startProhibitions...) {
		return true
	}
	for i := range c.words {
		if p := c.at(i, prohibitions...); p != "" && !c.tellsWhich(i, p) {
			return true
		}
		if w := c.words[i].text; i > 0 && (w == "no" || w == "neither") && actions[c.words[i-1].stem] != "" && !c.tellsWhich(i, w) {
			return true // "run no queries"
		}
	}
	return false
}

// tellsWhich says that the negation at word i tells which thing is meant ("bugs that nobody has picked up") or on what
// condition ("if they don't"), and rules nothing out. "Must", "may" and "should" always rule out.
func (c clause) tellsWhich(i int, phrase string) bool {
	if first, _, _ := strings.Cut(phrase, " "); first == "must" || first == "may" || first == "should" {
		return false
	}
	return slices.ContainsFunc(c.words[:i], func(w word) bool { return relatives[w.text] || conditions[w.text] })
}

var conditions = set(`that if when whenever whether where what why ones unless until because`)

func (c clause) contains(phrases []string) bool {
	for i := range c.words {
		if c.at(i, phrases...) != "" {
			return true
		}
	}
	return false
}

// forbid finds what the job rules out and marks the clauses that say so. A prohibition reaches to the end of its sentence, or
// to a clause that says something new ("never delete, just archive").
func forbid(cs []clause) []constraint {
	var out []constraint
	for i := range cs {
		c := &cs[i]
		switch {
		case c.forbids:
		case c.contains(readOnly):
			c.forbids = !c.asksMore()
			out = append(out, constraint{span: c.span(), anything: true})
		case i > 0 && c.starts("not the agent", "not the bot", "not the assistant", "not it", "not you") && cs[i-1].sentence == c.sentence:
			c.forbids = true // "dispatch texts the drivers, not the agent": what was said just before
			out = append(out, handOver(cs, i-1)...)
		case negativeCue(*c):
			out = append(out, prohibit(cs, i))
		case c.contains(handovers) || c.belongs():
			out = append(out, handOver(cs, i)...)
		}
	}
	return out
}

// belongs says that the clause gives work to somebody by name ("redeploying is the release manager's call").
func (c clause) belongs() bool {
	for i, w := range c.words {
		if tasks[w.text] && i > 1 && (strings.HasSuffix(c.words[i-1].raw, "'s") || strings.HasSuffix(c.words[i-1].raw, "’s") || strings.HasSuffix(c.words[i-1].raw, "s'")) &&
			slices.ContainsFunc(c.words[:i], func(w word) bool { return copulas[w.text] || w.text == "thats" }) {
			return true
		}
	}
	return false
}

// asksMore says that a read-only clause names what is to be read, so that it is a need as well.
func (c clause) asksMore() bool { return c.verb >= 0 && c.act == reads && content(c.words) > 3 }

func prohibit(cs []clause, i int) constraint {
	end := i + 1
	for end < len(cs) && cs[end].sentence == cs[i].sentence && continues(cs[end]) && !strings.Contains(cs[end].words[0].gap, ")") {
		end++
	}
	for i > 0 && !cs[i].starts(startProhibitions...) && !cs[i].starts(prohibitions...) && cs[i-1].sentence == cs[i].sentence &&
		cs[i-1].verb < 0 && !cs[i-1].forbids && !cs[i].starts(scopeBreakers...) {
		i-- // "existing stories, epics and pages are not to be edited"
	}
	k := constraint{span: persona.Span{Start: cs[i].span().Start, End: cs[end-1].span().End}, objects: map[string]bool{}}
	for j := i; j < end; j++ {
		cs[j].forbids = true
		k.add(cs[j])
	}
	return k
}

// continues says that a clause after a negative one is still under the negation.
func continues(c clause) bool {
	if c.starts(scopeBreakers...) && !c.starts("or") {
		return false
	}
	if c.starts("or", "nor", "and", "not", "no") || c.verb < 0 {
		return true
	}
	return content(c.words) <= 2 || actions[c.words[0].stem] != "" && c.has("or", "nor", "anything", "any", "anyone", "anybody")
}

// handOver forbids the verbs of a clause that gives work to somebody else ("resizing is for the platform team").
func handOver(cs []clause, i int) []constraint {
	k := constraint{span: cs[i].span(), objects: map[string]bool{}}
	k.add(cs[i])
	cs[i].forbids = true
	if len(k.verbs) == 0 {
		return nil
	}
	return []constraint{k}
}

var indefinite = set(`anything nothing any anybody nobody anyone something stuff things thing everything`)

// add takes the verbs and objects of a negative clause.
func (k *constraint) add(c clause) {
	for i, w := range c.words {
		before := ""
		if i > 0 {
			before = c.words[i-1].text
		}
		a := actions[w.stem]
		noun := nounVerbs[w.stem] && (determiners[before] && before != "no" && before != "any" || thingHere(c.words, i))
		switch {
		case changeVerbs[w.stem] && !noun:
			k.anything = true
		case w.text == "hands" || w.text == "limits" || w.text == "untouched" || w.text == "exactly" || c.at(i, "stay as", "stays as", "keep away", "stay out", "leave alone") != "":
			k.anything = true
		case a != "" && a != reads && !noun && !(stop[w.text] && w.text != "put"):
			k.verbs = append(k.verbs, w.stem)
			if !slices.Contains(k.actions, a) {
				k.actions = append(k.actions, a)
			}
		case !stop[w.text] && !indefinite[w.text] && (a == "" || noun) && len(w.text) > 2:
			k.objects[w.stem] = true
		}
	}
	if c.has("nothing", "anything", "nobody") {
		k.absolute = true
		if k.anything {
			k.objects = map[string]bool{}
		}
	}
	if c.starts("no new", "and no new") && len(k.verbs) == 0 && len(k.objects) > 0 {
		k.verbs, k.actions = append(k.verbs, stem("create")), append(k.actions, creates)
	}
}

// thingHere says that the word at i, which may be a verb, is a thing: it follows its verb ("send email") or is what the
// sentence is about ("files are not to be deleted").
func thingHere(ws []word, i int) bool {
	if i > 0 && strings.TrimSpace(ws[i].gap) == "" && actions[ws[i-1].stem] != "" && !stop[ws[i-1].text] {
		return true
	}
	return i+1 < len(ws) && (copulas[ws[i+1].text] || helpers[ws[i+1].text] && ws[i+1].text != "or" && ws[i+1].text != "and")
}

// empty says that the constraint rules out nothing that a tool could do.
func (k constraint) empty() bool {
	return !k.anything && len(k.verbs) == 0
}

// covers says that k rules t out for a need (nil for none in particular). A general "changes nothing" gives way to a need
// that asks for a change of the tool's kind in its own words, and the draft warns of it; a forbidden verb gives way to nothing.
func (k constraint) covers(t *tool, n *ask) bool {
	if len(k.servers) > 0 && !k.servers[t.server] {
		return false
	}
	if len(k.objects) > 0 && !t.about(k.objects) {
		return false
	}
	if k.anything && t.changes() {
		return n == nil || n.inherits || !n.wantsChange() || len(k.objects) > 0 || kin(n.act, t.act) < 0.5
	}
	for _, v := range k.verbs {
		if t.verbStem == v || t.changes() && t.act != reads && (t.nameStems[v] || t.gistStems[v]) {
			return true
		}
	}
	if t.changes() && slices.Contains(k.actions, t.act) && (k.absolute || n == nil || n.act != t.act) {
		return true
	}
	return slices.Contains(k.actions, deletes) && t.effect == catalog.Destructive && t.act == deletes
}

func quoteWords(job string, s persona.Span) string {
	text := strings.Join(strings.Fields(job[s.Start:s.End]), " ")
	if len(text) > 80 {
		cut := 77
		for cut > 0 && text[cut]&0xC0 == 0x80 {
			cut--
		}
		text = text[:cut] + "…"
	}
	return "“" + text + "”"
}
