package policy

import (
	"slices"
	"strings"
)

var (
	phoneWords = []string{"phone", "telephone", "tel", "mobile", "cell", "cellphone", "fax", "telefon", "telefoon", "telefono", "teléfono",
		"telefax", "mobil", "móvil", "movil", "handy", "rufnummer", "durchwahl", "tél", "téléphone", "portable", "whatsapp", "sms", "cellulare"}
	otherWords = []string{"id", "ids", "order", "invoice", "part", "sku", "ref", "reference", "serial", "tracking", "ticket", "case", "isbn", "issn",
		"version", "build", "date", "timestamp", "bestellung", "rechnung", "artikel", "article", "model", "batch", "lot", "nr", "no", "uuid", "hash",
		"account", "konto", "imei", "ean", "gtin", "upc", "doi", "patent", "commit", "port", "bytes", "size", "sequence", "figure"}
	gaps         = []string{" ", "-", ".", "/", ") ", ")", " (", "(", ")-", " - ", " / ", ")/", "-("} // between groups
	countryCodes = strings.Fields("1 7 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 86 " +
		"90 91 92 93 94 95 98 211 212 213 216 218 220 221 222 223 224 225 226 227 228 229 230 231 232 233 234 235 236 237 238 239 240 241 242 243 " +
		"244 245 246 248 249 250 251 252 253 254 255 256 257 258 260 261 262 263 264 265 266 267 268 269 290 291 297 298 299 350 351 352 353 354 " +
		"355 356 357 358 359 370 371 372 373 374 375 376 377 378 380 381 382 383 385 386 387 389 420 421 423 500 501 502 503 504 505 506 507 508 " +
		"509 590 591 592 593 594 595 596 597 598 599 670 672 673 674 675 676 677 678 679 680 681 682 683 685 686 687 688 689 690 691 692 800 850 " +
		"852 853 855 856 880 886 960 961 962 963 964 965 966 967 968 970 971 972 973 974 975 976 977 979 992 993 994 995 996 998")
)

// number is groups of digits that may be read as one telephone number.
type dialled struct {
	*sample
	first, last int // groups
	start, end  int // in the text, with "+" and parentheses
	digits      string
}

func phones(s *sample) (found []span) {
	for i := 0; i < len(s.digits); i++ {
		d, ok := s.international(i)
		if !ok {
			d, ok = s.american(i)
		}
		if !ok {
			d, ok = s.national(i)
		}
		if ok {
			found = append(found, span{d.start, d.end})
			i = d.last
		}
	}
	return found
}

// dial reads groups from i on while they stand together and have at most so many digits. Fewer than seven are no number.
func (s *sample) dial(i, most int) dialled {
	d := dialled{sample: s, first: i, start: s.digits[i].start}
	var digits [15]byte
	n, dots := 0, false
	for j := i; j < len(s.digits); j++ {
		g := s.digits[j]
		if j > i {
			gap := s.text[s.digits[j-1].end:g.start]
			if len(gap) > 3 || !slices.Contains(gaps, gap) || j > i+1 && (gap == ".") != dots {
				break
			}
			dots = gap == "."
		}
		if n+g.end-g.start > most {
			break
		}
		n += copy(digits[n:], s.text[g.start:g.end])
		d.last, d.end = j, g.end
	}
	if n < 7 {
		return d
	}
	d.digits = string(digits[:n])
	if s.before(d.start) == '(' && strings.IndexByte(s.text[d.start:d.end], ')') > 0 {
		d.start--
	}
	return d
}

// international is a number with "+" or 00 and the code of a country.
func (s *sample) international(i int) (dialled, bool) {
	g := s.digits[i]
	plus := g.start - 1
	if s.before(plus+1) == '(' || s.before(plus+1) == ' ' {
		plus--
	}
	if s.before(plus+1) != '+' && !strings.HasPrefix(s.text[g.start:g.end], "00") {
		return dialled{}, false
	}
	d := s.dial(i, 15)
	switch {
	case plus >= 0 && s.text[plus] == '+':
		d.start = plus
		if s.before(plus) == '(' && s.after(g.end) == ')' {
			d.start--
		}
	case strings.HasPrefix(d.digits, "00") && (g.end-g.start == 2 || g.end-g.start > 2 && g.end-g.start < 6 && g.end < d.end) && !s.rest(g.start):
		d.digits = d.digits[2:]
	default:
		return d, false
	}
	i = slices.IndexFunc(countryCodes, func(code string) bool { return strings.HasPrefix(d.digits, code) })
	if i < 0 || len(d.digits) < 9 || !s.free(d.start, d.end) {
		return d, false
	}
	if countryCodes[i] == "1" {
		return d.american(1)
	}
	if d.start < g.start-1 || s.text[d.start] == '+' || s.text[d.start] == '(' {
		return d, true
	}
	return d, g.end-g.start == 2 || len(countryCodes[i])+2 == g.end-g.start
}

