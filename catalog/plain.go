package catalog

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
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
func Plain(description string) string {
	text := description
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
		text = quotation.ReplaceAllString(text, " ")
	}
	type sentence struct{ text, key string }
	var kept []sentence
	times := map[string]int{}
	eachSentence(text, func(s string) {
		words := Words(s)
		key := strings.Join(words, " ")
		if key == "" || stuffed(words) || orders(words, key) || slices.ContainsFunc(strings.Fields(s), speaks) {
			return
		}
		kept = append(kept, sentence{s, key})
		times[key]++
	})
	var b strings.Builder
	for _, s := range kept {
		if times[s.key] > 1 {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(". ")
		}
		b.WriteString(s.text)
	}
	return b.String()
}

func invisible(r rune) bool { return r > 127 && unicode.Is(unicode.Cf, r) || r == 0xAD }

// eachSentence calls yield with what stands between line breaks and marks that end a sentence.
func eachSentence(text string, yield func(string)) {
	start := 0
	for i := 0; i <= len(text); i++ {
		end := i == len(text) || text[i] == ' ' && begins(text[i+1:]) || text[i] == '\n' || strings.IndexByte(".!?;", text[i]) >= 0 && (i+1 == len(text) || text[i+1] <= ' ')
		if !end {
			continue
		}
		if s := strings.Trim(text[start:i], " \t\r.!?;"); s != "" {
			yield(s)
		}
		start = min(i+1, len(text))
	}
}

// begins says that a new sentence begins with text, though no mark ended the one before: servers' texts are often joined so.
func begins(text string) bool {
	return slices.ContainsFunc(beginnings, func(b string) bool { return strings.HasPrefix(text, b) })
}

var beginnings = []string{"This ", "These ", "You ", "Use ", "Always ", "Never ", "If ", "Example", "Note", "NOTE", "IMPORTANT", "Important"}

var (
	markup    = regexp.MustCompile(`(?s)<!--.*?-->|<[a-zA-Z/][^<>]{0,200}>|\[//\]: # \([^)]*\)`)
	quotation = regexp.MustCompile(`“[^”]{30,}”?|"[^"]{60,}"`)

	// An order says what has to be done, and that it is about tools or about whoever chooses them.
	must  = wordSet(`always must never important require required requires ignore before every supersede supersedes deprecated instead successor first fits needs grant`)
	about = wordSet(`tool tools job jobs persona assistant model selection draft others says`)
	// A claim says what only a reviewer decides.
	claims = []string{"approved by", "no review", "least privilege", "read only and safe", "read only hint", "destructive hint", "does everything", "example"}
)

func orders(words []string, key string) bool {
	has := func(set map[string]bool) bool {
		return slices.ContainsFunc(words, func(w string) bool { return set[w] })
	}
	return has(must) && has(about) || slices.ContainsFunc(claims, func(c string) bool { return strings.Contains(key, c) && (c != "example" || words[0] == c) })
}

// stuffed says that a sentence says one of its words over and over.
func stuffed(words []string) bool {
	const often = 6
	if len(words) < 2*often {
		return false
	}
	times := map[string]int{}
	for _, w := range words {
		if times[w]++; times[w] >= often && !stopWords[w] {
			return true
		}
	}
	return false
}

// speaks says that a word is a person's of himself: no description of a tool says "our".
func speaks(word string) bool {
	switch strings.Trim(word, ".,:;()\"'“”") {
	case "I", "I'm", "I’m", "we", "We", "our", "Our", "my", "My", "me", "us", "Us":
		return true
	}
	return false
}
