package strictjson

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"unicode/utf8"
)

// plain reads JSON in one pass that nearly all texts take: a string without escapes is found by its end and looked at eight bytes at a
// time. It says yes only to what is valid and unambiguous. What it does not understand, such as an escape of four digits or an object
// of many members, it leaves to the reader that knows everything; so does every refusal, which needs words.
type plain struct {
	b      []byte
	i      int
	depth  int  // that is left
	names  int  // likewise
	sorted bool // every object's members are in order, and nothing is written otherwise than in the canonical form
}

// maxPlainNames is how many members of one object are compared with each other.
const maxPlainNames = 32

// valid says that text is one value within the limits, and whether it is its own canonical form.
func valid(text []byte, limits Limits) (ok, canonical bool) {
	p := plain{b: text, depth: limits.Depth, names: limits.Names, sorted: true}
	ok = p.skipSpace() && p.value() && !p.skipSpace()
	return ok, ok && p.sorted
}

// skipSpace passes white space and says whether anything is left.
func (p *plain) skipSpace() bool {
	for p.i < len(p.b) {
		switch p.b[p.i] {
		case ' ', '\t', '\r', '\n':
			p.i++
			p.sorted = false
		default:
			return true
		}
	}
	return false
}

func (p *plain) value() bool {
	switch c := p.b[p.i]; c {
	case '{':
		return p.object(nil)
	case '[':
		return p.array()
	case '"':
		_, ok := p.text()
		return ok
	case 't':
		return p.literal("true")
	case 'f':
		return p.literal("false")
	case 'n':
		return p.literal("null")
	default:
		return p.number()
	}
}

func (p *plain) literal(word string) bool {
	if len(p.b)-p.i < len(word) || string(p.b[p.i:p.i+len(word)]) != word {
		return false
	}
	p.i += len(word)
	return true
}

// object reads an object, and hands over its members if anybody wants them.
func (p *plain) object(each func(name string, value []byte)) bool {
	if p.depth--; p.depth < 0 {
		return false
	}
	p.i++
	var known [maxPlainNames][]byte
	for n := 0; ; n++ {
		if !p.skipSpace() {
			return false
		}
		if p.b[p.i] == '}' && n == 0 {
			break
		}
		if p.names--; p.names < 0 || n == maxPlainNames || p.b[p.i] != '"' {
			return false
		}
		name, ok := p.text()
		if !ok || bytes.IndexByte(name, '\\') >= 0 || !p.inOrder(known[:n], name) {
			return false
		}
		known[n] = name
		if !p.skipSpace() || p.b[p.i] != ':' {
			return false
		}
		p.i++
		if !p.skipSpace() {
			return false
		}
		from := p.i
		if !p.value() {
			return false
		}
		if each != nil {
			each(string(name), p.b[from:p.i:p.i])
		}
		if !p.skipSpace() {
			return false
		}
		if p.b[p.i] == '}' {
			break
		}
		if p.b[p.i] != ',' {
			return false
		}
		p.i++
	}
	p.i++
	p.depth++
	return true
}

// inOrder says that a name is none of those before it.
func (p *plain) inOrder(before [][]byte, name []byte) bool {
	n := len(before)
	if _, high := look(name); high {
		p.sorted = false // their order is that of UTF-16
	}
	if n == 0 || p.sorted && bytes.Compare(before[n-1], name) < 0 {
		return true
	}
	p.sorted = false
	for _, other := range before {
		if bytes.Equal(other, name) {
			return false
		}
	}
	return true
}

func (p *plain) array() bool {
	if p.depth--; p.depth < 0 {
		return false
	}
	p.i++
	for n := 0; ; n++ {
		if !p.skipSpace() {
			return false
		}
		if p.b[p.i] == ']' && n == 0 {
			break
		}
		if !p.value() || !p.skipSpace() {
			return false
		}
		if p.b[p.i] == ']' {
			break
		}
		if p.b[p.i] != ',' {
			return false
		}
		p.i++
	}
	p.i++
	p.depth++
	return true
}

// number reads a number as RFC 8259 has it.
func (p *plain) number() bool {
	digits := func() bool {
		from := p.i
		for p.i < len(p.b) && p.b[p.i] >= '0' && p.b[p.i] <= '9' {
			p.i++
		}
		return p.i > from
	}
	is := func(c byte) bool {
		if p.i < len(p.b) && p.b[p.i] == c {
			p.i++
			return true
		}
		return false
	}
	is('-')
	if !is('0') && !digits() {
		return false
	}
	if is('.') && !digits() {
		return false
	}
	if is('e') || is('E') {
		if !is('+') {
			is('-')
		}
		return digits()
	}
	return true
}

