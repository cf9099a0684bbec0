// Package tokens owns what a definition costs the model that reads it, counted with OpenAI's o200k_base vocabulary. Other
// vendors' tokenizers differ by some percent, so the count is for comparing and budgeting, not for billing.
package tokens

import (
	"bytes"
	"encoding/json"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/tiktoken-go/tokenizer"
)

// codec is loaded at the first count: it takes some time and memory that other commands need not spend.
var codec = sync.OnceValues(func() (tokenizer.Codec, error) { return tokenizer.Get(tokenizer.O200kBase) })

// maxRun bounds the length in bytes of a stretch of letters, of digits, of white space or of signs that is counted in one
// piece. The library splits some stretches in time that grows with the square of their length: without the bound a
// megabyte of one kind took more than a minute. No stretch of real text is that long; a longer one is counted in pieces,
// a little too high.
const maxRun = 256

// Count is the number of tokens that a client is sent for a tool: those of its definition as compact JSON. Text that is no
// JSON is counted as it is. It is safe for concurrent use; a hostile definition takes time in proportion to its length.
func Count(definition []byte) int {
	var compact bytes.Buffer
	if json.Compact(&compact, definition) != nil {
		compact.Reset()
		compact.Write(definition)
	}
	c, err := codec()
	if err != nil {
		return compact.Len() / 4 // the rule of thumb; the vocabulary is compiled in, so this cannot happen
	}
	total := 0
	for text := compact.String(); text != ""; {
		n := piece(text)
		count, err := c.Count(text[:n])
		if err != nil {
			count = n
		}
		total += count
		text = text[n:]
	}
	return total
}

// piece is the length of the longest start of text without an overlong stretch.
func piece(text string) int {
	run, last := 0, class(-1)
	for i, r := range text {
		now := classOf(r)
		if now != last {
			run, last = 0, now
		}
		size := utf8.RuneLen(r)
		if size < 0 {
			size = 1
		}
		if run += size; run > maxRun {
			return i
		}
	}
	return len(text)
}

type class int

func classOf(r rune) class {
	switch {
	case unicode.IsLetter(r) || unicode.IsMark(r):
		return 0
	case unicode.IsDigit(r):
		return 1
	case unicode.IsSpace(r):
		return 2
	}
	return 3
}
