package policy

import (
	"encoding/base64"
	"iter"
	"strings"
	"unicode/utf8"
)

// maxNesting bounds how many texts within texts are read (JSON in a string, base64), and so the work that an answer can make.
const maxNesting = 4

// masker masks one answer.
type masker struct {
	*Compiled
	answer  bool   // it may be blocked
	blocked string // the mask that blocks it
	names   int    // member names that were masked
	spare   []*sample
}

// find is the edit for a value that mask i found.
func (m *masker) find(i, start, end int, value string) edit {
	k := m.masks[i]
	if k.Mode == Block && m.answer && m.blocked == "" {
		m.blocked = k.name
	}
	return edit{start: start, end: end, text: k.replacement(value, m.hashKey), keep: k.Mode == Report, found: []int{i}}
}

// text finds what is to mask in a text, given with the name of the member that holds it.
func (m *masker) text(s, hint string, paths bool, depth int) []edit {
	if depth < maxNesting && mayBeJSON(s) {
		if edits, ok := m.document(s, false, paths, depth+1); ok {
			return edits
		}
	}
	if len(s) < minFinding {
		return m.patterns(nil, s)
	}
	edits := m.reading(s, hint, depth)
	for v := (view{text: s}); depth < maxNesting; depth++ { // escapes may be escaped: each round reads one level
		next, ok := unescaped(v.text, `\%&`)
		if !ok {
			break
		}
		v = next.over(v)
		edits = v.lift(v.whole(edits), m.reading(v.text, hint, depth+1))
	}
	return edits
}

func mayBeJSON(s string) bool {
	s = strings.TrimLeft(s, " \t\r\n")
	return s != "" && (s[0] == '{' || s[0] == '[')
}

// reading finds what is to mask in a text as it stands, in its folded forms and in base64 within it.
func (m *masker) reading(s, hint string, depth int) []edit {
	sample := m.look(s, hint)
	defer func() { m.spare = append(m.spare, sample) }()
	edits := m.rules(nil, sample)
	if depth < maxNesting {
		for _, w := range sample.words {
			edits = m.encoded(edits, s, w, hint, depth)
		}
	}
	if !sample.wide {
		return edits
	}
	for _, tags := range []bool{false, true} {
		if tags && !strings.Contains(s, "\U000E0040"[:2]) {
			break
		}
		if v, ok := folded(s, tags); ok && v.text != "" {
			sample.look(v.text, hint)
			edits = v.lift(edits, m.rules(nil, sample))
		}
	}
	return edits
}

// look looks a text over, in a sample that was used before where there is one.
func (m *masker) look(s, hint string) *sample {
	n := len(m.spare) - 1
	if n < 0 {
		m.spare, n = []*sample{{}}, 0
	}
	sample := m.spare[n]
	m.spare = m.spare[:n]
	sample.look(s, hint)
	return sample
}

// rules applies the detectors and patterns.
func (m *masker) rules(edits []edit, s *sample) []edit {
	var done [][]int
	if strings.IndexByte(s.text, '[') >= 0 {
		done = replaced.FindAllStringIndex(s.text, -1)
	}
	for i, k := range m.masks {
		if k.detector == nil {
			continue
		}
		for _, at := range k.detector.find(s) {
			if !within(done, at.start, at.end) {
				edits = append(edits, m.find(i, at.start, at.end, s.text[at.start:at.end]))
			}
		}
	}
	return m.patterns(edits, s.text)
}

func (m *masker) patterns(edits []edit, s string) []edit {
	var done [][]int
	for i, k := range m.masks {
		if k.pattern == nil {
			continue
		}
		if done == nil {
			done = replaced.FindAllStringIndex(s, -1)
		}
		for _, at := range k.pattern.FindAllStringIndex(s, -1) {
			if at[0] < at[1] && !within(done, at[0], at[1]) {
				edits = append(edits, m.find(i, at[0], at[1], s[at[0]:at[1]]))
			}
		}
	}
	return edits
}

func within(stretches [][]int, start, end int) bool {
	for _, at := range stretches {
		if at[0] <= start && end <= at[1] {
			return true
		}
	}
	return false
}

// encoded masks inside base64, which stays base64 of the same alphabet.
func (m *masker) encoded(edits []edit, s string, w span, hint string, depth int) []edit {
	for at := range base64Parts(s, w) {
		coded := s[at.start:at.end]
		decoded, encoding := decodeText(coded)
		if encoding == nil {
			continue
		}
		inner := m.text(decoded, hint, false, depth+1)
		if len(inner) == 0 {
			continue
		}
		e := edit{start: at.start, end: at.end, keep: true}
		for _, in := range inner {
			e.found = append(e.found, in.found...)
			e.keep = e.keep && in.keep
		}
		masked, _ := apply(decoded, inner)
		e.text = encoding.EncodeToString([]byte(masked))
		edits = append(edits, e)
	}
	return edits
}

// base64Parts are the parts of a long word that may be base64: those between dots or after "=", and between slashes, as of a URL.
func base64Parts(s string, w span) iter.Seq[span] {
	return func(yield func(span) bool) {
		for start := w.start; start < w.end; {
			end, slash := start, false
			for end < w.end && s[end] != '.' && s[end] != '~' && (s[end] != '=' || end+1 == w.end || s[end+1] == '=') {
				slash = slash || s[end] == '/'
				end++
			}
			if end < w.end && s[end] == '=' { // the padding, or a sign before a value
				end++
			}
			if end-start >= minWord && !yield(span{start, end}) {
				return
			}
			for from := start; slash && from < end; {
				to := end
				if i := strings.IndexByte(s[from:end], '/'); i >= 0 {
					to = from + i
				}
				if to-from >= minWord && !yield(span{from, to}) {
					return
				}
				from = to + 1
			}
			start = max(end, start+1)
		}
	}
}

var alphabets = []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding}

// decodeText decodes base64 that stands for a text. Without a text there is no encoding.
func decodeText(s string) (string, *base64.Encoding) {
	clean := s
	if strings.ContainsAny(s, "\r\n") {
		clean = strings.NewReplacer("\r", "", "\n", "").Replace(s)
	}
	padded, url := strings.HasSuffix(clean, "="), strings.ContainsAny(clean, "-_")
	i := 0
	if url {
		i = 2
	}
	if !padded && len(clean)%4 != 0 {
		i++
	}
	var code, head [64]byte
	n := copy(code[:], clean[:len(clean)&^3])
	if n, err := alphabets[i&^1].Decode(head[:], code[:n]); err != nil || !readable(head[:n]) {
		return "", nil // most long words are no base64, and most base64 is no text
	}
	b, err := alphabets[i].DecodeString(clean)
	if err != nil || !readable(b) {
		return "", nil
	}
	return string(b), alphabets[i]
}

// readable says that the bytes are a text: nearly all are printable, in UTF-8 or in an older encoding. The last character may be cut.
func readable(b []byte) bool {
	odd := 0
	for at := 0; at < len(b); {
		r, n := utf8.DecodeRune(b[at:])
		if r == utf8.RuneError && (n > 1 || len(b)-at > 3) || r < ' ' && r != '\n' && r != '\r' && r != '\t' || r == 0x7F {
			odd++
		}
		at += n
	}
	return len(b) > 0 && odd*16 <= len(b)
}
