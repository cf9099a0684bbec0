package composer

import (
	"slices"
	"strings"

	"remit/persona"
)

// clause is a stretch of the job between two breaks of a sentence.
type clause struct {
	words    []word
	sentence int
	verb     int // index of the word that says what to do; -1 for none
	act      action
	context  bool // tells about the world ("we sell on …", "if …"), asks for nothing
	forbids  bool // part of a prohibition
	object   bool // a further object of the verb before ("… and their invoices")
}

func (c clause) span() persona.Span {
	return persona.Span{Start: c.words[0].span.Start, End: c.words[len(c.words)-1].span.End}
}

func (c clause) has(texts ...string) bool {
	for _, w := range c.words {
		for _, t := range texts {
			if w.text == t {
				return true
			}
		}
	}
	return false
}

// starts says that the clause begins with one of the phrases (words separated by single spaces).
func (c clause) starts(phrases ...string) bool {
	return c.at(0, phrases...) != ""
}

// at returns the phrase that stands at word i.
func (c clause) at(i int, phrases ...string) string {
next:
	for _, p := range phrases {
		parts := strings.Split(p, " ")
		if i+len(parts) > len(c.words) {
			continue
		}
		for k, part := range parts {
			if c.words[i+k].text != part {
				continue next
			}
		}
		return p
	}
	return ""
}

var abbreviations = set(`e.g i.e etc vs approx incl no nr dept inc ltd`)

// endsSentence says that gap, which follows the word before, ends a sentence.
func endsSentence(before word, gap string) bool {
	if strings.ContainsAny(gap, "\n;!?") {
		return true
	}
	i := strings.IndexByte(gap, '.')
	if i < 0 || i+1 == len(gap) { // "v1.2" has nothing after the dot
		return false
	}
	return !(abbreviations[before.text] || len(before.text) == 1)
}

func breaksClause(gap string) bool {
	return strings.ContainsAny(gap, ",:()–—") || strings.Contains(gap, " - ") || strings.Contains(gap, "->")
}

var (
	connectors  = set(`and then or but plus so nor & also`)
	determiners = set(`a an the this that these those our my your his her its their any every each all some no of in on at for
		from with by into onto per via about as open new old latest current last next recent daily weekly monthly customer sales`)
	helpers = set(`to can may should must will would could it we i they you agent he she not never dont doesnt cannot cant
		please also then and or it'll just only automatically always lets let bot assistant which who that`)
)

// isVerb says that the word at i of ws is what somebody does, not a thing.
func isVerb(ws []word, i int) bool {
	w := ws[i]
	if actions[w.stem] == "" || strings.HasSuffix(w.text, "ed") {
		return false
	}
	first := leadIn(ws[:i])
	if strings.HasSuffix(w.text, "ing") {
		return first
	}
	if first {
		return leadsClause(ws, i)
	}
	before := ws[i-1].text
	if helpers[before] {
		return true
	}
	if nounVerbs[w.stem] {
		return connectors[before] && i+1 < len(ws) && (determiners[ws[i+1].text] || ws[i+1].proper())
	}
	return !determiners[before]
}

// leadIn says that before holds only what may stand before an order: a connector, a time ("every Monday", "once a week").
func leadIn(before []word) bool {
	for i, w := range before {
		if !(timeWords[w.text] || connectors[w.text] && (i == 0 || timeWords[before[i-1].text] || breaksClause(w.gap))) {
			return false
		}
	}
	return true
}

var timeWords = set(`every each once twice a per on at day days week weekly weeks month monthly months quarter year hour hourly daily nightly
	morning evening night noon midnight monday tuesday wednesday thursday friday saturday sunday mondays tuesdays wednesdays thursdays
	fridays saturdays sundays first last working business weekday weekdays then please always automatically today tomorrow the before am pm`)

// leadsClause tells "report the numbers" and "posts scores" from "open invoices", "logs" and "Release captain" where the word
// is the first of a clause: what may be a noun is a verb when what it acts on follows, or when it begins a sentence.
func leadsClause(ws []word, i int) bool {
	w := ws[i]
	if !nounVerbs[w.stem] {
		return true
	}
	last := i+1 == len(ws)
	switch {
	case !last && (actions[w.stem] == comments || actions[w.stem] == sends) && (ws[i+1].text == "in" || ws[i+1].text == "to" || ws[i+1].text == "on"):
		return true // "answers in the thread"
	case strings.HasSuffix(w.text, "s") || w.text == "open":
		return !last && followsVerb(ws[i+1]) && !prepositions[ws[i+1].text]
	case w.begins() && strings.HasPrefix(strings.TrimSpace(ws[len(ws)-1].after), ":"):
		return false // "Release captain:"
	case w.begins() || w.proper() || last || breaksClause(w.gap) && i == 0:
		return last || !prepositions[ws[i+1].text] && ws[i+1].text != "that"
	}
	return !last && (followsVerb(ws[i+1]) || actions[w.stem] == sends) && !(prepositions[ws[i+1].text] && ws[i+1].text != "on")
}

var prepositions = set(`of in that for from with by as is are was were to on at into via per between without about`)

var (
	conditional = set(`if when whenever once after before as while`)
	agents      = set(`agent assistant bot`)
	copulas     = set(`is are was were lives live sits sit`)
)