// text reads a string and returns what stands between its quotes. It may hold escapes of one letter.
func (p *plain) text() (inside []byte, ok bool) {
	from := p.i + 1
	for at := from; ; {
		end := bytes.IndexByte(p.b[at:], '"')
		if end < 0 {
			return nil, false
		}
		end += at
		escapes, high := look(p.b[at:end])
		if escapes < 0 { // a control character
			return nil, false
		}
		if high && !utf8.Valid(p.b[at:end]) {
			return nil, false
		}
		if escapes == 0 {
			p.i = end + 1
			return p.b[from:end], true
		}
		next, open := p.escapes(at, end)
		if next < 0 {
			return nil, false
		}
		if !open {
			p.i = end + 1
			return p.b[from:end], true
		}
		at = next
	}
}

// escapes checks those between at and end. Where the last one takes the quote at end in, the string goes on after it.
func (p *plain) escapes(at, end int) (next int, open bool) {
	for {
		i := bytes.IndexByte(p.b[at:end], '\\')
		if i < 0 {
			return end, false
		}
		at += i + 1
		switch p.b[at] { // there is one: the quote
		case '"':
			if at == end {
				return end + 1, true
			}
		case '\\', 'b', 'f', 'n', 'r', 't':
		case '/':
			p.sorted = false
		default:
			return -1, false
		}
		at++
	}
}

// look says whether bytes hold backslashes, and whether any beyond ASCII; below 0 are control characters.
func look(b []byte) (escapes int, high bool) {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	var controls, slashes, above uint64
	for len(b) >= 8 {
		w := binary.LittleEndian.Uint64(b)
		controls |= (w - ones*' ') &^ w
		x := w ^ ones*'\\'
		slashes |= (x - ones) &^ x
		above |= w
		b = b[8:]
	}
	controls, slashes, above = controls&tops, slashes&tops, above&tops
	for _, c := range b {
		if c < ' ' {
			controls = 1
		}
		if c == '\\' {
			slashes = 1
		}
		if c >= 0x80 {
			above = 1
		}
	}
	switch {
	case controls != 0:
		return -1, false
	case slashes != 0:
		return 1, above != 0
	}
	return 0, above != 0
}

// decoder reads a text that is known to be plain.
type decoder struct{ plain }

func (d *decoder) value() any {
	d.skipSpace()
	switch c := d.b[d.i]; c {
	case '{':
		object := map[string]any{}
		for d.i++; d.next('}'); {
			name, _ := d.text()
			d.skipSpace()
			d.i++ // the colon
			object[string(name)] = d.value()
		}
		return object
	case '[':
		list := []any{}
		for d.i++; d.next(']'); {
			list = append(list, d.value())
		}
		return list
	case '"':
		inside, _ := d.text()
		return unescaped(inside)
	default:
		from := d.i
		d.plain.value()
		switch c {
		case 't', 'f':
			return c == 't'
		case 'n':
			return nil
		}
		return json.Number(d.b[from:d.i])
	}
}

// next passes what stands between members, and says whether there is one more before the end.
func (d *decoder) next(end byte) bool {
	for d.skipSpace(); d.b[d.i] == ','; {
		d.i++
		d.skipSpace()
	}
	if d.b[d.i] != end {
		return true
	}
	d.i++
	return false
}

var letters = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

func unescaped(inside []byte) string {
	at := bytes.IndexByte(inside, '\\')
	if at < 0 {
		return string(inside)
	}
	out := make([]byte, 0, len(inside))
	for ; at >= 0; at = bytes.IndexByte(inside, '\\') {
		out = append(append(out, inside[:at]...), letters[inside[at+1]])
		inside = inside[at+2:]
	}
	return string(append(out, inside...))
}

// Text returns what a string says. It reports false for a value that is none, or of which only [Check] can say so.
func Text(value []byte) (string, bool) {
	p := plain{b: value}
	if len(value) == 0 || value[0] != '"' {
		return "", false
	}
	inside, ok := p.text()
	if !ok || p.i != len(value) {
		return "", false
	}
	return unescaped(inside), true
}

// Object hands over the members of an object, in order, as parts of the text. It reports false for a text that is none, or of which
// only [Check] can say whether it is unambiguous.
func Object(text []byte, each func(name string, value []byte)) bool {
	limits := Limits{}.orDefaults()
	p := plain{b: text, depth: limits.Depth, names: limits.Names}
	return p.skipSpace() && p.b[p.i] == '{' && p.object(each) && !p.skipSpace()
}
