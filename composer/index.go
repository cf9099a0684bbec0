package composer

import (
	"encoding/json"
	"math"
	"slices"
	"strings"

	"remit/catalog"
)

// tool is what the composer knows of a tool. It is made of single words only, each counted once, so that a description
// that repeats itself or gives orders gains nothing over one that does not.
type tool struct {
	id        catalog.ID
	server    string
	effect    catalog.Effect
	claimed   catalog.Effect
	tokens    int
	act       action
	verbStem  string          // the verb of the name
	things    []string        // stems of the name without verb, server and boilerplate: what it acts on
	nameStems map[string]bool // of the name and title
	gistStems map[string]bool // of the sentence of the description that is about the tool
	params    map[string]bool // stems of the parameters' names
	needsID   bool            // a required parameter takes an identifier
	idOf      map[string]bool // stems of what required parameters identify ("channel_id")
	runsCode  bool            // a parameter takes code or a statement
	place     int             // in the catalog's order

	title, gist string   // as [catalog.Tool] has them
	takes       []string // names of the parameters, the required ones first, marked by "*"

	definition json.RawMessage
}

func (t *tool) changes() bool {
	return t.effect != catalog.Read && !(t.act == reads && t.claimed != catalog.Destructive)
}

// about says that the name of t holds one of the objects.
func (t *tool) about(objects map[string]bool) bool {
	for o := range objects {
		if t.nameStems[o] {
			return true
		}
	}
	return false
}

// index is the catalog as the composer reads it; it is made once per state of the catalog.
type index struct {
	digest  string
	tools   []*tool
	byID    map[catalog.ID]*tool
	servers map[string][]*tool
	keys    []productKey
	df      map[string]int
}

func newIndex(digest string, tools []catalog.Tool) *index {
	x := &index{digest: digest, byID: map[catalog.ID]*tool{}, servers: map[string][]*tool{}, df: map[string]int{}}
	words := map[string][][]string{}
	for _, ct := range tools {
		words[ct.Server()] = append(words[ct.Server()], catalog.Words(ct.Name))
	}
	plain := map[string]map[string]bool{}
	for server, names := range words {
		plain[server] = boilerplate(server, names)
	}
	for _, ct := range tools {
		t := newTool(ct, plain[ct.Server()])
		t.place = len(x.tools)
		x.tools = append(x.tools, t)
		x.byID[t.id] = t
		x.servers[t.server] = append(x.servers[t.server], t)
		seen := map[string]bool{}
		for _, m := range []map[string]bool{t.nameStems, t.gistStems} {
			for s := range m {
				if !seen[s] {
					seen[s] = true
					x.df[s]++
				}
			}
		}
	}
	for server, list := range x.servers {
		x.keys = append(x.keys, productKeys(server, list)...)
	}
	slices.SortFunc(x.keys, productKey.compare)
	return x
}

// boilerplate is the words that tell nothing within a server: its own name, versions, and what most of its names share.
func boilerplate(server string, names [][]string) map[string]bool {
	out := map[string]bool{}
	for _, w := range catalog.Words(server) {
		out[stem(w)] = true
	}
	counts := map[string]int{}
	for _, name := range names {
		slices.Sort(name)
		for _, w := range slices.Compact(name) {
			counts[stem(w)]++
		}
	}
	for s, n := range counts {
		if len(names) >= 4 && n*10 > len(names)*6 {
			out[s] = true
		}
	}
	return out
}

var generic = stems(`api v tool mcp server rest http by for of to in with and the a an on or from as is it data object item info detail`)

// httpVerbs are verbs in the names of servers that are made from a REST API ("API-post-page").
var httpVerbs = map[string]action{"post": creates, "patch": updates, "put": updates}

func newTool(ct catalog.Tool, plain map[string]bool) *tool {
	t := &tool{id: ct.ID, server: ct.Server(), effect: ct.Effect.Effect, claimed: ct.Effect.Claimed, tokens: ct.Tokens, definition: ct.Definition, title: ct.Title, gist: ct.Gist,
		nameStems: map[string]bool{}, gistStems: map[string]bool{}, params: map[string]bool{}, idOf: map[string]bool{}}
	names := catalog.Words(ct.Name)
	gist := ct.Gist
	t.readVerb(names, gist)
	for _, w := range names {
		s := stem(w)
		t.nameStems[s] = true
		if s != t.verbStem && !plain[s] && !generic[s] && !isNumber(w) && !slices.Contains(t.things, s) {
			t.things = append(t.things, s)
		}
	}
	for _, w := range catalog.Words(ct.Title[:min(len(ct.Title), catalog.MaxTitle)]) {
		t.nameStems[stem(w)] = true
	}
	addStems(t.gistStems, gist)
	for _, required := range []bool{true, false} {
		for _, p := range ct.Params {
			if p.Required == required {
				t.takes = append(t.takes, p.Name+map[bool]string{true: "*"}[required])
			}
		}
	}
	for _, p := range ct.Params {
		words := catalog.Words(p.Name)
		t.runsCode = t.runsCode || len(words) == 1 && codes[words[0]]
		for i, w := range words {
			t.params[stem(w)] = true
			if p.Required && identifiers[w] {
				t.needsID = true
				if i > 0 {
					t.idOf[stem(words[i-1])] = true
				}
			}
		}
	}
	return t
}

var (
	identifiers = set(`id ids key number uid sid slug gid uuid`)
	codes       = set(`sql statement code script command cmd shell expression javascript function`)
)

func addStems(to map[string]bool, text string) {
	for _, w := range catalog.Words(text) {
		if !stop[w] {
			to[stem(w)] = true
		}
	}
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// readVerb takes the first word of the name that can only be a verb, then one that may be; then what the catalog judged.
func (t *tool) readVerb(names []string, gist string) {
	for _, sure := range []bool{true, false} {
		for i, w := range names {
			s := stem(w)
			a := actions[s]
			if a == "" || sure && nounVerbs[s] && i > 0 || sure && nounVerbs[s] && !leads(names, i) {
				continue
			}
			if h, ok := httpVerbs[w]; ok && len(names) > 1 && (names[0] == "api" || i+1 == len(names)) {
				a = h
				if w == "post" && len(names) == 2 && i == 1 {
					a = manages // "jira_post" makes whatever the path says
				}
				if slices.Contains(names, "search") || slices.Contains(names, "query") {
					a = reads
				}
			}
			t.act, t.verbStem = a, s
			t.refine(names)
			return
		}
	}
	if t.effect == catalog.Read || t.claimed == catalog.Read {
		t.act = reads
		return
	}
	for _, w := range catalog.Words(gist[:min(len(gist), 60)]) {
		if a := actions[stem(w)]; a != "" {
			t.act = a
			return
		}
	}
}

// leads says that a word which may be a noun leads the name as a verb: no surer verb stands in it.
func leads(names []string, i int) bool {
	for k, w := range names {
		if k != i && actions[stem(w)] != "" && !nounVerbs[stem(w)] {
			return false
		}
	}
	return i == 0
}

// refine tells creating a message or a comment from creating anything else.
func (t *tool) refine(names []string) {
	if t.act != creates {
		return
	}
	for _, w := range names {
		switch stem(w) {
		case "comment", "note", "repli":
			t.act = comments
		case "messag", "email", "sms", "call":
			t.act = sends
		}
	}
}

// weight is how much a word tells: rare words more than usual ones (the inverse document frequency of BM25, at most 7).
func (x *index) weight(stem string) float64 {
	n, df := float64(len(x.tools)), float64(x.df[stem])
	return math.Min(7, math.Log(1+(n-df+0.5)/(df+0.5)))
}
