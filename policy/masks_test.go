package policy

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// everything masks with all detectors in one mode.
func everything(t testing.TB, mode Mode) *Compiled {
	var p Policy
	for _, d := range Detectors {
		p.Mask = append(p.Mask, Mask{Detector: d.Name, Mode: mode})
	}
	c, err := p.Compile(nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// Each line is a way to carry a value past a mask that reads the bytes only.
func TestMaskResult(t *testing.T) {
	all := everything(t, Redact)
	for name, tc := range map[string]struct{ in, want string }{
		"text":                 {`{"content":[{"type":"text","text":"mail a@example.com now"}]}`, `{"content":[{"type":"text","text":"mail [redacted:email] now"}]}`},
		"nothing found":        {"{ \"content\" : [ ] ,\"n\":1.50e+3,\t\"\\u0041\":\"caf\\u00e9 \\/\"}", "{ \"content\" : [ ] ,\"n\":1.50e+3,\t\"\\u0041\":\"caf\\u00e9 \\/\"}"},
		"other escapes stay":   {`["\u00e9 a@example.com \/ \ud83d\ude00"]`, `["\u00e9 [redacted:email] \/ \ud83d\ude00"]`},
		"escaped at":           {`["a\u0040example.com"]`, `["[redacted:email]"]`},
		"every letter escaped": {`["\u0061\u0040\u0062\u002e\u0069\u006f"]`, `["[redacted:email]"]`},
		"structured content":   {`{"structuredContent":{"a":[{"b":"a@example.com"}]}}`, `{"structuredContent":{"a":[{"b":"[redacted:email]"}]}}`},
		"embedded resource":    {`{"content":[{"type":"resource","resource":{"uri":"x:y","text":"a@example.com"}}]}`, `{"content":[{"type":"resource","resource":{"uri":"x:y","text":"[redacted:email]"}}]}`},
		"meta":                 {`{"_meta":{"x":"a@example.com"}}`, `{"_meta":{"x":"[redacted:email]"}}`},
		"member name":          {`{"a@example.com":1,"b@example.com":2}`, `{"[redacted:email]":1,"[redacted:email] (2)":2}`},
		"name taken":           {`{"[redacted:email]":0,"a@example.com":1}`, `{"[redacted:email]":0,"[redacted:email] (1)":1}`},
		"duplicate members":    {`{"a":"x","a":"a@example.com"}`, `{"a":"x","a":"[redacted:email]"}`},
		"number":               {`{"n":4111111111111111,"m":4111111111111112}`, `{"n":"[redacted:payment_card]","m":4111111111111112}`},
		"number, exponent":     {`[4.111111111111111e15,4111111111111111.0]`, `["[redacted:payment_card]","[redacted:payment_card]"]`},
		"number, named":        {`{"bsn":111222333,"n":111222333}`, `{"bsn":"[redacted:nl_bsn]","n":111222333}`},
		"string, named":        {`{"homePhone":"5551234567","phone_id":"5551234567"}`, `{"homePhone":"[redacted:phone]","phone_id":"5551234567"}`},
		"zero width":           {`["4111\u200b1111\u20601111\ufeff1111 a\u00ad@ex\u200dample.com"]`, `["[redacted:payment_card] [redacted:email]"]`},
		"fullwidth":            {`["４１１１１１１１１１１１１１１１ a＠example。com"]`, `["[redacted:payment_card] a＠example。com"]`},
		"fullwidth letters":    {`["ａ＠ｅｘａｍｐｌｅ．ｃｏｍ"]`, `["[redacted:email]"]`},
		"other digits":         {`["٤١١١١١١١١١١١١١١١"]`, `["[redacted:payment_card]"]`},
		"other dashes":         {`["536‑22–1234"]`, `["[redacted:us_ssn]"]`},
		"no-break spaces":      {`["4111\u00a01111\u00a01111\u00a01111"]`, `["[redacted:payment_card]"]`},
		"mathematical letters": {`["𝐚@𝐞𝐱𝐚𝐦𝐩𝐥𝐞.𝐜𝐨𝐦"]`, `["[redacted:email]"]`},
		"tag characters":       {`["x` + tagged("a@example.com") + `y"]`, `["[redacted:email]"]`},
		"strokes":              {`["4̶1̶1̶1̶1̶1̶1̶1̶1̶1̶1̶1̶1̶1̶1̶1̶"]`, `["[redacted:payment_card]"]`},
		"JSON in a string":     {`{"t":"{\"mail\":\"a\\u0040example.com\",\"n\":4111111111111111}"}`, `{"t":"{\"mail\":\"[redacted:email]\",\"n\":\"[redacted:payment_card]\"}"}`},
		"JSON in JSON in JSON": {`["[\"[\\\"a@example.com\\\"]\"]"]`, `["[\"[\\\"[redacted:email]\\\"]\"]"]`},
		"JSON in prose":        {`["result: {\"m\":\"a\\u0040example.com\"} end"]`, `["result: {\"m\":\"[redacted:email]\"} end"]`},
		"escapes of names":     {`["log {\"who\":\"\\u003ca@example.com\\u003e\"} C:\\\\new \\n x b@example.com y"]`, `["log {\"who\":\"\\u003c[redacted:email]\\u003e\"} C:\\\\new \\n x [redacted:email] y"]`},
		"JSON lines":           {`["{\"m\":1}\n{\"m\":\"a@example.com\"}"]`, `["{\"m\":1}\n{\"m\":\"[redacted:email]\"}"]`},
		"URL escapes":          {`["https://x.example/?q=a%40example.com"]`, `["https://x.example/?q=[redacted:email]"]`},
		"HTML escapes":         {`["a&#64;example.com b&#x40;example.com c&commat;example.com"]`, `["[redacted:email] [redacted:email] [redacted:email]"]`},
		"base64":               {`["` + b64("write to a@example.com") + `"]`, `["` + b64("write to [redacted:email]") + `"]`},
		"base64 blob":          {`{"blob":"` + b64("x,y\n1,a@example.com\n") + `"}`, `{"blob":"` + b64("x,y\n1,[redacted:email]\n") + `"}`},
		"base64url":            {`["` + base64.RawURLEncoding.EncodeToString([]byte("a@example.com ÿÿ>>")) + `"]`, `["` + base64.RawURLEncoding.EncodeToString([]byte("[redacted:email] ÿÿ>>")) + `"]`},
		"base64 in base64":     {`["` + b64(b64("a@example.com")) + `"]`, `["` + b64(b64("[redacted:email]")) + `"]`},
		"base64 in a URL":      {`["data:text/plain;base64,` + b64("a@example.com") + `"]`, `["data:text/plain;base64,` + b64("[redacted:email]") + `"]`},
		"base64 in lines":      {`["` + strings.ReplaceAll(lines(b64(strings.Repeat("x", 52)+" a@example.com "+strings.Repeat("y", 50)), 76), "\n", `\n`) + `"]`, `["` + b64(strings.Repeat("x", 52)+" [redacted:email] "+strings.Repeat("y", 50)) + `"]`},
		"two blocks":           {`{"content":[{"type":"text","text":"card 4111 1111"},{"type":"text","text":" 1111 1111, thanks"}]}`, `{"content":[{"type":"text","text":"card [redacted:payment_card]"},{"type":"text","text":"[redacted:payment_card], thanks"}]}`},
		"many blocks":          {`{"content":[{"text":"a"},{"text":"@ex"},{"text":"ample.com"}]}`, `{"content":[{"text":"[redacted:email]"},{"text":"[redacted:email]"},{"text":"[redacted:email]"}]}`},
		"private key":          {`["-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY----- x"]`, `["[redacted:private_key] x"]`},
		"neighbours":           {`["4111111111111111 030 901820"]`, `["[redacted:payment_card] [redacted:phone]"]`},
	} {
		got, found, err := all.MaskResult(json.RawMessage(tc.in))
		if err != nil || string(got) != tc.want {
			t.Errorf("%s: %v, %v\ngot  %s\nwant %s", name, found, err, got, tc.want)
		}
		if again, found, err := all.MaskResult(got); err != nil || !bytes.Equal(again, got) || len(found) > 0 {
			t.Errorf("%s: again: %v, %v\ngot  %s\nwant %s", name, found, err, again, got)
		}
	}
}

func tagged(s string) string {
	return strings.Map(func(r rune) rune { return 0xE0000 + r }, s)
}

func lines(s string, n int) string {
	var out []string
	for ; len(s) > n; s = s[n:] {
		out = append(out, s[:n])
	}
	return strings.Join(append(out, s), "\n")
}

func TestMaskModes(t *testing.T) {
	const in = `{"structuredContent":{"name":"Ann","mail":"A@example.com","list":[{"k":1},{"k":{"x":[2]}}]},"content":[{"type":"text","text":"{\"name\":\"Ann\",\"list\":[{\"k\":1}]}"},{"type":"text","text":"A@example.com a@example.com EMP-0042"}]}`
	for name, tc := range map[string]struct {
		masks, want string // empty where it is withheld
		found       Findings
	}{
		"redact": {`[{"detector":"email","mode":"redact"}]`, strings.NewReplacer("A@example.com", "[redacted:email]", "a@example.com", "[redacted:email]").Replace(in), Findings{"email": 3}},
		"report": {`[{"detector":"email","mode":"report"},{"path":"/name","mode":"report"}]`, in, Findings{"email": 3, "path /name": 2}},
		"block":  {`[{"detector":"phone","mode":"block"},{"detector":"email","mode":"block"}]`, "", Findings{"email": 3}},
		"path": {`[{"path":"/name","mode":"redact"},{"path":"/list/*/k","mode":"redact"}]`,
			strings.NewReplacer(`"name":"Ann"`, `"name":"[redacted:path]"`, `"k":1`, `"k":"[redacted:path]"`, `"k":{"x":[2]}`, `"k":"[redacted:path]"`,
				`\"Ann\"`, `\"[redacted:path]\"`, `\"k\":1`, `\"k\":\"[redacted:path]\"`).Replace(in), Findings{"path /name": 2, "path /list/*/k": 3}},
		"index":          {`[{"path":"/list/1","mode":"redact"}]`, strings.Replace(in, `{"k":{"x":[2]}}`, `"[redacted:path]"`, 1), Findings{"path /list/1": 1}},
		"pattern":        {`[{"pattern":"EMP-[0-9]+","mode":"redact"}]`, strings.Replace(in, "EMP-0042", "[redacted:pattern]", 1), Findings{"pattern 1": 1}},
		"first mask":     {`[{"pattern":"\\S+@\\S+","mode":"redact"},{"detector":"email","mode":"redact"}]`, strings.NewReplacer("A@example.com", "[redacted:pattern]", "a@example.com", "[redacted:pattern]").Replace(in), Findings{"pattern 1": 3, "email": 3}},
		"hash, no key":   {`[{"path":"/name","mode":"hash"}]`, strings.NewReplacer(`"Ann"`, `"[redacted:path]"`, `\"Ann\"`, `\"[redacted:path]\"`).Replace(in), Findings{"path /name": 2}},
		"nothing to do":  {`[]`, in, nil},
		"report, redact": {`[{"detector":"email","mode":"report"},{"pattern":"EMP","mode":"redact"}]`, strings.Replace(in, "EMP", "[redacted:pattern]", 1), Findings{"email": 3, "pattern 2": 1}},
	} {
		got, found, err := compile(t, `{"mask":`+tc.masks+`}`).MaskResult(json.RawMessage(in))
		if string(got) != tc.want || errors.Is(err, ErrBlocked) != (tc.want == "") || !maps.Equal(found, tc.found) {
			t.Errorf("%s: %v, %v\ngot  %s\nwant %s", name, found, err, got, tc.want)
		}
		if err != nil && (!strings.Contains(err.Error(), "email") || strings.Contains(err.Error(), "@")) {
			t.Errorf("%s: got %v, want the detector and no value", name, err)
		}
	}
}

func TestMaskHash(t *testing.T) {
	c := compile(t, `{"mask":[{"detector":"email","mode":"hash"},{"detector":"payment_card","mode":"hash"},{"path":"/c","mode":"hash"}]}`)
	mask := func(persona, key, in string) []string {
		got, _, err := c.HashedFor(persona, []byte(key)).MaskArguments(json.RawMessage(in))
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		if err := json.Unmarshal(got, &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	const in = `["a@example.com","A@EXAMPLE.com","a\u200b@example.com","b@example.com","4111 1111 1111 1111","4111111111111111"]`
	h := mask("p", "key", in)
	if h[0] != h[1] || h[0] != h[2] || h[0] == h[3] || h[4] != h[5] || !replaced.MatchString(h[0]) {
		t.Errorf("got %q, want one hash for each spelling of a value", h)
	}
	if other := mask("q", "key", in); other[0] == h[0] {
		t.Error("another persona has the same hash")
	}
	if other := mask("p", "yek", in); other[0] == h[0] {
		t.Error("another key gives the same hash")
	}
	bound := c.HashedFor("p", []byte("key"))
	once, _, _ := bound.MaskArguments(json.RawMessage(`{"c":"x","d":"a@example.com"}`))
	if twice, found, err := bound.MaskArguments(once); string(twice) != string(once) || len(found) > 0 || err != nil {
		t.Errorf("hashed again: got %s, want %s", twice, once)
	}
}

func TestMaskRecords(t *testing.T) {
	c := compile(t, `{"mask":[{"detector":"email","mode":"block"},{"path":"/to/name","mode":"redact"}]}`)
	got, found, err := c.MaskArguments(json.RawMessage(`{"to":{"name":"Ann","mail":"a@example.com"},"structuredContent":{"to":{"name":"Bob"}}}`))
	if want := `{"to":{"name":"[redacted:path]","mail":"[redacted:email]"},"structuredContent":{"to":{"name":"Bob"}}}`; string(got) != want || err != nil || found["email"] != 1 {
		t.Errorf("got %s, %v, %v, want %s", got, found, err, want)
	}
	for in, want := range map[string]string{
		"dial a@example.com: refused":     "dial [redacted:email]: refused",
		`{"to":{"name":"Ann"}}`:           `{"to":{"name":"[redacted:path]"}}`,
		"nothing":                         "nothing",
		"bad \xff utf-8 a@example.com":    "bad \xff utf-8 [redacted:email]",
		`{"broken": "a\u0040example.com"`: `{"broken": "[redacted:email]"`,
	} {
		if got := c.MaskText(in); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestMaskInvalid(t *testing.T) {
	for text, want := range map[string]string{
		`{"detector":"email","mode":"hide"}`:               `not "hide"`,
		`{"detector":"email"}`:                             "mode is",
		`{"mode":"redact"}`:                                "give one of",
		`{"detector":"email","path":"/a","mode":"redact"}`: "give one of",
		`{"detector":"mail","mode":"redact"}`:              `no detector "mail"; there are email, phone`,
		`{"pattern":"(","mode":"redact"}`:                  "RE2",
		`{"pattern":"a*","mode":"redact"}`:                 "empty text",
		`{"path":"a","mode":"redact"}`:                     "JSON Pointer",
	} {
		var p Policy
		if err := json.Unmarshal([]byte(`{"mask":[`+text+`]}`), &p); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Compile(nil); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "mask 1") {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

// What cannot be read to its end is withheld, and what is made to cost much costs little.
func TestMaskHostile(t *testing.T) {
	all := everything(t, Redact)
	for _, in := range []string{`{"a":"a@example.com"`, `{} {}`, `["\ud800"]`, "[\"\xff\"]", `{"a":1,}`, strings.Repeat("[", 1_000_000), `[1]x`, " "} {
		if got, _, err := all.MaskResult(json.RawMessage(in)); err == nil || len(got) > 0 {
			t.Errorf("%.20q: got %.20q without an error", in, got)
		}
	}
	nested := `"a@example.com"`
	for range 6 {
		b, err := json.Marshal(nested)
		if err != nil {
			t.Fatal(err)
		}
		nested = "[" + string(b) + "]"
	}
	const size = 1 << 20
	for name, text := range map[string]string{
		"at signs": "@", "dotted": "a.a@", "digits": "1", "groups": "4111 ", "dashes": "-----BEGIN PRIVATE KEY", "blocks": "-----BEGIN RSA PRIVATE KEY-----",
		"zero width": "4\u200b", "escapes": `\u005c`, "percent": "%25", "keys": "sk-sk-", "tokens": "eyJ", "brackets": "[", "objects": `{"a":`, "base64": "QUFB", "secrets": "aws secret ",
		"bearers": "bearer aaaaaaaaaaaa1", "marks": "é\u0301", "slashes": "QUFBQUFBQUFB/", "equals": "QUFBQUFBQUFB=", "ibans": "DE89 ", "quotes": `"@`, "phones": "+49 ",
	} {
		in, err := json.Marshal([]string{strings.Repeat(text, size/len(text))})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		got, _, err := all.MaskResult(in)
		if took := time.Since(began); took > time.Minute { // in more than linear time it would be hours
			t.Errorf("%s: took %v for %d bytes", name, took, len(in))
		} else {
			t.Logf("%-10s %v", name, took)
		}
		if err == nil && !jsontext.Value(got).IsValid() {
			t.Errorf("%s: the masked result is no JSON", name)
		}
	}
	if got, _, err := all.MaskResult(json.RawMessage(nested)); err != nil || !json.Valid(got) || strings.Contains(string(got), "a@example.com") {
		t.Errorf("%d texts within texts: got %s, %v", 6, got, err)
	}
}

func FuzzMaskResult(f *testing.F) {
	for _, l := range labelled(f)[:60] {
		f.Add(fmt.Sprintf(`{"content":[{"type":"text","text":%q}],"structuredContent":{"a":%q}}`, l.Text, b64(l.Text)))
	}
	f.Add(`{"a@b.io":4111111111111111,"x":["{\"n\":4111111111111111}"]}`)
	f.Add(`{"content":[{"text":"a@"},{"text":"b.io"}]}`)
	all := everything(f, Redact)
	f.Fuzz(func(t *testing.T, in string) {
		valid := jsontext.Value(in).IsValid(jsontext.AllowDuplicateNames(true))
		got, _, err := all.MaskResult(json.RawMessage(in))
		if in != "" && (err == nil) != valid {
			t.Fatalf("valid is %v, got the error %v", valid, err)
		}
		if err != nil || in == "" {
			return
		}
		if shape(t, in) != shape(t, string(got)) {
			t.Fatalf("%s became %s", in, got)
		}
		if again, found, err := all.MaskResult(got); err != nil || len(found) > 0 || !bytes.Equal(again, got) {
			t.Fatalf("%s, masked again, is %s: %v, %v", got, again, found, err)
		}
		all.MaskText(in)
	})
}

// Arguments that are only looked at as a whole are as if they had been read, for each detector alone and for all of them.
func FuzzGlance(f *testing.F) {
	for _, l := range labelled(f) {
		f.Add(fmt.Sprintf(`{"a":%q}`, l.Text))
	}
	f.Add(`{"a":41111111,"11111111":1}`)
	f.Add(`{"a":["4111 1111","1111 1111"]}`)
	f.Add(`{"a":"hello","b":[true,null,{}]}`)
	rules := []*Compiled{everything(f, Redact)}
	for _, d := range Detectors {
		one, err := Policy{Mask: []Mask{{Detector: d.Name, Mode: Redact}}}.Compile(nil)
		if err != nil {
			f.Fatal(err)
		}
		rules = append(rules, one)
	}
	f.Fuzz(func(t *testing.T, in string) {
		for _, glancing := range rules {
			reading := *glancing
			reading.digits = 0
			got, found, err := glancing.MaskArguments(json.RawMessage(in))
			want, all, other := reading.MaskArguments(json.RawMessage(in))
			if string(got) != string(want) || len(found) != len(all) || (err == nil) != (other == nil) {
				t.Errorf("%s with %s: got %s, %v, %v, want %s, %v, %v", in, glancing.Mask[0].Detector, got, found, err, want, all, other)
			}
		}
	})
}

// shape is the structure of a JSON text: its objects and arrays, and where their values stand.
func shape(t *testing.T, text string) string {
	d := jsontext.NewDecoder(strings.NewReader(text), jsontext.AllowDuplicateNames(true))
	var b strings.Builder
	for {
		token, err := d.ReadToken()
		if err != nil {
			if err.Error() != "EOF" {
				t.Fatalf("%s is no JSON: %v", text, err)
			}
			return b.String()
		}
		if k := token.Kind(); k == '"' || k == '0' {
			b.WriteByte('.') // a text may stand for a number
		} else {
			b.WriteByte(byte(k))
		}
	}
}

func BenchmarkMaskResult(b *testing.B) {
	row := `{"id":"0b5c1d8e-52f6-4f0e-9a55-6f2b6f4f8c11","title":"Upgrade the build image","state":"open","number":4312,"created_at":"2026-11-23T08:15:00Z","labels":["ci","infra"],"comments":12,"url":"https://git.example.com/acme/api/issues/4312","body":"The image still has go1.25; CI takes 12 minutes.\nSee #4290 and 10.0.0.12:8080."},`
	for _, size := range []int{1 << 10, 100 << 10} {
		rows := "[" + strings.TrimSuffix(strings.Repeat(row, size/2/len(row)+1), ",") + "]"
		quoted, _ := json.Marshal(rows)
		in := json.RawMessage(`{"content":[{"type":"text","text":` + string(quoted) + `}],"structuredContent":{"items":` + rows + `}}`)
		all := everything(b, Redact)
		b.Run(fmt.Sprintf("%dKB", size>>10), func(b *testing.B) {
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				if _, found, err := all.MaskResult(in); err != nil || len(found) > 0 {
					b.Fatal(found, err)
				}
			}
		})
	}
}
