package composer

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"remit/catalog"
	"remit/persona"
)

// word is one word of the job with the place where it stands.
type word struct {
	text  string // lower case, apostrophes taken out ("don't" is dont)
	stem  string
	raw   string // as written
	span  persona.Span
	gap   string // what stands between the word before and this one
	after string // what stands between this word and the next
}

// wordsOf splits text at anything that is no letter, digit or apostrophe within a word. Spans are offset by base.
func wordsOf(text string, base int) []word {
	var out []word
	last := 0
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			i += size
			continue
		}
		end := wordEnd(text, i)
		raw := text[i:end]
		lower := strings.ToLower(strings.NewReplacer("'", "", "’", "").Replace(raw))
		w := word{text: lower, stem: stem(lower), raw: raw, span: persona.Span{Start: base + i, End: base + end}, gap: text[last:i]}
		if len(out) > 0 {
			out[len(out)-1].after = w.gap
		}
		out = append(out, w)
		i, last = end, end
	}
	if len(out) > 0 {
		out[len(out)-1].after = text[last:]
	}
	return out
}

func wordEnd(text string, i int) int {
	for i < len(text) {
		r, size := utf8.DecodeRuneInString(text[i:])
		if r == '\'' || r == '’' {
			next, _ := utf8.DecodeRuneInString(text[i+size:])
			if !unicode.IsLetter(next) {
				return i
			}
		} else if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) {
			return i
		}
		i += size
	}
	return i
}

// proper says that w is written as a name: a capital first letter, or one inside.
func (w word) proper() bool {
	first, _ := utf8.DecodeRuneInString(w.raw)
	return unicode.IsUpper(first)
}

// begins says that w is the first word of the job or of a sentence or line.
func (w word) begins() bool { return w.span.Start == 0 || strings.ContainsAny(w.gap, ".!?\n;") }

// innerCapital says that w is written as only brands are ("DocuSign"): a capital after a small letter.
func (w word) innerCapital() bool {
	small := false
	for _, r := range w.raw {
		if small && unicode.IsUpper(r) {
			return true
		}
		small = unicode.IsLower(r)
	}
	return false
}

var stem = catalog.Uninflected

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

func stems(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[stem(w)] = true
	}
	return m
}