// clausesOf splits the job into clauses: at the ends of sentences and list items, at commas, colons, dashes and brackets,
// and before "and", "then", "or", "but" where something new is to be done.
func clausesOf(job string) []clause {
	var out []clause
	var ws []word
	sentence, object := 0, false
	flush := func() {
		if len(ws) > 0 {
			out = append(out, clause{words: ws, sentence: sentence, verb: -1, object: object})
		}
		ws, object = nil, false
	}
	all := wordsOf(job, 0)
	for i, w := range all {
		if i > 0 {
			switch {
			case endsSentence(all[i-1], w.gap):
				flush()
				sentence++
			case breaksClause(w.gap):
				flush()
			case connectors[w.text] && i+1 < len(all) && !endsSentence(w, all[i+1].gap) && len(ws) > 1 && newAction(all, i+1):
				flush()
			case w.text == "and" && furtherObject(ws, all[i+1:]):
				flush()
				object = true
			case len(ws) > 2 && conditional[ws[0].text] && agents[w.text]:
				if all[i-1].text == "the" {
					ws = ws[:len(ws)-1]
				}
				flush() // "when an alert fires the agent …"
			}
		}
		ws = append(ws, w)
	}
	flush()
	for i := range out {
		out[i].classify()
	}
	return join(out)
}

// furtherObject says that after "and" comes another thing that the verb of before acts on, with a determiner of its own.
func furtherObject(before, after []word) bool {
	return len(after) > 1 && (possessives[after[0].text] || after[0].text == "the") && !endsSentence(before[len(before)-1], after[0].gap) &&
		!stop[after[1].text] && slices.ContainsFunc(before, func(w word) bool { return actions[w.stem] == reads })
}

var possessives = set(`our my your his her its their`)

// newAction says that at i, which follows a connector, somebody does something.
func newAction(all []word, i int) bool {
	for skip := 0; skip < 3 && i < len(all); skip++ {
		if isVerb(all[:min(len(all), i+2)], i) && (actions[all[i].stem] != "") {
			return !nounVerbs[all[i].stem] || skip > 0 || i+1 < len(all) && followsVerb(all[i+1])
		}
		if !helpers[all[i].text] && !stop[all[i].text] {
			return false
		}
		i++
	}
	return false
}

// followsVerb says that w can be the first word of what is acted on.
func followsVerb(w word) bool {
	return determiners[w.text] || w.proper() || stop[w.text] && !connectors[w.text] || strings.Contains(w.gap, "#") || strings.ContainsAny(w.gap, "'\"“‘")
}

var contextStarts = []string{"if", "when", "whenever", "unless", "because", "since", "so that", "so i", "so we", "so it", "so they",
	"while", "as soon", "as we", "as i", "where", "im", "i am", "we are", "were a", "who", "whose", "once the", "once it", "once we", "after", "before",
	"so he", "so she", "so nobody", "so everyone"}

func (c *clause) classify() {
	for i := range c.words {
		if isVerb(c.words, i) {
			c.verb, c.act = i, c.actionAt(i)
			break
		}
	}
	if c.starts(contextStarts...) || c.verb < 0 && c.starts("only", "just", "some", "most", "many") {
		c.context = true
	}
	last := c.words[len(c.words)-1]
	heading := strings.HasPrefix(strings.TrimSpace(last.after), ":")
	if c.verb < 0 && heading && content(c.words) < 3 {
		c.context = true // "AppSec:"
	}
	if c.verb < 0 && c.words[0].begins() && len(c.words) > 2 && !c.starts("who", "what", "which", "where", "how") {
		for _, w := range c.words[1:] {
			c.context = c.context || copulas[w.text] // "Our plan is a board on …"
		}
	}
	// "People ask …": what somebody else does.
	if c.starts("people", "customers", "users", "employees", "staff", "our customers", "our users", "our staff", "our people", "some customers",
		"some users", "some people", "clients", "visitors", "guests", "patients", "students", "they", "everyone") && c.verb != 0 {
		c.context = true
	}
	// "We sell on …", "I write the reminders": people tell what they do; "I want …", "we need …" asks.
	if c.starts("i", "we", "our", "my") && !c.has("want", "need", "like", "needs", "wants", "wish") && c.verb != 0 {
		c.context = c.starts("i", "we") || c.starts("our") && !c.has("agent", "assistant", "bot", "should", "must", "can", "will")
	}
}

// actionAt reads the verb at i with what follows it ("write … back", "let … know", "tell the team").
func (c clause) actionAt(i int) action {
	rest := clause{words: c.words[i:]}
	for k := range rest.words {
		if rest.at(k, "in a comment", "as a comment", "in a note", "as a note", "in the comments") != "" {
			return comments
		}
	}
	switch c.words[i].stem {
	case "writ", "put", "fill":
		if rest.has("back", "onto") {
			return updates
		}
	case "tell", "ask":
		if !(rest.at(1, "me", "us", "you", "if", "whether", "which", "who", "what", "how", "them") != "") {
			return sends
		}
	case "know":
		if i > 0 && (c.has("let", "lets")) {
			return sends
		}
	case "tak":
		if rest.has("screenshot", "screenshots", "snapshot", "snapshots") {
			return renders
		}
	case "tick":
		return completes
	case "leav", "add":
		if rest.has("comment", "comments", "note", "reply", "notes") {
			return comments
		}
	case "log":
		if rest.at(1, "in", "into", "on") != "" {
			return ""
		}
	}
	return actions[c.words[i].stem]
}

// join puts a clause of at most one meaningful word and no verb ("funding", "e.g. SS26") to the clause before it in the
// sentence, so that lists of attributes are one need.
func join(in []clause) []clause {
	var out []clause
	for _, c := range in {
		n := len(out)
		if n > 0 && out[n-1].sentence == c.sentence && c.verb < 0 && !c.context && !c.object && content(c.words) <= 1 && !negativeCue(c) {
			last := &out[n-1]
			last.words = append(last.words, c.words...) // every clause has an array of its own
			continue
		}
		out = append(out, c)
	}
	return out
}

func content(ws []word) int {
	n := 0
	for _, w := range ws {
		if !stop[w.text] && len(w.text) > 1 {
			n++
		}
	}
	return n
}
