package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"html/template"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What a reviewer reads must be what a model reads, so every character that a page would not show, or that changes how
// its neighbours look, is spelt out. Emoji get no exception: joiners and variation selectors hide text as well.

// hidden says that r is spelt out. Line feeds and tabs are text.
func hidden(r rune) bool {
	switch {
	case r == '\n' || r == '\t' || r == ' ':
		return false
	case unicode.In(r, unicode.C, unicode.Z, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point):
		return true // controls, formats (bidi, tags, zero-width), private use, separators, fillers
	case r == 0x2800: // a braille blank
		return true
	}
	return !unicode.IsGraphic(r) // unassigned
}

// spell is hidden characters as people can read them.
func spell(r rune, size int, raw string) string {
	if r == utf8.RuneError && size == 1 {
		return fmt.Sprintf("⟨byte %02X⟩", raw[0])
	}
	if r >= 0xE0020 && r <= 0xE007E { // a tag character carries the ASCII character below it
		return fmt.Sprintf("⟨U+%04X tag %q⟩", r, rune(r-0xE0000))
	}
	return fmt.Sprintf("⟨U+%04X⟩", r)
}

// walk calls plain with stretches of ordinary text and odd with what is spelt out.
func walk(s string, plain, odd func(string)) {
	from := 0
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if (r == utf8.RuneError && size == 1) || hidden(r) {
			plain(s[from:i])
			odd(spell(r, size, s[i:]))
			from = i + size
		}
		i += size
	}
	plain(s[from:])
}

// visible is s as plain text with hidden characters spelt out.
func visible(s string) string {
	var b strings.Builder
	add := func(part string) { b.WriteString(part) }
	walk(s, add, add)
	return b.String()
}

// show is s as HTML with hidden characters spelt out and marked, so that they differ from the same words typed.
func show(s string) template.HTML {
	var b strings.Builder
	walk(s, func(part string) { b.WriteString(html.EscapeString(part)) }, func(part string) {
		b.WriteString(`<span class="odd" title="a character that cannot be seen">` + html.EscapeString(part) + `</span>`)
	})
	return template.HTML(b.String())
}

// countHidden counts the characters that people would not see, JSON's \u escapes included.
func countHidden(definition json.RawMessage) int {
	n := 0
	count := func(s string) { walk(s, func(string) {}, func(string) { n++ }) }
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
