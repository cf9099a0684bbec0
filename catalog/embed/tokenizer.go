package embed

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"remit/catalog/embed/modelfile"
)

const (
	unknown  = 0    // id of the unknown token; neighbours are merged into one
	reserved = 6    // the first ids are control tokens and never match text
	space    = '▁'  // what a space is in the vocabulary; every text starts with one
	mostText = 8192 // bytes of a text that are looked at; 128 tokens of prose take about 600
	mostRune = 4096 // code points after normalising, which can make one code point into 18
)

// tokenizer cuts text into the pieces of a unigram vocabulary so that the sum of their scores is highest.
type tokenizer struct {
	pieces []modelfile.Piece
	width  []int // code points of each piece
	next   map[edge]int32
	ends   []int32 // for each node of the trie, the piece that ends there, or 0
}

// edge leads from a node of the trie to the next.
type edge struct {
	node int32
	char rune
}

func newTokenizer(pieces []modelfile.Piece) *tokenizer {
	t := &tokenizer{
		pieces: pieces,
		width:  make([]int, len(pieces)),
		next:   make(map[edge]int32, 4*len(pieces)),
		ends:   []int32{unknown},
	}
	for id, p := range pieces {
		t.width[id] = utf8.RuneCountInString(p.Text)
		if id < reserved {
			continue
		}
		node := int32(0)
		for _, char := range p.Text {
			to, ok := t.next[edge{node, char}]
			if !ok {
				to = int32(len(t.ends))
				t.next[edge{node, char}] = to
				t.ends = append(t.ends, unknown)
			}
			node = to
		}
		t.ends[node] = int32(id)
	}
	return t
}

// clean bounds a text and takes out what the vocabulary cannot see: bytes past mostText, invalid UTF-8, control
// characters and invisible ones. Runs of white space become one space, as the original SentencePiece model does (the
// JavaScript port keeps them, which turns each line break into an unknown token).
func clean(text string) string {
	if len(text) > mostText {
		cut := mostText
		for cut > mostText-utf8.UTFMax && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut]
	}
	var b strings.Builder
	b.Grow(len(text))
	gap := false
	for _, char := range text {
		switch {
		case unicode.Is(unicode.Cf, char):
		case unicode.IsSpace(char), unicode.IsControl(char), char == utf8.RuneError, char == space:
			gap = true
		default:
			if gap && b.Len() > 0 {
				b.WriteByte(' ')
			}
			gap = false
			b.WriteRune(char)
		}
	}
	return b.String()
}

// encode returns the ids of a text's tokens; none for the empty text. It follows the reference implementation step by
// step, its peculiarities included: an unknown character costs nothing, and a place in the text that no piece ends at
// counts as reached for free.
func (t *tokenizer) encode(text string) []int32 {
	text = norm.NFKC.String(text)
	if text == "" {
		return nil
	}
	chars := make([]rune, 1, len(text)+1)
	chars[0] = space
	for _, char := range text {
		if len(chars) == mostRune {
			break
		}
		if char == ' ' {
			char = space
		}
		chars = append(chars, char)
	}
	return t.walkBack(t.bestEnds(chars))
}

// bestEnds returns for each place in the text the last piece of the best way there.
func (t *tokenizer) bestEnds(chars []rune) []int32 {
	best := make([]float64, len(chars)+1)
	last := make([]int32, len(chars)+1)
	reach := func(end int, score float64, id int32) {
		if best[end] == 0 || score >= best[end] {
			best[end], last[end] = score, id
		}
	}
	for start := range chars {
		node, matched := int32(0), false
		for at := start; at < len(chars); at++ {
			to, ok := t.next[edge{node, chars[at]}]
			if !ok {
				break
			}
			node = to
			if id := t.ends[node]; id != unknown {
				reach(at+1, t.pieces[id].Score+best[start], id)
				matched = true
			}
		}
		if !matched {
			reach(start+1, best[start], unknown)
		}
	}
	return last
}

// walkBack follows the best pieces from the end of the text to its start and merges neighbouring unknowns.
func (t *tokenizer) walkBack(last []int32) []int32 {
	ids := make([]int32, 0, len(last))
	for at := len(last) - 1; at > 0; {
		id := last[at]
		if id != unknown || len(ids) == 0 || ids[len(ids)-1] != unknown {
			ids = append(ids, id)
		}
		at -= t.width[id]
	}
	for i, j := 0, len(ids)-1; i < j; i, j = i+1, j-1 {
		ids[i], ids[j] = ids[j], ids[i]
	}
	return ids
}

// readable reports whether any token says something: the space and the unknown token do not.
func (t *tokenizer) readable(ids []int32) bool {
	for _, id := range ids {
		if id != unknown && t.pieces[id].Text != string(space) {
			return true
		}
	}
	return false
}
