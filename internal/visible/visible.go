// Package visible owns how text from outside is shown to a person: every character that a page would not show, or that
// changes how its neighbours look, is spelt out. Emoji get no exception: joiners and variation selectors hide text as well.
package visible

import (
	"fmt"
	"html"
	"html/template"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Hidden says that r is spelt out. Line feeds and tabs are text.
func Hidden(r rune) bool {
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

// spell is a hidden character as people can read it.
func spell(r rune, size int, raw string) string {
	if r == utf8.RuneError && size == 1 {
		return fmt.Sprintf("⟨byte %02X⟩", raw[0])
	}
	if r >= 0xE0020 && r <= 0xE007E { // a tag character carries the ASCII character below it
		return fmt.Sprintf("⟨U+%04X tag %q⟩", r, rune(r-0xE0000))
	}
	return fmt.Sprintf("⟨U+%04X⟩", r)
}

// Walk calls plain with stretches of ordinary text and odd with what is spelt out.
func Walk(s string, plain, odd func(string)) {
	from := 0
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if (r == utf8.RuneError && size == 1) || Hidden(r) {
			plain(s[from:i])
			odd(spell(r, size, s[i:]))
			from = i + size
		}
		i += size
	}
	plain(s[from:])
}

// Text is s as plain text with hidden characters spelt out.
func Text(s string) string {
	var b strings.Builder
	add := func(part string) { b.WriteString(part) }
	Walk(s, add, add)
	return b.String()
}

// HTML is s as HTML with hidden characters spelt out and marked by the class "odd", so that they differ from the same
// words typed.
func HTML(s string) template.HTML {
	var b strings.Builder
	Walk(s, func(part string) { b.WriteString(html.EscapeString(part)) }, func(part string) {
		b.WriteString(`<span class="odd" title="a character that cannot be seen">` + html.EscapeString(part) + `</span>`)
	})
	return template.HTML(b.String())
}
