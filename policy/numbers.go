package policy

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// cards finds numbers in one group or in groups of equal size, of which the last may be shorter, and in those of the issuers that
// group otherwise.
func cards(s *sample) (found []span) {
	for i := 0; i < len(s.digits); i++ {
		if best := s.card(i); best >= 0 {
			found = append(found, span{s.digits[i].start, s.digits[best].end})
			i = best
		}
	}
	return found
}

// card is the last group of the longest card number that begins with group i, or -1.
func (s *sample) card(i int) int {
	best := -1
	var digits [19]byte
	var sizes []int
	var buffer [19]int
	sizes = buffer[:0]
	n := 0
	for j := i; j < len(s.digits); j++ {
		g := s.digits[j]
		if j > i && !s.separated(i, j, " -.") || n+g.end-g.start > len(digits) {
			break
		}
		n += copy(digits[n:], s.text[g.start:g.end])
		sizes = append(sizes, g.end-g.start)
		if n >= 13 && grouped(sizes, s.after(s.digits[i].end)) && cardNumber(string(digits[:n])) && s.cardStands(s.digits[i].start, g.end, n) {
			best = j
		}
	}
	return best
}

// separated says that one byte of the given stands before group j, the same as between the groups before it.
func (s *sample) separated(i, j int, separators string) bool {
	at := s.digits[j-1].end
	return s.digits[j].start == at+1 && strings.IndexByte(separators, s.text[at]) >= 0 && s.text[at] == s.text[s.digits[i].end]
}

// cardStands says that the number is not a part of a fraction, an amount or a word. Visa's old 13 digits are those of EAN too.
func (s *sample) cardStands(start, end, n int) bool {
	b, a := s.before(start), s.after(end)
	fraction := (b == '.' || b == ',') && figure(s.before(start-1)) || (a == '.' || a == ',') && figure(s.after(end+1))
	return s.alone(start, end) && !fraction && (n > 13 || s.announced(start, 24, []string{"card", "visa", "karte", "carte", "tarjeta"}))
}

// grouped says that a number stands in groups as on a card or as people type it. Points make decimal fractions of other groups.
func grouped(sizes []int, separator byte) bool {
	last := len(sizes) - 1
	if len(sizes) == 3 && sizes[0] == 4 && sizes[1] == 6 && sizes[2] >= 4 && sizes[2] <= 5 {
		return true
	}
	for _, n := range sizes[:last] {
		if n != sizes[0] || n == 3 || n > 8 || separator == '.' && n != 4 {
			return false
		}
	}
	return sizes[last] <= sizes[0]
}

// issuers are the first digits of card numbers, from and to, with the lengths in use.
var issuers = []struct{ from, to, shortest, longest int }{
	{4, 4, 16, 19}, {4, 4, 13, 13}, // Visa
	{51, 55, 16, 16}, {2221, 2720, 16, 16}, // Mastercard
	{34, 34, 15, 15}, {37, 37, 15, 15}, // American Express
	{6011, 6011, 16, 19}, {644, 649, 16, 19}, {65, 65, 16, 19}, // Discover
	{300, 305, 14, 19}, {3095, 3095, 14, 19}, {36, 36, 14, 19}, {38, 39, 14, 19}, // Diners Club
	{3528, 3589, 16, 19},                   // JCB
	{62, 62, 16, 19}, {8100, 8171, 16, 19}, // UnionPay
	{5018, 5018, 16, 19}, {5020, 5020, 16, 19}, {5038, 5038, 16, 19}, {5893, 5893, 16, 19}, {6304, 6304, 16, 19},
	{6759, 6759, 16, 19}, {6761, 6763, 16, 19}, // Maestro
	{2200, 2204, 16, 19}, // Mir
	{508, 508, 16, 16},   // RuPay
	{9792, 9792, 16, 16}, // Troy
}

func cardNumber(digits string) bool {
	return luhn(digits) && slices.ContainsFunc(issuers, func(i struct{ from, to, shortest, longest int }) bool {
		prefix, _ := strconv.Atoi(digits[:len(strconv.Itoa(i.from))])
		return prefix >= i.from && prefix <= i.to && len(digits) >= i.shortest && len(digits) <= i.longest && (i.from != 4 || len(digits) != 17 && len(digits) != 18)
	})
}

