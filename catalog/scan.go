package catalog

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Finding is something in a definition that a reviewer should see before the tool is granted.
type Finding struct {
	Kind     string // "concealed", "order", "markup", "blob", "secret", "escape"
	Blocking bool   // no revision with it can be submitted
	Text     string // in words, with what was found; it may hold any character
}

const maxFound = 8 // findings of one kind

// Scan looks for what a definition should not hold: text that people cannot see (blocking), orders to a model, markup that pages
// hide, encoded blobs, terminal escapes and what looks like a secret (advisory: well-known servers have some of it).
func Scan(definition json.RawMessage) []Finding {
	var out []Finding
	add := func(kind string, blocking bool, text string) {
		n := 0
		for _, f := range out {
			if f.Kind == kind {
				n++
			}
		}
		f := Finding{kind, blocking, text}
		if n < maxFound && !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	eachString(definition, func(where, s string) {
		if n, first := concealed(s); n > 0 {
			add("concealed", true, fmt.Sprintf("%s holds %d characters that people cannot see, first U+%04X", where, n, first))
		}
		if strings.ContainsRune(s, 0x1b) {
			add("escape", true, where+" holds a terminal escape")
		}
		for _, m := range markup.FindAllString(s, 2) {
			if strings.HasPrefix(m, "<!--") || strings.HasPrefix(m, "[//]") {
				add("markup", false, where+" holds a comment that pages do not show: "+cut(m, 120))
			}
		}
		for _, m := range blob.FindAllString(s, 2) {
			add("blob", false, where+" holds an encoded text: "+cut(m, 60)+"…")
		}
		for _, m := range secretish.FindAllString(s, 2) {
			add("secret", false, where+" holds what looks like a secret: "+cut(m, 8)+"…")
		}
		eachSentence(cut(s, maxFieldText), func(sentence string) {
			if commands(sentence) {
				add("order", false, where+" gives an order to a model: “"+cut(sentence, 200)+"”")
			}
		})
	})
	return out
}

var (
	blob      = regexp.MustCompile(`[A-Za-z0-9+/_-]{120,}={0,2}`)
	secretish = regexp.MustCompile(`\b(?:ghp_|github_pat_|glpat-|xox[abpr]-|sk_live_|sk-|AKIA|AIza)[A-Za-z0-9_-]{16,}|-----BEGIN [A-Z ]*PRIVATE KEY-----`)
	// What is said to whoever reads the definition, and not of what the tool does.
	toReader = regexp.MustCompile(`(?i)\b(?:ignore|disregard|forget)\b.{0,40}\b(?:previous|prior|above|other|all|system)\b.{0,30}\b(?:instructions?|rules?|prompts?|tools?|messages?)\b` +
		`|\b(?:do not|don't|never)\b.{0,30}\b(?:tell|inform|mention|reveal|show|notify)\b.{0,30}\b(?:user|human|person|anyone)\b` +
		`|\bsystem prompt\b|\byou (?:must|have to) (?:always |first )?(?:call|use|invoke|read|send|include)\b|\balways (?:include|call|use|invoke) this tool\b` +
		`|\bbefore (?:using|calling|any)\b.{0,40}\b(?:read|send|open|fetch|call)\b.{0,40}(?:~/|\.ssh|\.env|id_rsa|credentials|password)`)
)

func commands(sentence string) bool { return toReader.MatchString(sentence) }

// concealed counts what people cannot see: formats (zero-width, bidi, tags), fillers, variation selectors but for the one that
// makes a sign an emoji, private use and unassigned characters.
func concealed(s string) (n int, first rune) {
	var before rune
	for _, r := range s {
		emoji := r == 0xFE0F && before != 0xFE0F && (unicode.In(before, unicode.S, unicode.N) || before == '*' || before == '#')
		if r > 0x7F && !emoji && unicode.In(r, unicode.Cf, unicode.Co, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) || r == 0x2800 {
			if n++; n == 1 {
				first = r
			}
		}
		before = r
	}
	return n, first
}

// eachString calls yield with every text of a JSON value, names of members too, and where it stands.
func eachString(raw json.RawMessage, yield func(where, s string)) {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return
	}
	var walk func(where string, v any)
	walk = func(where string, v any) {
		switch v := v.(type) {
		case string:
			yield(where, v)
		case []any:
			for _, e := range v {
				walk(where, e)
			}
		case map[string]any:
			names := make([]string, 0, len(v))
			for name := range v {
				names = append(names, name)
			}
			slices.Sort(names)
			for _, name := range names {
				yield("the name of a member of "+where, name)
				walk(strings.TrimPrefix(where+" "+name, "the definition "), v[name])
			}
		}
	}
	walk("the definition", v)
}
