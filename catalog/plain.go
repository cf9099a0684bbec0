package catalog

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Plain is what of a description is searched and weighed: what it says the tool does. A description is its server's text, and
// one that praises its tool, gives orders to a model, quotes requests or repeats itself must not be found any better for
// it. So these are left out:
//
//   - characters that no page shows, HTML comments and tags
//   - quotations of more than a few words, and what follows "Example"
//   - sentences that give orders about the choice of tools, or that speak as a person would ("our", "I")
//   - every sentence that stands there more than once, and those that say a word over and over
//
// The definition itself is never changed: reviewers and agents read all of it.
func Plain(description string) string { return strings.Join(plainSentences(description), ". ") }

func plainSentences(description string) []string {
	text := cut(description, maxFieldText)
	if strings.IndexFunc(text, invisible) >= 0 {
		text = strings.Map(func(r rune) rune {
			if invisible(r) {
				return -1
			}
			return r
		}, text)
	}
	if strings.ContainsAny(text, "<[") {
		text = markup.ReplaceAllString(text, " ")
	}
	if strings.ContainsAny(text, "“\"") {
		text = quotation.ReplaceAllString(text, ". ")
	}
	var kept, keys []string
	times := map[string]int{}
	eachSentence(text, func(sentence string) {
		for _, s := range honest(unstuffed(sentence)) {
			if key := strings.Join(Words(s), " "); key != "" {
				kept, keys = append(kept, s), append(keys, key)
				times[key]++
			}
		}
	})
	out := kept[:0]
	for i, s := range kept {
		if times[keys[i]] == 1 {
			out = append(out, s)
		}
	}
	return out
}

// honest is the sentence, unless it gives orders or a person speaks. Of several that were joined without a mark it is those
// that do neither.
func honest(sentence string) []string {
	bad := func(s string) bool { return orders(s) || slices.ContainsFunc(strings.Fields(s), speaks) }
	if !bad(sentence) {
		return []string{sentence}
	}
	var left []string
	start, all := 0, true // of what is being joined; nothing was left out
	parts := strings.Split(capital.ReplaceAllString(sentence, "$1\n$2"), "\n")
	for i, part := range append(parts, "") {
		if i < len(parts) && !bad(part) {
			continue
		}
		if start < i {
			left = append(left, strings.Join(parts[start:i], " "))
		}
		start, all = i+1, all && i == len(parts)
	}
	if all {
		return nil // the parts are harmless, the whole is not
	}
	return left
}

func invisible(r rune) bool { return r > 127 && unicode.Is(unicode.Cf, r) || r == 0xAD }

// eachSentence calls yield with what stands between marks that end a sentence, and between lines where a new one begins.
func eachSentence(text string, yield func(string)) {
	start := 0
	for i := 0; i <= len(text); i++ {
		var end bool
		switch {
		case i == len(text):
			end = true
		case text[i] == '\n':
			end = !continues(text[i+1:])
		case strings.IndexByte(".!?;", text[i]) >= 0:
			end = i+1 == len(text) || text[i+1] <= ' '
		case text[i] == ' ':
			end = begins(text[i+1:])
		}
		if !end {
			continue
		}
		if s := strings.Trim(text[start:i], " \t\r\n.!?;"); s != "" {
			yield(s)
		}
		start = min(i+1, len(text))
	}
}

// continues says that a line goes on with the sentence of the line before.
func continues(line string) bool {
	r, _ := utf8.DecodeRuneInString(line)
	return unicode.IsLower(r) || r == '[' || r == '(' || r == '`'
}

// begins says that a new sentence begins with text, though no mark ended the one before: servers' texts are often joined so.
func begins(text string) bool {
	if text == "" || text[0] == '{' {
		return text != ""
	}
	if text[0] < 'A' || text[0] > 'Z' {
		return false
	}
	word := text
	if end := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsLetter(r) }); end >= 0 {
		word = text[:end]
	}
	return beginnings[word] || len(word) > 2 && isLower(word[1:]) && verbStems[stem(strings.ToLower(word))]
}

var beginnings = wordSet("This These You Use Always Never If Example Examples Note NOTE IMPORTANT Important")

var (
	capital   = regexp.MustCompile(`([a-z)]) ([A-Z][a-z]|[A-Z{][^A-Z])`)
	markup    = regexp.MustCompile(`(?s)<!--.*?-->|<[a-zA-Z/][^<>]{0,200}>|\[//\]: # \([^)]*\)`)
	quotation = regexp.MustCompile(`“[^”]{30,}”?|\B"[^"\s,;:.)}\]][^"]{58,}"`)

	// An order says what has to be done, and that it is about tools or about whoever chooses them.
	must  = wordSet(`always must never important require required requires ignore before every supersede supersedes deprecated instead successor first fits needs grant`)
	about = wordSet(`tool tools job jobs persona assistant model selection draft others says`)
	// A claim says what only a reviewer decides.
	claims = []string{"approved by", "no review", "least privilege", "read only and safe", "read only hint", "destructive hint", "does everything", "example"}
)

func orders(sentence string) bool {
	words := Words(sentence)
	key := strings.Join(words, " ")
	has := func(set map[string]bool) bool {
		return slices.ContainsFunc(words, func(w string) bool { return set[w] })
	}
	return has(must) && has(about) || slices.ContainsFunc(claims, func(c string) bool { return strings.Contains(key, c) && (c != "example" || words[0] == c) })
}

// unstuffed is what stands before the first of the words that a sentence says over and over; all of it when there is none.
func unstuffed(sentence string) string {
	const often = 6
	words := Words(sentence)
	if len(words) < 2*often {
		return sentence
	}
	times := map[string]int{}
	for _, w := range words {
		if !stopWords[w] {
			times[w]++
		}
	}
	at := 0
	for _, field := range strings.Fields(sentence) {
		at += strings.Index(sentence[at:], field)
		if slices.ContainsFunc(Words(field), func(w string) bool { return times[w] >= often }) {
			return strings.TrimSpace(sentence[:at])
		}
		at += len(field)
	}
	return sentence
}

// speaks says that a word is a person's of himself: no description of a tool says "our".
func speaks(word string) bool {
	switch strings.Trim(word, ".,:;()\"'“”") {
	case "I", "I'm", "I’m", "we", "We", "our", "Our", "my", "My", "me", "us", "Us":
		return true
	}
	return false
}
