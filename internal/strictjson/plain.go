package strictjson

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"strings"
	"unicode/utf8"
	"unsafe"
)

// plain reads JSON in one pass that nearly all texts take: a string without escapes is found by its end and looked at eight bytes at a
// time. It says yes only to what is valid and unambiguous. What it does not understand, such as an escape of four digits or an object
// of many members, it leaves to the reader that knows everything; so does every refusal, which needs words.
type plain struct {
	b      []byte
	i      int
	depth  int      // that is left
	names  int      // likewise
	keep   int      // how deep the members of objects are kept, from here on
	sorted bool     // every object's members are in order, and nothing is written otherwise than in the canonical form
	room   []Member // for those that are kept, of the next objects
}

// fewMembers is for how many members there is room in an object at first.
const fewMembers = 4

// maxPlainNames is how many members of one object are compared with each other.
const maxPlainNames = 32

// valid says that text is one value within the limits, and whether it is its own canonical form.
func valid(text []byte, limits Limits) (ok, canonical bool) {
	p := plain{b: text, depth: limits.Depth, names: limits.Names, sorted: true}
	_, ok = p.whole()
	return ok, ok && p.sorted
}

// whole reads a text of one value.
func (p *plain) whole() (v Value, ok bool) {
	ok = p.skipSpace() && p.value(&v) && !p.skipSpace()
	return v, ok
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

// value reads one, and describes it in v where somebody keeps it.
func (p *plain) value(v *Value) bool {
	if v == nil {
		return p.any(nil)
	}
	from, before := p.i, p.sorted
	p.sorted = true
	ok := p.any(&v.members)
	v.Text, v.plain, v.sorted = p.b[from:p.i:p.i], true, p.sorted
	p.sorted = p.sorted && before
	return ok
}

// any reads a value, whatever it is.
func (p *plain) any(members *[]Member) bool {
	switch c := p.b[p.i]; c {
	case '{':
		return p.object(members)
	case '[':
		return p.array()
	case '"':
		_, _, ok := p.text()
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

// object reads an object, and keeps its members if they are asked for and it is not too deep.
func (p *plain) object(members *[]Member) bool {
	if p.depth--; p.depth < 0 {
		return false
	}
	if p.keep--; p.keep < 0 {
		members = nil
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
		name, form, ok := p.text()
		if p.sorted = p.sorted && form&wide == 0; !ok || form&escaped != 0 || !p.inOrder(known[:n], name) { // beyond ASCII the order is that of UTF-16
			return false
		}
		known[n] = name
		if !p.skipSpace() || p.b[p.i] != ':' {
			return false
		}
		p.i++
		if !p.skipSpace() || !p.member(members, name) || !p.skipSpace() {
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
	p.keep++
	return true
}

// member reads a member's value.
func (p *plain) member(members *[]Member, name []byte) bool {
	if members == nil {
		return p.value(nil)
	}
	if *members == nil {
		if len(p.room) == 0 {
			p.room = make([]Member, fewMembers*min(p.keep+1, 2))
		}
		*members, p.room = p.room[:0:fewMembers], p.room[fewMembers:]
	}
	*members = append(*members, Member{Name: said(name)})
	return p.value(&(*members)[len(*members)-1].Value)
}

// inOrder says that a name is none of those before it.
func (p *plain) inOrder(before [][]byte, name []byte) bool {
	n := len(before)
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
		if !p.value(nil) || !p.skipSpace() {
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

// shortText is up to how many bytes a string is read one by one: names and most values are over before a search has begun.
const shortText = 24

// What a string's text holds beside plain ASCII.
const (
	escaped = 1 << iota
	wide    // characters beyond ASCII
)

// text reads a string and returns what stands between its quotes, and what that holds. It may hold escapes of one letter.
func (p *plain) text() (inside []byte, form int, ok bool) {
	from := p.i + 1
	for i, c := range p.b[from:min(from+shortText, len(p.b))] {
		if c == '"' {
			p.i = from + i + 1
			return p.b[from : from+i], 0, true
		}
		if c < ' ' || c == '\\' || c >= utf8.RuneSelf {
			break
		}
	}
	for at, open := from, true; open; {
		end := bytes.IndexByte(p.b[at:], '"')
		if end < 0 {
			return nil, 0, false
		}
		end += at
		holds, ok := look(p.b[at:end])
		if form |= holds; !ok || holds&wide != 0 && !utf8.Valid(p.b[at:end]) {
			return nil, 0, false
		}
		if open = false; holds&escaped != 0 {
			if at, open = p.escapes(at, end); at < 0 {
				return nil, 0, false
			}
		}
		p.i = end + 1
	}
	return p.b[from : p.i-1], form, true
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

// look says what bytes hold, and false for a control character. It looks at 32 bytes at a time for any that is not plain, which few
// texts have.
func look(b []byte) (form int, ok bool) {
	if bytes.IndexByte(b, '\\') >= 0 {
		form = escaped
	}
	const spaces, tops = ' ' * 0x0101010101010101, 0x8080808080808080
	var v, w, x, y, above uint64
	rest := b
	for len(rest) >= 32 {
		p, q := binary.LittleEndian.Uint64(rest), binary.LittleEndian.Uint64(rest[8:])
		r, s := binary.LittleEndian.Uint64(rest[16:]), binary.LittleEndian.Uint64(rest[24:])
		v, w, x, y = v|p|(p-spaces), w|q|(q-spaces), x|r|(r-spaces), y|s|(s-spaces)
		rest = rest[32:]
	}
	if (v|w|x|y)&tops != 0 { // controls, or bytes beyond ASCII
		rest = b
	}
	v = 0
	for len(rest) >= 8 {
		p := binary.LittleEndian.Uint64(rest)
		v |= (p - spaces) &^ p
		above |= p
		rest = rest[8:]
	}
	for _, c := range rest {
		if c < ' ' {
			return 0, false
		}
		above |= uint64(c)
	}
	if above&tops != 0 {
		form |= wide
	}
	return form, v&tops == 0
}

// decoder reads a text that is known to be plain: it looks for the ends of strings and checks nothing.
type decoder struct{ plain }

func (d *decoder) value() any {
	d.skipSpace()
	switch c := d.b[d.i]; c {
	case '{':
		object := map[string]any{}
		for d.i++; d.next('}'); {
			name := d.text()
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
		return said(d.text())
	default:
		from := d.i
		d.plain.value(nil)
		switch c {
		case 't', 'f':
			return c == 't'
		case 'n':
			return nil
		}
		return json.Number(d.b[from:d.i])
	}
}

// text returns what stands between a string's quotes. The quote that ends it has an even number of backslashes before it.
func (d *decoder) text() []byte {
	from := d.i + 1
	for end := from; ; end++ {
		end += bytes.IndexByte(d.b[end:], '"')
		slashes := 0
		for end-slashes > from && d.b[end-slashes-1] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			d.i = end + 1
			return d.b[from:end]
		}
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

// said is the text of a string of which that stands between its quotes. Where nothing is escaped it is those bytes: a copy of a large
// one would cost more than everything else that is done with it.
func said(inside []byte) string {
	if len(inside) == 0 || bytes.IndexByte(inside, '\\') >= 0 {
		return unescaped(inside)
	}
	return unsafe.String(&inside[0], len(inside))
}

func unescaped(inside []byte) string {
	at := bytes.IndexByte(inside, '\\')
	if at < 0 {
		return string(inside)
	}
	var out strings.Builder
	out.Grow(len(inside))
	for ; at >= 0; at = bytes.IndexByte(inside, '\\') {
		out.Write(inside[:at])
		out.WriteByte(letters[inside[at+1]])
		inside = inside[at+2:]
	}
	out.Write(inside)
	return out.String()
}

// Text returns what a string says. It reports false for a value that is none, or of which only [Check] can say so.
func Text(value []byte) (string, bool) {
	p := plain{b: value}
	if len(value) == 0 || value[0] != '"' {
		return "", false
	}
	inside, _, ok := p.text()
	if !ok || p.i != len(value) {
		return "", false
	}
	return unescaped(inside), true
}
