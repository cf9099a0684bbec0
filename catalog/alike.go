package catalog

import (
	"math"
	"slices"
	"strings"
)

// alike holds what is compared of every tool to see whether two do the same thing.
//
// Two tools on different servers are alike to a degree of 0 to 1:
//
//	words × (0.7 + 0.2 × nearness + 0.1 × parameters)
//
// where words is how much of each tool's name the other's name, title and first sentence hold (the lower of the two; rare
// words count more: ln(1 + N/n) for one that n of N names hold; where a name is nothing but a verb, × (0.75 + 0.25 × Dice of
// the words of names, titles and first sentences)), nearness is that of the vectors, and parameters is how
// many words of the parameters' names both have (Dice). It is 0 unless the effects are equal, the verbs mean the same, and
// both work in the same place: on servers that share a word of their names (“linear” and “linear-prod”), or both on what
// the call brings along or anyone reaches, such as the web, and not on the records of a product. So tools that list issues
// in GitHub and in GitLab are not alike, and two that search the web are.
type alike struct {
	tools   []Tool
	of      []traits
	servers map[string]*placeWords
	terms   map[string]int32
	rarity  []float32 // by term, of the words of names
}

// traits of one tool. Terms are sorted.
type traits struct {
	verb               string
	effect             Effect // as the words alone tell; few servers annotate alike
	name, head, params []int32
	bare               bool    // the name is nothing but a verb
	before             []int32 // of a name with a preposition, the words before it
	anywhere           bool    // it works on what the call brings along or on what anyone reaches
}

// placeWords is what of a server's name tells where its tools work.
type placeWords struct {
	id      int32
	words   []string // without those that any server may have
	open    int      // tools that work on what anyone reaches
	product []string // of the words, those by which its tools name it as a place
	tools   int
	held    map[string]int // words of names, by how many of the tools hold them
}

func newAlike(tools []Tool) *alike {
	a := &alike{tools: tools, of: make([]traits, len(tools)), servers: map[string]*placeWords{}, terms: map[string]int32{}}
	for _, t := range tools {
		a.learn(t)
	}
	held := map[int32]int{}
	for i, t := range tools {
		a.of[i] = a.traits(t)
		for _, term := range a.of[i].name {
			held[term]++
		}
	}
	a.rarity = make([]float32, len(a.terms))
	for term, n := range held {
		a.rarity[term] = float32(math.Log(1 + float64(len(tools))/float64(n)))
	}
	return a
}

// learn adds a tool to what is known of its server.
func (a *alike) learn(t Tool) {
	s := a.servers[t.Server()]
	if s == nil {
		s = &placeWords{id: int32(len(a.servers)), held: map[string]int{}}
		for _, w := range plainWords(t.Server()) {
			if !anyServer[w] {
				s.words = append(s.words, w)
			}
		}
		a.servers[t.Server()] = s
	}
	s.tools++
	for _, w := range uniqueWords(t.Name) {
		s.held[w]++
	}
	text := placeText(t)
	if isOpen(t, text) {
		s.open++
	}
	for _, w := range s.words {
		if !slices.Contains(s.product, w) && namedAsPlace(text, w) {
			s.product = append(s.product, w)
		}
	}
}

var (
	anyServer   = wordSet("mcp server servers api tool tools ref dev prod production test staging local remote my the official ai app agent agents search")
	fillers     = wordSet("id ids mcp tool v1 v2 v3 new")
	preposition = wordSet("to from with for in into of on by")
	instrument  = wordSet("using via with through by")
	// openWords name what anyone reaches, and openParams what a call brings along.
	openWords  = wordSet("web webpage webpages website websites internet browser javascript timezone element elements")
	openParams = wordSet("url urls uri selector path paths timezone expression thought")
)

// sameVerb maps verbs to the first of those that mean the same.
var sameVerb = func() map[string]string {
	m := map[string]string{}
	for _, line := range []string{"get read retrieve fetch show view describe inspect", "find search lookup query discover", "create add insert",
		"update edit modify change set patch put", "delete remove destroy erase", "run execute exec eval"} {
		for _, verb := range strings.Fields(line) {
			m[verb] = strings.Fields(line)[0]
		}
	}
	return m
}()

func (a *alike) traits(t Tool) traits {
	s := a.servers[t.Server()]
	words := Words(t.Name)
	x := traits{anywhere: a.anywhere(t, s), effect: Judge(t, nil).Effect}
	_, x.verb = verbEffect(words)
	named := x.verb != ""
	if !named {
		_, x.verb = verbEffect(firstWords(t.Gist, 1))
	}
	x.verb = plainVerb(x.verb)
	var name, objects []string
	for _, w := range words {
		switch common := s.tools >= 4 && s.held[w]*5 > s.tools*3; { // a prefix of most of the server's names says nothing
		case preposition[w] && x.before == nil && len(objects) > 0:
			x.before = a.ids(objects)
		case stopWords[w] || fillers[w] || common || slices.Contains(s.words, w):
		default:
			name = append(name, w)
			if plainVerb(w) != x.verb {
				objects = append(objects, w)
			}
		}
	}
	if len(name) == 0 {
		name = words
	}
	x.bare = len(objects) == 0
	if !x.bare {
		if last := objects[len(objects)-1]; named && x.verb == "get" && singular(last) != last {
			x.verb = "list" // get_users is list_users
		}
		name = objects
	}
	x.name = a.ids(name)
	x.head = a.ids(slices.Concat(name, Words(cut(t.Title, maxHead)), plainWords(cut(t.Gist, maxHead))))
	var params []string
	for _, p := range t.Params[:min(len(t.Params), maxParams)] {
		params = append(params, Words(cut(p.Name, maxTerm))...)
	}
	x.params = a.ids(params)
	return x
}

