package policy

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// carriers write a text so that a mask which reads bytes only lets it pass.
var carriers = map[string]func(text, value string) string{
	"text":       func(text, _ string) string { return result(text) },
	"structured": func(text, _ string) string { return `{"structuredContent":[{"a":` + quote(text) + `}]}` },
	"name":       func(text, _ string) string { return `{"_meta":{` + quote(text) + `:[]}}` },
	"escaped": func(text, _ string) string {
		var b strings.Builder
		for _, r := range text {
			b.WriteString(`\u00` + fmt.Sprintf("%02x", r&0xFF))
		}
		return `{"x":"` + b.String() + `"}`
	},
	"JSON text": func(text, _ string) string { return result(`{"a":[{"b":` + quote(text) + `}]}`) },
	"JSON, twice": func(text, _ string) string {
		return result(`{"a":` + quote(`{"b":`+quote(text)+`}`) + `}`)
	},
	"JSON in prose": func(text, _ string) string { return result(`Here it is: {"a":` + quote(text) + `}.`) },
	"base64":        func(text, _ string) string { return `{"blob":` + quote(b64(text)) + `}` },
	"base64url": func(text, _ string) string {
		return result("see " + base64.RawURLEncoding.EncodeToString([]byte(text)))
	},
	"zero width": func(text, value string) string {
		return result(strings.ReplaceAll(text, value, strings.Join(strings.Split(value, ""), "\u200b")))
	},
	"fullwidth": func(text, value string) string {
		return result(strings.ReplaceAll(text, value, strings.Map(func(r rune) rune {
			if r > ' ' && r < 0x7F {
				return r - '!' + '！'
			}
			return r
		}, value)))
	},
	"two blocks": func(text, value string) string {
		at := strings.Index(text, value) + len(value)/2
		for text[at]&0xC0 == 0x80 {
			at++
		}
		return `{"content":[{"type":"text","text":` + quote(text[:at]) + `},{"type":"text","text":` + quote(text[at:]) + `}]}`
	},
}

func quote(s string) string {
	b, err := jsontext.AppendQuote(nil, s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func result(text string) string {
	return `{"content":[{"type":"text","text":` + quote(text) + `}]}`
}

// Every value of the labelled set that is found in its text is found however the text is carried.
func TestMaskCarriers(t *testing.T) {
	all := everything(t, Redact)
	for _, line := range labelled(t) {
		for _, f := range line.Find {
			if len(f.Value) < 12 && f.Detector == "email" || strings.Contains(all.MaskText(line.Text), f.Value) {
				continue
			}
			for name, carry := range carriers {
				if name == "escaped" && !ascii(line.Text) {
					continue
				}
				in := carry(line.Text, f.Value)
				got, found, err := all.MaskResult(json.RawMessage(in))
				if err != nil || len(found) == 0 || bytes.Equal(got, []byte(in)) || strings.Contains(string(got), f.Value) {
					t.Errorf("%s, %s: %q passes: %v, %v\nin  %s\nout %s", f.Detector, name, f.Value, found, err, in, got)
				}
			}
		}
	}
}

func ascii(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > 0x7E }) < 0
}

// What is put together at random of values, parts of values and what may stand between them is masked once and for all.
func TestMaskTwice(t *testing.T) {
	all := everything(t, Redact)
	parts := []string{" ", " ", "-", ".", ",", "/", "+", "(0)", "@", "=", "\n", "\u200b", `\u0040`, `\\`, "%40", "0", "49", "tel ", "ssn ", "bsn ", "é", "[", "]", "{", `"`, "Bearer ", "secret ", "[redacted:email]", "[phone#0123456789]"}
	for _, l := range labelled(t) {
		for _, f := range l.Find {
			parts = append(parts, f.Value, f.Value[len(f.Value)/2:], f.Value[:len(f.Value)/2])
		}
		if len(l.Text) < 40 {
			parts = append(parts, b64(l.Text))
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 4_000 {
		var texts []string
		for range 1 + r.IntN(3) {
			var b strings.Builder
			for range 1 + r.IntN(6) {
				b.WriteString(parts[r.IntN(len(parts))])
			}
			texts = append(texts, strings.ToValidUTF8(b.String(), ""))
		}
		in := `{"content":[{"text":` + quote(texts[0]) + `},{"text":` + quote(texts[len(texts)-1]) + `}],"m":{` + quote(texts[0]) + `:` + quote(quote(texts[len(texts)/2])) + `}}`
		once, _, err := all.MaskResult(json.RawMessage(in))
		if err != nil || !jsontext.Value(once).IsValid() || shape(t, in) != shape(t, string(once)) {
			t.Fatalf("%s became %s: %v", in, once, err)
		}
		if twice, found, err := all.MaskResult(once); err != nil || len(found) > 0 || !bytes.Equal(once, twice) {
			t.Fatalf("%s, masked again, is %s: %v, %v", once, twice, found, err)
		}
	}
}
