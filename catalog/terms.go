package catalog

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// stopWords carry no meaning in a job or a description of a tool.
var stopWords = wordSet(`a about above after again all also am an and any are as at be because been before being below
	between both but by can could did do does doing don during each either else etc ever every few for from further had has
	have having he her here hers him his how however i if in into is it its itself just ll let lets like may me might more
	most must my need needs no nor not now of off on once only onto or other our ours out over own per please re s same
	shall she should so some such t than that the their them then there these they this those through to too toward
	towards under until up upon us use used user using ve very via want wants was we were what when where which while who
	whom whose why will with within without would you your yours`)

func wordSet(words string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(words) {
		set[w] = true
	}
	return set
}

const maxTerm = 40 // bytes; longer runs are keys and blobs, not words

// eachTerm calls yield with every term of text as it is indexed, and the word as it was written. A word of several parts
// ("GitHub", "listPRs", "s3") yields its parts and itself in one piece, so that "GitHub" finds "github" and the reverse.
func eachTerm(text string, yield func(term, written string)) {
	for text != "" {
		start := strings.IndexFunc(text, isWord)
		if start < 0 {
			return
		}
		text = text[start:]
		end := strings.IndexFunc(text, func(r rune) bool { return !isWord(r) })
		if end < 0 {
			end = len(text)
		}
		word := text[:end]
		text = text[end:]
		if len(word) > maxTerm {
			continue
		}
		if isLower(word) {
			yieldTerm(word, word, yield)
			continue
		}
		parts := Words(word)
		for _, part := range parts {
			if len(parts) == 1 || utf8.RuneCountInString(part) > 1 {
				yieldTerm(part, word, yield)
			}
		}
		if len(parts) > 1 {
			yieldTerm(strings.ToLower(word), word, yield)
		}
	}
}

func yieldTerm(word, written string, yield func(term, written string)) {
	if !stopWords[word] {
		yield(stem(word), written)
	}
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

func isLower(s string) bool {
	for i := range len(s) {
		if s[i] < 'a' || s[i] > 'z' {
			return false
		}
	}
	return true
}

const (
	longQuery    = 160 // bytes; a shorter one is searched as a whole only
	maxSentences = 8   // neighbours are joined until so many are left
)

// sentences splits a long query into its sentences, lines or items. It returns nil for a short one.
func sentences(query string) []string {
	if len(query) < longQuery {
		return nil
	}
	var out []string
	start := 0
	for i, r := range query {
		after := i + utf8.RuneLen(r)
		stop := r == '\n' || strings.ContainsRune(".!?;", r) && (after == len(query) || query[after] == ' ' || query[after] == '\n')
		if !stop && after < len(query) {
			continue
		}
		if part := strings.TrimSpace(query[start:after]); len(strings.Fields(part)) > 2 {
			out = append(out, part)
		}
		start = after
	}
	if len(out) < 2 {
		return nil
	}
	joined := make([]string, 0, maxSentences)
	for n := min(len(out), maxSentences); n > 0; n-- {
		take := (len(out) + n - 1) / n
		joined = append(joined, strings.Join(out[:take], " "))
		out = out[take:]
	}
	return joined
}

// Terms lists the terms of text as the index holds them, each once, in order: stems, without words that carry no meaning.
func Terms(text string) []string {
	var terms []string
	eachTerm(text, func(term, _ string) {
		if !slices.Contains(terms, term) {
			terms = append(terms, term)
		}
	})
	return terms
}
