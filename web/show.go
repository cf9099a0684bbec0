package web

import (
	"bytes"
	"encoding/json"

	"remit/internal/visible"
)

// countHidden counts the characters that people would not see, JSON's \u escapes included.
func countHidden(definition json.RawMessage) int {
	n := 0
	count := func(s string) { visible.Walk(s, func(string) {}, func(string) { n++ }) }
	dec := json.NewDecoder(bytes.NewReader(definition))
	for {
		token, err := dec.Token()
		if err != nil {
			return n
		}
		if text, ok := token.(string); ok {
			count(text)
		}
	}
}

// pretty is a definition with one member a line, every byte of it otherwise as received.
func pretty(definition json.RawMessage) string {
	var b bytes.Buffer
	if err := json.Indent(&b, definition, "", "  "); err != nil {
		return string(definition)
	}
	return b.String()
}
