package upstream

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// encodings returns secret as it is and as it stands in base64, alone or as
// part of a longer text, in hex, and in a query. What is escaped character by
// character is found by peel.
func encodings(secret string) []string {
	lower := hex.EncodeToString([]byte(secret))
	forms := []string{secret, lower, strings.ToUpper(lower)}
	if strings.Contains(secret, " ") {
		forms = append(forms, strings.ReplaceAll(secret, " ", "+"))
	}
	for before := range 3 { // how many bytes stand before the secret in its group of three
		bits := 8 * (before + len(secret))
		first, last := (8*before+5)/6, bits/6 // the characters that depend on nothing but the secret
		padded := append(make([]byte, before), secret...)
		for _, alphabet := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			forms = append(forms, alphabet.EncodeToString(padded)[first:last])
		}
	}
	return forms
}

// peel takes one layer of escapes off text: percent-encoding and the
// backslash escapes of JSON and of most languages, in any mixture. from holds,
// for each byte of plain and for its end, where in text it comes from; it is
// nil when there was nothing to take off.
func peel(text string) (plain string, from []int) {
	if !strings.ContainsAny(text, `%\`) {
		return text, nil
	}
	b := make([]byte, 0, len(text))
	from = make([]int, 0, len(text)+1)
	for i := 0; i < len(text); {
		before := len(b)
		n := 0
		if text[i] == '%' || text[i] == '\\' {
			b, n = unescape(b, text[i:])
		}
		if n == 0 {
			b, n = append(b, text[i]), 1
		}
		for range len(b) - before {
			from = append(from, i)
		}
		i += n
	}
	if len(b) == len(text) {
		return text, nil
	}
	return string(b), append(from, len(text))
}

// unescape appends what the escape at the start of text stands for, and
// returns its length, 0 if it is none.
func unescape(b []byte, text string) ([]byte, int) {
	if text[0] == '%' {
		if v, ok := hexAt(text, 1, 2); ok {
			return append(b, byte(v)), 3
		}
		return b, 0
	}
	if len(text) < 2 {
		return b, 0
	}
	switch c := text[1]; c {
	case 'u':
		v, ok := hexAt(text, 2, 4)
		if !ok {
			return b, 0
		}
		if r := rune(v); !utf16.IsSurrogate(r) {
			return utf8.AppendRune(b, r), 6
		} else if low, ok := hexAt(text, 8, 4); ok && text[6:8] == `\u` {
			return utf8.AppendRune(b, utf16.DecodeRune(r, rune(low))), 12
		}
		return utf8.AppendRune(b, utf8.RuneError), 6
	case 'x':
		if v, ok := hexAt(text, 2, 2); ok {
			return append(b, byte(v)), 4
		}
		return b, 0
	case '"', '\'', '\\', '/':
		return append(b, c), 2
	default:
		if i := strings.IndexByte("bfnrt", c); i >= 0 {
			return append(b, "\b\f\n\r\t"[i]), 2
		}
		return b, 0
	}
}

func hexAt(text string, from, digits int) (uint64, bool) {
	if len(text) < from+digits {
		return 0, false
	}
	v, err := strconv.ParseUint(text[from:from+digits], 16, 32)
	return v, err == nil
}