func luhn(digits string) bool {
	sum, seen := 0, false
	for i := range len(digits) {
		d := int(digits[len(digits)-1-i] - '0')
		seen = seen || d != int(digits[0]-'0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0 && seen // one digit repeated is no number
}

// remainder is that of a long number; letters count from 10 on, as in an IBAN.
func remainder(number string, by int) int {
	r := 0
	for i := range len(number) {
		switch c := number[i]; {
		case figure(c):
			r = (r*10 + int(c-'0')) % by
		default:
			r = (r*100 + int(c|0x20-'a') + 10) % by
		}
	}
	return r
}

// ibanLengths are the lengths by country, of SWIFT's registry.
var ibanLengths = func() map[string]int {
	lengths := map[string]int{}
	for _, f := range strings.Fields("AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 " +
		"EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 " +
		"LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 " +
		"SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30") {
		lengths[f[:2]], _ = strconv.Atoi(f[2:])
	}
	return lengths
}()

func ibans(s *sample) (found []span) {
	for _, g := range s.digits {
		start := g.start - 2
		if start < 0 || g.end-g.start < 2 || !letter(s.text[start]) || !letter(s.text[start+1]) || letter(s.before(start)) || figure(s.before(start)) {
			continue
		}
		n := ibanLengths[strings.ToUpper(s.text[start:g.start])]
		if end := s.spelled(start, n); n > 0 && end > 0 {
			number := compact(s.text[start:end])
			if remainder(number[4:]+number[:4], 97) == 1 {
				found = append(found, span{start, end})
			}
		}
	}
	return found
}

// spelled is where n letters and digits end that begin at start, in one stretch or in groups of four; 0 where there are not so many, or
// more.
func (s *sample) spelled(start, n int) int {
	at, seen := start, 0
	for ; seen < n && at < len(s.text); at++ {
		switch b := s.text[at]; {
		case letter(b) || figure(b):
			seen++
		case (b == ' ' || b == '-') && seen%4 == 0 && s.before(at) != b:
		default:
			return 0
		}
	}
	if a := s.after(at); seen < n || letter(a) || figure(a) {
		return 0
	}
	return at
}

// sequence is the groups from i on that have these sizes, with the same separator between each two; -1 where they are not.
func (s *sample) sequence(i int, separators string, sizes ...int) (last int, separator byte) {
	last = i + len(sizes) - 1
	if last >= len(s.digits) {
		return -1, 0
	}
	for k, n := range sizes {
		g := s.digits[i+k]
		if g.end-g.start != n || k > 0 && !s.separated(i, i+k, separators) {
			return -1, 0
		}
	}
	return last, s.after(s.digits[i].end)
}

var socialWords = []string{"ssn", "social security", "social sec", "itin", "taxpayer id", "tin", "ss#", "social_security", "socialsecurity"}

func socialSecurity(s *sample) (found []span) {
	for i, g := range s.digits {
		end, need := g.end, true
		if last, by := s.sequence(i, "- ", 3, 2, 4); last > 0 {
			end, need = s.digits[last].end, by == ' '
		} else if g.end-g.start != 9 {
			continue
		}
		n := digitsOnly(s.text[g.start:end])
		middle := n[3:5]
		taxpayer := n[0] == '9' && (middle >= "50" && middle <= "65" || middle >= "70" && middle != "89" && middle != "93") && n != "999999999"
		issued := n[0] != '9' && n[:3] != "000" && n[:3] != "666" && n[3:5] != "00" && n[5:] != "0000"
		if (issued || taxpayer) && s.apart(g.start, end) && (!need || s.announced(g.start, 32, socialWords)) {
			found = append(found, span{g.start, end})
		}
	}
	return found
}

var nino = regexp.MustCompile(`(?i)^[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][ -]?\d{2}[ -]?\d{2}[ -]?\d{2}[ -]?[A-D]`)

func insuranceNumbers(s *sample) (found []span) {
	for _, g := range s.digits {
		if n := g.end - g.start; n != 2 && n != 4 && n != 6 { // six digits, in pairs that may stand together
			continue
		}
		start := g.start - 2
		if start > 0 && (s.text[g.start-1] == ' ' || s.text[g.start-1] == '-') {
			start--
		}
		if start < 0 || !letter(s.text[start]) || !letter(s.text[start+1]) {
			continue
		}
		at := nino.FindStringIndex(s.text[start:min(len(s.text), start+16)])
		if at == nil || slices.Contains([]string{"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}, strings.ToUpper(s.text[start:start+2])) {
			continue
		}
		value := s.text[start : start+at[1]]
		if s.apart(start, start+at[1]) && (value == strings.ToUpper(value) || s.announced(start, 32, []string{"nino", "national insurance", "ni number", "nin"})) {
			found = append(found, span{start, start + at[1]})
		}
	}
	return found
}

// taxIDs finds German ones: of the first ten digits one occurs twice or three times, the others once at most, and the last is a check
// digit (ISO 7064, MOD 11,10).
func taxIDs(s *sample) (found []span) {
	for i, g := range s.digits {
		end := g.end
		if last, _ := s.sequence(i, " /-", 2, 3, 3, 3); last > 0 {
			end = s.digits[last].end
		} else if g.end-g.start != 11 {
			continue
		}
		n := digitsOnly(s.text[g.start:end])
		if taxID(n) && s.apart(g.start, end) {
			found = append(found, span{g.start, end})
		}
	}
	return found
}

func taxID(n string) bool {
	var times [10]int
	product, most := 10, 0
	for i := range 10 {
		d := int(n[i] - '0')
		times[d]++
		most = max(most, times[d])
		sum := (d + product) % 10
		if sum == 0 {
			sum = 10
		}
		product = sum * 2 % 11
	}
	repeated := 0
	for _, t := range times {
		if t > 1 {
			repeated++
		}
	}
	return n[0] != '0' && repeated == 1 && most <= 3 && int(n[10]-'0') == (11-product)%10
}

var (
	dni        = regexp.MustCompile(`^(?:\d{8}|\d{1,2}\.\d{3}\.\d{3}|[XYZxyz][ -]?\d{7})[ -]?[A-Za-z]`)
	dniLetters = "TRWAGMYFPDXBNJZSQVHLCKE"
)

func identityNumbers(s *sample) (found []span) {
	for _, g := range s.digits {
		start, n := g.start, g.end-g.start
		if n > 8 || n < 7 && (n > 2 || s.after(g.end) != '.') {
			continue
		}
		for _, back := range []int{1, 2} { // X, Y or Z before the digits
			if at := g.start - back; at >= 0 && n == 7 && strings.IndexByte("XYZxyz", s.text[at]) >= 0 {
				start = at
				break
			}
		}
		at := dni.FindStringIndex(s.text[start:min(len(s.text), start+14)])
		if at == nil {
			continue
		}
		value := s.text[start : start+at[1]]
		id := compact(value)
		number, err := strconv.Atoi(strings.NewReplacer("X", "0", "Y", "1", "Z", "2").Replace(id[:1]) + id[1:len(id)-1])
		words := []string{"dni", "nie", "nif", "documento", "identidad"}
		if err != nil || dniLetters[number%23] != id[len(id)-1] || !s.apart(start, start+at[1]) {
			continue
		}
		if !strings.Contains(value, " ") && value == strings.ToUpper(value) || s.announced(start, 32, words) {
			found = append(found, span{start, start + at[1]})
		}
	}
	return found
}

var nir = regexp.MustCompile(`^[1278] ?\d\d ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d\d|2[ABab]) ?\d{3} ?\d{3} ?\d{2}`)

func nirs(s *sample) (found []span) {
	for _, g := range s.digits {
		if len(s.text)-g.start < 15 || strings.IndexByte("1278", s.text[g.start]) < 0 {
			continue
		}
		at := nir.FindStringIndex(s.text[g.start:min(len(s.text), g.start+21)])
		if at == nil {
			continue
		}
		n := compact(s.text[g.start : g.start+at[1]])
		digits := strings.NewReplacer("2A", "19", "2B", "18").Replace(n[5:7])
		key, _ := strconv.Atoi(n[13:])
		if digits = n[:5] + digits + n[7:13]; 97-remainder(digits, 97) == key && s.apart(g.start, g.start+at[1]) {
			found = append(found, span{g.start, g.start + at[1]})
		}
	}
	return found
}

// citizenNumbers finds Dutch ones. One in eleven numbers of nine digits passes the check, so a word has to announce them.
func citizenNumbers(s *sample) (found []span) {
	words := []string{"bsn", "burgerservice", "sofinummer", "sofi-nummer", "citizen service number"}
	for i, g := range s.digits {
		end := g.end
		if last, _ := s.sequence(i, " .-", 3, 3, 3); last > 0 {
			end = s.digits[last].end
		} else if last, _ := s.sequence(i, " .-", 4, 2, 3); last > 0 {
			end = s.digits[last].end
		} else if n := g.end - g.start; n != 9 && n != 8 {
			continue
		}
		n := digitsOnly(s.text[g.start:end])
		sum := 0
		for k := range len(n) {
			weight := len(n) - k
			if weight == 1 {
				weight = -1
			}
			sum += weight * int(n[k]-'0')
		}
		if sum%11 == 0 && sum > 0 && s.apart(g.start, end) && s.announced(g.start, 40, words) {
			found = append(found, span{g.start, end})
		}
	}
	return found
}