// free says that a part does not adjoin a word or a longer number.
func (s *sample) free(start, end int) bool {
	b, a := s.before(start), s.after(end)
	if !s.alone(start, end) || strings.IndexByte("#_-./,", b) >= 0 || b == ':' && figure(s.before(start-1)) {
		return false
	}
	if b == '=' && !s.announced(start, 12, phoneWords) {
		return false
	}
	longer := strings.IndexByte("-.,:", a) >= 0 && (figure(s.after(end+1)) || letter(s.after(end+1)))
	return a != '_' && a != '%' && !longer
}

// american ends the number after ten digits of the North American plan, after the given others.
func (d dialled) american(skip int) (dialled, bool) {
	n := 0
	for j := d.first; j <= d.last; j++ {
		n += d.sample.digits[j].end - d.sample.digits[j].start
		if zeros := 0; n >= skip+10 {
			if strings.HasPrefix(d.text[d.sample.digits[d.first].start:], "00") {
				zeros = 2
			}
			if n != skip+10+zeros || len(d.digits) < skip+10 {
				return d, false
			}
			d.last, d.end, d.digits = j, d.sample.digits[j].end, d.digits[:skip+10]
			return d, northAmerican(d.digits[skip:], d.text[d.start] == '(') && d.free(d.start, d.end)
		}
	}
	return d, false
}

// northAmerican says that the digits are an area, an exchange and a line. Examples like (555) 123-4567 are taken for real ones.
func northAmerican(ten string, parentheses bool) bool {
	return ten[0] >= '2' && (parentheses || ten[3] >= '2') && ten[1:3] != "11" && ten[4:6] != "11"
}

// american is a number in the form 415-555-2671, (415) 555-2671 or 415.555.2671.
func (s *sample) american(i int) (dialled, bool) {
	size := func(j int) int {
		if j >= len(s.digits) {
			return 0
		}
		return s.digits[j].end - s.digits[j].start
	}
	skip := 0
	if size(i) == 1 && s.text[s.digits[i].start] == '1' {
		skip = 1
	}
	if size(i+skip) != 3 || size(i+skip+1) != 3 || size(i+skip+2) != 4 {
		return dialled{}, false
	}
	d, ok := s.dial(i, 10+skip).american(skip)
	if !ok || d.last != i+skip+2 || s.named(d.start) {
		return d, false
	}
	inner := s.text[s.digits[i].start:d.end]
	return d, strings.ContainsAny(inner, "-.)") || s.announced(d.start, 24, phoneWords)
}

// national is a number that begins with 0 and has an area code of its own, or any that a word announces.
func (s *sample) national(i int) (dialled, bool) {
	d := s.dial(i, 13)
	if len(d.digits) < 7 || !s.free(d.start, d.end) || dated(d.text[s.digits[i].start:d.end]) {
		return d, false
	}
	if s.announced(d.start, 24, phoneWords) && !s.named(d.start) {
		return d, true
	}
	first := s.digits[i].end - s.digits[i].start
	if last, _ := s.sequence(i, " -", 3, 2, 4); last > 0 { // the form of an SSN
		return d, false
	}
	if d.digits[0] != '0' || d.digits[1] == '0' || d.last == d.first || s.rest(d.start) || len(d.digits) < 9 || len(d.digits) > 12 {
		return d, false
	}
	if strings.Count(d.text[d.start:d.end], ".") > 0 || first == 2 { // 01 23 45 67 89
		return d, len(d.digits) == 10 && d.last-d.first == 4 && first == 2
	}
	return d, first >= 3 && first <= 6
}

// rest says that a place is in a longer number, or that a word names another kind of number.
func (s *sample) rest(at int) bool {
	return s.before(at) == ' ' && figure(s.before(at-1)) || s.named(at)
}

// named says that the word before a place tells another kind of number, such as that of an order.
func (s *sample) named(at int) bool {
	head := strings.TrimRight(s.text[max(0, at-20):at], " :#=.(\"'+")
	end := len(head)
	for end > 0 && (letter(head[end-1]) || head[end-1] >= 0x80) {
		end--
	}
	word := strings.ToLower(head[end:])
	if slices.Contains([]string{"number", "nummer", "num", "code", "no", "nr"}, word) && announces(strings.ToLower(head), phoneWords) {
		return false
	}
	if word == "number" || word == "nummer" || word == "num" || word == "code" {
		return announces(strings.ToLower(head), otherWords)
	}
	if word != "" {
		return slices.Contains(otherWords, word)
	}
	hint := spaced(s.hint)
	return hint != "" && !strings.Contains(hint, "phone") && announces(hint, otherWords) || announces(hint, []string{"id", "ids"})
}

// dated says that a text begins like a date.
func dated(s string) bool {
	if len(s) < 8 {
		return false
	}
	day := figure(s[0]) && figure(s[1]) && strings.IndexByte("-./ ", s[2]) >= 0 && figure(s[3]) && figure(s[4]) && s[5] == s[2]
	year := strings.IndexByte("-./", s[4]) >= 0 && (s[:2] == "19" || s[:2] == "20") && s[7] == s[4]
	return year || day && len(s) >= 10 && (s[6:8] == "19" || s[6:8] == "20")
}