// ids are the terms of the words, sorted, each once.
func (a *alike) ids(words []string) []int32 {
	ids := make([]int32, 0, len(words))
	for _, w := range words {
		if stopWords[w] || len(w) > maxTerm {
			continue
		}
		w = plainVerb(w)
		id, ok := a.terms[w]
		if !ok {
			id = int32(len(a.terms))
			a.terms[w] = id
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return slices.Clip(slices.Compact(ids))
}

// plainVerb is the verb that stands for all that mean the same, or the word without its ending.
func plainVerb(w string) string {
	for _, form := range []string{w, singular(w)} {
		if first, ok := sameVerb[form]; ok {
			return first
		}
	}
	return Uninflected(w)
}

// isOpen says that a tool works on what the call brings along or on what anyone reaches.
func isOpen(t Tool, text []string) bool {
	return slices.ContainsFunc(text, func(w string) bool { return openWords[w] }) ||
		slices.ContainsFunc(plainWords(t.Name), func(w string) bool { return openWords[w] }) ||
		slices.ContainsFunc(t.Params, func(p Param) bool { return openParams[strings.ToLower(p.Name)] })
}

// anywhere says that a tool, or most tools of its server, are open and that it names no product as the place where it works.
func (a *alike) anywhere(t Tool, s *placeWords) bool {
	text := placeText(t)
	return (isOpen(t, text) || 2*s.open >= s.tools) &&
		!slices.ContainsFunc(s.product, func(w string) bool { return namedAsPlace(text, w) })
}

// samePlace says that both tools work in one place: anywhere, or in the one product that their servers' names share. Of
// “gcp-storage” and “gcp-logging” each has its own.
func (a *alike) samePlace(i, j int32) bool {
	if a.of[i].anywhere && a.of[j].anywhere {
		return true
	}
	s, o := a.servers[a.tools[i].Server()], a.servers[a.tools[j].Server()]
	in := func(words []string) func(string) bool {
		return func(w string) bool { return slices.Contains(words, w) }
	}
	own := func(words []string) func(string) bool {
		return func(w string) bool { return !slices.Contains(words, w) }
	}
	return slices.ContainsFunc(s.words, in(o.words)) && !(slices.ContainsFunc(s.product, own(o.words)) && slices.ContainsFunc(o.product, own(s.words)))
}

// degree is how much two tools are alike, 0 to 1.
func (a *alike) degree(i, j int32, nearness float32) float32 {
	x, y := &a.of[i], &a.of[j]
	switch {
	case x.effect != y.effect,
		x.verb != "" && y.verb != "" && x.verb != y.verb,
		x.before != nil && y.before != nil && !slices.Equal(x.before, y.before), // “add issue to project”, “create project with issues”
		!a.samePlace(i, j):
		return 0
	}
	words := min(a.share(x.name, y.head), a.share(y.name, x.head))
	if x.bare || y.bare {
		words *= 0.75 + 0.25*dice(x.head, y.head)
	}
	return words * (0.7 + 0.2*max(0, nearness) + 0.1*dice(x.params, y.params))
}

// share is how much of the words, weighted by how rare they are in names, the text holds.
func (a *alike) share(words, text []int32) float32 {
	var held, all float32
	for _, w := range words {
		all += a.rarity[w]
		if _, ok := slices.BinarySearch(text, w); ok {
			held += a.rarity[w]
		}
	}
	if all == 0 {
		return 0
	}
	return held / all
}

func dice(a, b []int32) float32 {
	if len(a)+len(b) == 0 {
		return 1
	}
	both := 0
	for _, w := range a {
		if _, ok := slices.BinarySearch(b, w); ok {
			both++
		}
	}
	return 2 * float32(both) / float32(len(a)+len(b))
}

// What is read of a tool; a hostile one buys nothing by length.
const (
	maxHead      = 200 // bytes of a title, and of a first sentence
	maxPlaceText = 400 // bytes of a description in which the place is looked for
	maxParams    = 64
)

// placeText is the words of a title and of the beginning of a description, in lower case. Where a tool works is often said
// apart from what it does.
func placeText(t Tool) []string {
	return plainWords(cut(t.Title, maxHead) + " . " + cut(Plain(t.Description), maxPlaceText))
}

// plainWords splits at anything that is no letter or digit; unlike [Words] it keeps “GitHub” in one piece.
func plainWords(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !isWord(r) })
}

// namedAsPlace says that the words name w otherwise than as what does the work: “in GitHub” or “a GitHub issue”, but not
// “using the Brave API”.
func namedAsPlace(words []string, w string) bool {
	for i, word := range words {
		if word == w && !slices.ContainsFunc(words[max(0, i-2):i], func(before string) bool { return instrument[before] }) {
			return true
		}
	}
	return false
}

func uniqueWords(name string) []string {
	words := Words(name)
	slices.Sort(words)
	return slices.Compact(words)
}
