package catalog

import (
	"slices"
	"strings"
)

// GistOf is the sentence of a description that says most of what the tool's name says and least besides; empty when none says
// enough of it. Nothing else that a server writes about its tool decides whether a job gets it: a claim, an order or
// another's words, put before or after the sentence, change nothing.
//
// A sentence is worth the words it shares with the name, and a part of those it shares with the parameters' names, over all
// different words of both (the Jaccard index, weighted). The server's name, stop words and verbs that the name does not hold
// count for nothing.
func GistOf(t Tool) string {
	best, most := "", leastGist
	own := ownWords(t)
	for _, sentence := range plainSentences(t.Description) {
		said := own.said(sentence)
		ends := append([]int{0}, own.joints(sentence)...)
		for i, start := range ends {
			whole := 1.0
			if words := firstWords(sentence[start:], 1); start > 0 && len(words) > 0 && !verbStems[stem(words[0])] {
				whole = fragment
			}
			for _, end := range append(ends[i+1:], len(sentence)) {
				part := strings.TrimSpace(sentence[start:end])
				if part == "" || strings.IndexByte("-*#", part[0]) >= 0 || own.name != "" && strings.Contains(part, own.name) {
					continue // of a list, a heading, or the tool as a program names it
				}
				if worth := whole * own.worthOf(said, start, end); worth > most {
					best, most = part, worth
				}
			}
		}
	}
	return cut(best, maxGist)
}

const (
	leastGist  = 0.12 // worth of a sentence that is about the tool
	maxGist    = 300  // bytes
	maxJoints  = 8    // of one sentence that are looked at
	fragment   = 0.6  // of its worth is left to what begins neither a sentence nor with a verb
	paramWorth = 0.4  // of a word that only a parameter's name holds
)

// own is what a tool's name and parameters say, by stem.
type own struct {
	worth  map[string]float64
	server map[string]bool
	count  int    // words of the name
	name   string // as it is written, where nobody would write it so in a sentence
	first  string // stem of its first word that is not the server's
}

func ownWords(t Tool) own {
	o := own{worth: map[string]float64{}, server: map[string]bool{}}
	for _, w := range Words(t.Server()) {
		o.server[stem(w)] = true
	}
	if !isLower(t.Name) {
		o.name = t.Name
	}
	if o.read(t) {
		return o
	}
	clear(o.server) // "delete_file" of the server files
	o.read(t)
	return o
}

// read takes in the names, and says whether the tool's holds a thing.
func (o *own) read(t Tool) (thing bool) {
	clear(o.worth)
	o.first, o.count = "", 0
	for _, p := range t.Params[:min(len(t.Params), maxParams)] {
		o.each(p.Name, func(s string, _ int) { o.worth[s] = paramWorth })
	}
	o.each(t.Name, func(s string, _ int) {
		if o.first == "" {
			o.first = s
		}
		if o.worth[s] != 1 {
			o.worth[s] = 1
			o.count++
		}
		thing = thing || !verbStems[s]
	})
	return thing
}

// each calls yield with the stems of text that say something, and where. The server's name ("GitHub") does not.
func (o *own) each(text string, yield func(stem string, at int)) {
	for at := 0; at < len(text); {
		start := strings.IndexFunc(text[at:], isWord)
		if start < 0 {
			return
		}
		at += start
		end := strings.IndexFunc(text[at:], func(r rune) bool { return !isWord(r) })
		if end < 0 {
			end = len(text) - at
		}
		whole := text[at : at+end]
		if !o.server[stem(strings.ToLower(whole))] {
			for _, w := range Words(whole) {
				if s := stem(w); !stopWords[w] && !fillers[w] && len(w) <= maxTerm && !o.server[s] {
					yield(s, at)
				}
			}
		}
		at += end
	}
}

// joints are where servers' texts are often joined without a mark: before a capital that begins no word of the tool's own
// ("Deletes a file Our team needs it"), and where a condition begins, which says when and not what.
func (o *own) joints(sentence string) []int {
	var at []int
	for i := 2; i < len(sentence) && len(at) < maxJoints; i++ {
		if sentence[i-1] == ' ' && o.divides(sentence[i-2], sentence[i:]) {
			at = append(at, i)
		}
	}
	return at
}

func (o *own) divides(before byte, text string) bool {
	word, _, _ := strings.Cut(text, " ")
	if conditions[word] {
		return true
	}
	word = strings.TrimLeft(word, "*")
	if word == "" || word[0] < 'A' || word[0] > 'Z' || (before < 'a' || before > 'z') && before != ')' {
		return false
	}
	if whole := strings.TrimFunc(word, func(r rune) bool { return !isWord(r) }); o.server[stem(strings.ToLower(whole))] {
		return false
	}
	return !slices.ContainsFunc(Words(word), func(w string) bool {
		s := stem(w)
		return s != o.first && !verbStems[s] && !slices.Contains(nouns, w) && (o.worth[s] > 0 || o.server[s])
	})
}

var conditions = wordSet("when whenever if unless because while")

// stemAt is a word of a sentence that says something, and where it stands.
type stemAt struct {
	stem string
	at   int
}

func (o *own) said(sentence string) (out []stemAt) {
	o.each(sentence, func(s string, at int) { out = append(out, stemAt{s, at}) })
	return out
}

// worthOf is what a part of a sentence is worth, 0 to 1. One that names no thing is worth nothing.
func (o *own) worthOf(said []stemAt, start, end int) float64 {
	sum, all, thing := 0.0, o.count, false
	for i, w := range said {
		if w.at < start || w.at >= end || slices.ContainsFunc(said[:i], func(b stemAt) bool { return b.at >= start && b.stem == w.stem }) {
			continue
		}
		thing = thing || !verbStems[w.stem]
		worth := o.worth[w.stem]
		sum += worth
		if worth < 1 && (worth > 0 || !verbStems[w.stem]) {
			all++
		}
	}
	if !thing || all == 0 {
		return 0
	}
	return sum / float64(all)
}

// verbStems are the verbs that say what a tool does, without those that name things as often.
var verbStems = func() map[string]bool {
	stems := map[string]bool{}
	for _, words := range verbs {
		for _, w := range words {
			stems[stem(w)] = true
		}
	}
	for _, w := range nouns {
		delete(stems, stem(w))
	}
	return stems
}()
