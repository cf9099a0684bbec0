package policy

import (
	"strings"
	"unicode/utf8"
)

// Detector finds values of one kind in a text.
type Detector struct {
	Name     string
	About    string // for a page
	find     func(*sample) []span
	spelling func(string) string // one spelling of a value, so that equal values have equal hashes
	digits   int                 // that a value has at least; 0 for one that has an "@", a long word or dashes
}

// Detectors are the kinds of values that a mask can name. How often each is right is in docs/masking.md. There is none for names
// of persons: a list of names finds "May" and "Will", misses most, and only a model does better; mask the member by its path.
var Detectors = []Detector{
	{"email", "E-mail addresses, also with letters of other scripts.", emails, strings.ToLower, 0},
	{"phone", "Telephone numbers: international, the usual national forms, others after a word such as “tel”.", phones, digitsOnly, 1},
	{"payment_card", "Numbers of payment cards, by issuer, length and check digit.", cards, digitsOnly, 13},
	{"iban", "International bank account numbers, by country, length and check digits.", ibans, compact, 1},
	{"us_ssn", "US social security and taxpayer numbers (SSN, ITIN), without those never issued.", socialSecurity, digitsOnly, 1},
	{"uk_nino", "UK national insurance numbers.", insuranceNumbers, compact, 1},
	{"de_tax_id", "German tax identification numbers, by check digit.", taxIDs, digitsOnly, 1},
	{"es_dni", "Spanish identity numbers (DNI, NIE), by check letter.", identityNumbers, compact, 1},
	{"fr_nir", "French social security numbers (NIR), by check digits.", nirs, compact, 1},
	{"nl_bsn", "Dutch citizen service numbers (BSN), by check digit, after a word that announces one.", citizenNumbers, digitsOnly, 1},
	{"api_key", "Keys and tokens with a known form: AWS, GitHub, GitLab, Slack, Stripe, Google, OpenAI, Anthropic, npm, PyPI, Remit and others.", apiKeys, nil, 0},
	{"bearer_token", "JSON Web Tokens, and what follows “Bearer” or “Authorization: Basic”.", bearerTokens, nil, 0},
	{"private_key", "Private keys in PEM and PGP blocks, whole.", privateKeys, nil, 0},
}

// span is a part of a text.
type span struct{ start, end int }

const (
	minFinding = 6  // bytes of the shortest value that is found
	minWord    = 12 // bytes of a word that may be a key or base64
)

// sample is a text that was looked over once, so that detectors look only at places where they can find something.
type sample struct {
	text, hint string // hint is the name of the member that holds the text
	about      string // the same, in words, once it was asked for
	ats        []int  // where "@" is
	digits     []span // groups of digits
	words      []span // long stretches of what keys and base64 are made of
	dashes     bool   // there is "-----"
	wide       bool   // there are characters beyond ASCII
}

// Classes of bytes.
const (
	isDigit = 1 << iota
	isWord  // in keys and base64
	isWide
	isAt
)

var classes = func() (c [256]uint8) {
	for b := range c {
		switch {
		case b >= '0' && b <= '9':
			c[b] = isDigit | isWord
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', strings.IndexByte("_+/=.~-", byte(b)) >= 0 && b > 0:
			c[b] = isWord
		case b >= utf8.RuneSelf:
			c[b] = isWide
		case b == '@':
			c[b] = isAt
		}
	}
	return c
}()

