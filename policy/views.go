package policy

import (
	"sort"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// view is another reading of a text, such as the one without invisible characters, that knows where each part comes from.
type view struct {
	text string
	runs []run // none means that the text is the source
}

// run is a part of a view: byte for byte the source, or a unit (an escape, a character in another form) that is taken whole.
type run struct {
	at, n    int // in the view
	from, of int // in the source
	unit     bool
}

// source is where a part of the view comes from.
func (v view) source(start, end int) (int, int) {
	if len(v.runs) == 0 {
		return start, end
	}
	holds := func(at int) run {
		return v.runs[sort.Search(len(v.runs), func(i int) bool { return v.runs[i].at > at })-1]
	}
	a, z := holds(start), holds(end-1)
	from, to := a.from, z.from+z.of
	if !a.unit {
		from += start - a.at
	}
	if !z.unit {
		to = z.from + end - z.at
	}
	return from, to
}

// over is the view as one of the source's source.
func (v view) over(source view) view {
	if len(source.runs) == 0 {
		return v
	}
	var runs []run
	i := 0
	for _, r := range v.runs {
		for i < len(source.runs)-1 && source.runs[i+1].at <= r.from {
			i++
		}
		if r.unit {
			start, end := source.source(r.from, r.from+r.of)
			runs = append(runs, run{r.at, r.n, start, end - start, true})
			continue
		}
		for _, q := range source.runs[i:] {
			lo, hi := max(q.at, r.from), min(q.at+q.n, r.from+r.of)
			if lo >= hi {
				break
			}
			part := run{r.at + lo - r.from, hi - lo, q.from + lo - q.at, hi - lo, q.unit}
			if q.unit {
				part.from, part.of = q.from, q.of
			}
			runs = append(runs, part)
		}
	}
	return view{v.text, runs}
}

// lift adds what was found in the view, as edits of its source.
func (v view) lift(edits, found []edit) []edit {
	for _, e := range found {
		e.start, e.end = v.source(e.start, e.end)
		edits = append(edits, e)
	}
	return edits
}

// whole moves edits of the source that begin within a unit to its end, so that they leave no half of an escape: the view has the
// whole value.
func (v view) whole(edits []edit) []edit {
	for i, e := range edits {
		k := sort.Search(len(v.runs), func(k int) bool { return v.runs[k].from >= e.start }) - 1
		if k >= 0 && v.runs[k].unit && e.start < v.runs[k].from+v.runs[k].of && v.runs[k].from+v.runs[k].of < e.end {
			edits[i].start = v.runs[k].from + v.runs[k].of
		}
	}
	return edits
}

// viewer writes a view.
type viewer struct {
	b    strings.Builder
	runs []run
}

func (w *viewer) same(s string, from int) {
	if s == "" {
		return
	}
	if n := len(w.runs); n > 0 && !w.runs[n-1].unit && w.runs[n-1].from+w.runs[n-1].of == from {
		w.runs[n-1].n += len(s)
		w.runs[n-1].of += len(s)
	} else {
		w.runs = append(w.runs, run{at: w.b.Len(), n: len(s), from: from, of: len(s)})
	}
	w.b.WriteString(s)
}

func (w *viewer) unit(s string, from, of int) {
	if s != "" {
		w.runs = append(w.runs, run{at: w.b.Len(), n: len(s), from: from, of: of, unit: true})
		w.b.WriteString(s)
	}
}

func (w *viewer) view() view { return view{w.b.String(), w.runs} }

// unescaped reads the escapes that begin with one of the bytes. ok is false where there is none.
func unescaped(s, marks string) (v view, ok bool) {
	at := strings.IndexAny(s, marks)
	if at < 0 {
		return view{}, false
	}
	var w viewer
	w.b.Grow(len(s))
	done := 0
	for at >= 0 && at < len(s) {
		if r, width := escape(s[at:]); width > 0 {
			w.same(s[done:at], done)
			w.unit(string(r), at, width)
			at += width
			done = at
			ok = true
		} else {
			at++
		}
		next := strings.IndexAny(s[at:], marks)
		if next < 0 {
			break
		}
		at += next
	}
	if !ok {
		return view{}, false
	}
	w.same(s[done:], done)
	return w.view(), true
}

// literal is the text of a JSON string, given without its quotes.
func literal(s string) view {
	if v, ok := unescaped(s, `\`); ok {
		return v
	}
	return view{text: s}
}

// escape reads an escape of JSON (\u0040, \n), of many languages (\x40), of URLs (%40) or of HTML (&#64;) at the start of s.
func escape(s string) (rune, int) {
	switch {
	case len(s) > 1 && s[0] == '\\':
		return backslash(s)
	case len(s) > 2 && s[0] == '%':
		if n, err := strconv.ParseUint(s[1:3], 16, 7); err == nil {
			return rune(n), 3
		}
	case strings.HasPrefix(s, "&#"):
		digits, base := s[2:min(len(s), 11)], 10
		if strings.HasPrefix(digits, "x") || strings.HasPrefix(digits, "X") {
			digits, base = digits[1:], 16
		}
		number, _, ok := strings.Cut(digits, ";")
		if n, err := strconv.ParseUint(number, base, 21); ok && err == nil {
			return rune(n), strings.IndexByte(s, ';') + 1
		}
	case strings.HasPrefix(s, "&commat;"):
		return '@', len("&commat;")
	}
	return 0, 0
}

func backslash(s string) (rune, int) {
	switch s[1] {
	case '"', '\\', '/':
		return rune(s[1]), 2
	case 'b', 'f', 'n', 'r', 't':
		return rune("\b\f\n\r\t"[strings.IndexByte("bfnrt", s[1])]), 2
	case 'x':
		if r, ok := hexadecimal(s, 2, 2); ok && r < utf8.RuneSelf {
			return r, 4
		}
	case 'u':
		r, ok := hexadecimal(s, 2, 4)
		if !ok {
			return 0, 0
		}
		if low, ok := hexadecimal(s, 8, 4); ok && r>>10 == 0xD800>>10 && low>>10 == 0xDC00>>10 && s[6:8] == `\u` {
			return (r-0xD800)<<10 + low - 0xDC00 + 0x10000, 12
		}
		return r, 6
	}
	return 0, 0
}

func hexadecimal(s string, at, n int) (rune, bool) {
	if len(s) < at+n {
		return 0, false
	}
	r, err := strconv.ParseUint(s[at:at+n], 16, 32)
	return rune(r), err == nil
}

// folded reads a text as a person or a model does who is shown it: compatibility forms (fullwidth digits), digits and dashes of
// other scripts in the plain form, without characters that show nothing. With tags, the invisible tag characters stand for the
// letters that they encode, which models read.
func folded(s string, tags bool) (v view, ok bool) {
	var w viewer
	done, at := 0, 0
	for at < len(s) {
		if s[at] < utf8.RuneSelf {
			at++
			continue
		}
		from := at
		if from > done { // a mark may join the letter before it
			from--
		}
		for at < len(s) && s[at] >= utf8.RuneSelf {
			at++
		}
		if plain(s[from:at]) {
			continue
		}
		ok = true
		w.same(s[done:from], done)
		fold(&w, s[from:at], from, tags)
		done = at
	}
	if !ok {
		return view{}, false
	}
	w.same(s[done:], done)
	return w.view(), true
}

// plain says that folding leaves the text as it is.
func plain(s string) bool {
	for _, r := range s {
		if r >= utf8.RuneSelf && shown(r, false) != r {
			return false
		}
	}
	return norm.NFKC.IsNormalString(s)
}

func fold(w *viewer, s string, base int, tags bool) {
	var it norm.Iter
	it.InitString(norm.NFKC, s)
	for !it.Done() {
		from := it.Pos()
		segment := string(it.Next())
		out := strings.Map(func(r rune) rune { return shown(r, tags) }, segment)
		if source := s[from:it.Pos()]; out == source {
			w.same(source, base+from)
		} else {
			w.unit(out, base+from, it.Pos()-from)
		}
	}
}

// shown is the plain form of a character, -1 for one that shows nothing.
func shown(r rune, tags bool) rune {
	switch {
	case r < utf8.RuneSelf:
		return r
	case tags && r > 0xE0020 && r < 0xE007F:
		return r - 0xE0000
	case r == 0x2212: // minus
		return '-'
	case r == 0x115F, r == 0x1160, r == 0x3164, r == 0xFFA0, r == 0x2800: // blank letters
		return -1
	case unicode.In(r, unicode.Cf, unicode.Mn, unicode.Me, unicode.Variation_Selector):
		return -1
	case unicode.Is(unicode.Pd, r):
		return '-'
	case unicode.Is(unicode.Nd, r):
		return digit(r)
	}
	return r
}

// digit is the plain form of a decimal digit: Unicode has them in tens, from zero on.
func digit(r rune) rune {
	for _, t := range unicode.Nd.R16 {
		if rune(t.Lo) <= r && r <= rune(t.Hi) {
			return '0' + (r-rune(t.Lo))%10
		}
	}
	for _, t := range unicode.Nd.R32 {
		if rune(t.Lo) <= r && r <= rune(t.Hi) {
			return '0' + (r-rune(t.Lo))%10
		}
	}
	return r
}
