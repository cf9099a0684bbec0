package embed

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	space    = ' '
	mostText = 8192 // bytes of a text that are looked at; 128 tokens of prose take about 600
	mostWord = 100  // code points; a longer word is unknown, as in the reference implementation
)

// tokenizer cuts text into the pieces of a WordPiece vocabulary as BERT's uncased one does: lower case, no accents, each
// punctuation mark a word, and of each word the longest piece first.
type tokenizer struct {
	ids                    map[string]int32 // a piece inside a word begins with ##
	start, end, unknown, n int32
}

func newTokenizer(pieces []string) (*tokenizer, error) {
	t := &tokenizer{ids: make(map[string]int32, len(pieces)), n: int32(len(pieces))}
	for id, p := range pieces {
		t.ids[p] = int32(id)
	}
	for name, id := range map[string]*int32{"[CLS]": &t.start, "[SEP]": &t.end, "[UNK]": &t.unknown} {
		var ok bool
		if *id, ok = t.ids[name]; !ok {
			return nil, fmt.Errorf("embed: the vocabulary lacks %s", name)
		}
		delete(t.ids, name) // no text can spell a control token
	}
	delete(t.ids, "[PAD]")
	delete(t.ids, "[MASK]")
	return t, nil
}

// clean bounds a text and takes out what the vocabulary cannot see: bytes past mostText, invalid UTF-8, control
// characters and invisible ones. Runs of white space become one space.
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
		case unicode.IsSpace(char), unicode.IsControl(char), char == utf8.RuneError:
			gap = true
		default:
			if gap && b.Len() > 0 {
				b.WriteByte(space)
			}
			gap = false
			b.WriteRune(char)
		}
	}
	return b.String()
}

// encode returns the ids of a clean text's tokens between those for its start and its end, at most most of them.
func (t *tokenizer) encode(text string, most int) []int32 {
	ids := append(make([]int32, 0, most), t.start)
	word := make([]rune, 0, mostWord)
	flush := func() {
		ids = t.pieces(ids, word)
		word = word[:0]
	}
	for _, char := range norm.NFD.String(strings.ToLower(text)) {
		if len(ids) >= most {
			break
		}
		switch {
		case unicode.Is(unicode.Mn, char):
		case unicode.IsSpace(char):
			flush()
		case punctuation(char) || ideograph(char):
			flush()
			word = append(word, char)
			flush()
		default:
			word = append(word, char)
		}
	}
	flush()
	return append(ids[:min(len(ids), most-1)], t.end)
}

// pieces appends the pieces of one word, or the unknown token when it cannot be spelled whole.
func (t *tokenizer) pieces(ids []int32, word []rune) []int32 {
	if len(word) == 0 {
		return ids
	}
	if len(word) > mostWord {
		return append(ids, t.unknown)
	}
	before := len(ids)
	for start := 0; start < len(word); {
		end, id := len(word), int32(-1)
		for ; end > start; end-- {
			piece := string(word[start:end])
			if start > 0 {
				piece = "##" + piece
			}
			if found, ok := t.ids[piece]; ok {
				id = found
				break
			}
		}
		if id < 0 {
			return append(ids[:before], t.unknown)
		}
		ids, start = append(ids, id), end
	}
	return ids
}

// punctuation is what the reference implementation takes for it: also the ASCII symbols that Unicode calls otherwise.
func punctuation(char rune) bool {
	return char > 32 && char < 127 && !unicode.IsLetter(char) && !unicode.IsDigit(char) || unicode.IsPunct(char)
}

func ideograph(char rune) bool {
	return char >= 0x4E00 && char <= 0x9FFF || char >= 0x3400 && char <= 0x4DBF || char >= 0xF900 && char <= 0xFAFF ||
		char >= 0x20000 && char <= 0x2CEAF || char >= 0x2F800 && char <= 0x2FA1F
}