func (s *sample) look(text, hint string) {
	*s = sample{text: text, hint: hint, ats: s.ats[:0], digits: s.digits[:0], words: s.words[:0]}
	word, group := -1, -1
	for i := 0; i < len(text); i++ {
		c := classes[text[i]]
		if c&isDigit == 0 && group >= 0 {
			s.digits = append(s.digits, span{group, i})
			group = -1
		} else if c&isDigit != 0 && group < 0 {
			group = i
		}
		if c&isWord != 0 {
			if word < 0 {
				word = i
			}
			continue
		}
		if word >= 0 && i-word >= minWord {
			if i = s.wrapped(word, i); i < len(text) {
				c = classes[text[i]]
			}
			s.words = append(s.words, span{word, min(i, len(text))})
		}
		word = -1
		s.wide = s.wide || c&isWide != 0
		if c&isAt != 0 {
			s.ats = append(s.ats, i)
		}
	}
	if group >= 0 {
		s.digits = append(s.digits, span{group, len(text)})
	}
	if word >= 0 && len(text)-word >= minWord {
		s.words = append(s.words, span{word, len(text)})
	}
	s.dashes = strings.Contains(text, "-----")
}

// nothing says that no detector of values with so many digits finds anything in a JSON text, in whatever form: it holds no escape, no
// character beyond ASCII, and nothing that any of them begins with. Strings and members of the text hold no more than the whole does.
func (s *sample) nothing(digits int) bool {
	if len(s.ats)+len(s.words) > 0 || s.dashes || s.wide || strings.ContainsAny(s.text, `\%&`) {
		return false
	}
	for _, group := range s.digits {
		digits -= group.end - group.start
	}
	return digits > 0
}

// before and after are the bytes next to a place, 0 at the ends of the text.
func (s *sample) before(i int) byte {
	if i < 1 {
		return 0
	}
	return s.text[i-1]
}

func (s *sample) after(i int) byte {
	if i >= len(s.text) {
		return 0
	}
	return s.text[i]
}

func letter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }
func figure(b byte) bool { return b >= '0' && b <= '9' }

// alone says that neither letters nor digits adjoin a part.
func (s *sample) alone(start, end int) bool {
	b, a := s.before(start), s.after(end)
	return !letter(b) && !figure(b) && !letter(a) && !figure(a)
}

// apart says that a part is not one of a longer number or identifier, such as a decimal fraction, an address or a UUID.
func (s *sample) apart(start, end int) bool {
	link := func(b byte) bool { return b == '-' || b == '.' || b == ',' || b == '/' || b == '#' || b == ':' }
	if b := s.before(start); b == '#' || (link(b) && b != ':' || b == ':') && figure(s.before(start-1)) || b == '-' && letter(s.before(start-1)) {
		return false
	}
	a := s.after(end)
	return !(link(a) && figure(s.after(end+1))) && !(a == '-' && letter(s.after(end+1))) && s.alone(start, end)
}

// announced says that one of the words stands shortly before a place, or names the member. Words of up to four letters stand alone.
func (s *sample) announced(at, reach int, words []string) bool {
	return announces(strings.ToLower(s.text[max(0, at-reach):at]), words) || s.hint != "" && announces(s.called(), words)
}

// called is the member's name in small letters, with its words apart.
func (s *sample) called() string {
	if s.about == "" {
		s.about = spaced(s.hint)
	}
	return s.about
}

func announces(text string, words []string) bool {
	for i := range len(text) {
		if i > 0 && letter(text[i-1]) {
			continue
		}
		for _, w := range words {
			if text[i] != w[0] || !strings.HasPrefix(text[i:], w) {
				continue
			}
			if end := i + len(w); len(w) > 4 || end == len(text) || !letter(text[end]) {
				return true
			}
		}
	}
	return false
}

// spaced is a member's name in small letters, with its words apart: "homePhone" is "home phone".
func spaced(name string) string {
	var b strings.Builder
	for i := range len(name) {
		if i > 0 && name[i] >= 'A' && name[i] <= 'Z' && name[i-1] >= 'a' && name[i-1] <= 'z' {
			b.WriteByte(' ')
		}
		b.WriteByte(name[i])
	}
	return strings.ToLower(b.String())
}

func digitsOnly(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

// compact is without what separates parts of a number, in capital letters.
func compact(s string) string {
	return strings.ToUpper(strings.Map(func(r rune) rune {
		if strings.ContainsRune(" -./", r) {
			return -1
		}
		return r
	}, s))
}
