package upstream

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"remit/internal/fakemcp"
)

// A server prints its command line with the secret that an argument's reference stood for.
func TestSecretsOfArgumentsAreCut(t *testing.T) {
	r := newRedactor(Config{Secrets: []string{"--token=canary-0123456789", "Bearer canary-abcdefgh"}})
	got := r.text("usage: srv --token canary-0123456789 and canary-abcdefgh")
	if strings.Contains(got, "canary") {
		t.Errorf("got %q", got)
	}
}

const secret = `s3cr/t+"é'%41\n?key~`

// escaped is the secret with each character written as format says.
func escaped(format string) string {
	var b strings.Builder
	for _, c := range []byte(secret) {
		fmt.Fprintf(&b, format, c)
	}
	return b.String()
}

// disguises are the ways in which programs write a secret down without meaning to hide it.
func disguises() map[string]string {
	inJSON, _ := json.Marshal(secret) // a string always encodes
	twice, _ := json.Marshal(string(inJSON))
	all := map[string]string{
		"as it is":             secret,
		"percent":              url.QueryEscape(secret),
		"percent, everything":  escaped("%%%02x"),
		"percent, twice":       url.QueryEscape(url.QueryEscape(secret)),
		"JSON in the text":     string(inJSON),
		"JSON in JSON":         string(twice),
		"JSON, slash escaped":  strings.ReplaceAll(strings.ReplaceAll(string(inJSON), "/", `\/`), "é", `\u00E9`),
		"backslash x":          escaped(`\x%02X`),
		"hex":                  hex.EncodeToString([]byte(secret)),
		"HEX":                  strings.ToUpper(hex.EncodeToString([]byte(secret))),
		"base64 in percent":    url.QueryEscape(base64.StdEncoding.EncodeToString([]byte("user:" + secret))),
		"base64, JSON escaped": strings.ReplaceAll(base64.StdEncoding.EncodeToString([]byte(secret)), "/", `\/`),
	}
	for name, alphabet := range map[string]*base64.Encoding{"std": base64.StdEncoding, "raw std": base64.RawStdEncoding, "url": base64.URLEncoding, "raw url": base64.RawURLEncoding} {
		for before := range 3 {
			for after := range 3 {
				all[fmt.Sprintf("base64 %s, %d before, %d after", name, before, after)] = alphabet.EncodeToString([]byte("ab"[:before] + secret + "yz"[:after]))
			}
		}
	}
	return all
}

// left says what of the disguised secret can still be read: more than the characters of base64 that it shares with others.
func left(shown, disguise string) string {
	for n := range len(disguise) - 7 {
		if part := disguise[n : n+8]; strings.Contains(shown, part) {
			return part
		}
	}
	return ""
}

func TestDisguisedSecretsAreCut(t *testing.T) {
	r := newRedactor(Config{Env: map[string]string{"TOKEN": secret}})
	for name, d := range disguises() {
		text := "before " + d + " after"
		got := r.text(text)
		if part := left(got, d); part != "" || !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, " after") || !strings.Contains(got, redacted) {
			t.Errorf("%s: got %q of %q, which shows %q", name, got, text, part)
		}
		inString, _ := json.Marshal(text)
		if part := left(string(r.quoted(inString)), d); part != "" {
			t.Errorf("%s as an error's text: got %s, which shows %q", name, r.quoted(inString), part)
		}
		data := fmt.Sprintf(`{ "a":[1.50,%s, null],%s:12345678901234567890}`, inString, inString)
		cut := string(r.data(json.RawMessage(data)))
		if part := left(cut, d); part != "" || !json.Valid([]byte(cut)) || !strings.HasPrefix(cut, `{ "a":[1.50,"before `) || !strings.HasSuffix(cut, `:12345678901234567890}`) {
			t.Errorf("%s: got %s of %s, which shows %q", name, cut, data, part)
		}
	}
}

// An error's text goes on as it came, unless invisible characters split a secret in it.
func TestTextOfErrors(t *testing.T) {
	r := newRedactor(Config{Secrets: []string{"canary-5f2c9a71"}})
	for raw, want := range map[string]string{
		`"two\nlines,  \u00e9 \u001b[31mred"`:          `"two\nlines,  \u00e9 \u001b[31mred"`,
		`"it is \u0063anary-5f2c9a71, \u00e9"`:         `"it is [redacted], é"`,
		`"it is canary-\u200b5f2c9a71,\n  see above"`:  `"it is [redacted], see above"`,
		`"it is canary\u001b[0m-5f2c9a71,\n  see abc"`: `"it is [redacted], see abc"`,
	} {
		if got := string(r.quoted(json.RawMessage(raw))); got != want {
			t.Errorf("%s: got %s, want %s", raw, got, want)
		}
	}
}

func TestDataStaysJSON(t *testing.T) {
	account := `{"key_id":"abcdefgh12345678","private_key":"line one\nline two of the key"}`
	r := newRedactor(Config{Secrets: []string{account, "123456789012"}})
	for name, c := range map[string]struct{ data, want string }{
		"a number":              {`{"pin":123456789012,"n":-1.0e3}`, `{"pin":"[redacted]","n":-1.0e3}`},
		"no secret":             {`{"text":"\u00e9\/ <b>",  "n":1.0}`, `{"text":"\u00e9\/ <b>",  "n":1.0}`},
		"a whole object":        {`{"conf":` + account + `}`, `{"conf":{"key_id":"[redacted]","private_key":"[redacted]"}}`},
		"laid out anew":         {`{"private_key" : "line one\u000aline two of the key"}`, `{"private_key" : "[redacted]"}`},
		"a secret at each side": {`["123456789012abcdefgh12345678"]`, `["[redacted][redacted]"]`},
		"none":                  {``, ``},
	} {
		if got := string(r.data(json.RawMessage(c.data))); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
	over := newRedactor(Config{Secrets: []string{`"user","pass"`}})
	if got := string(over.data(json.RawMessage(`["user","pass"]`))); got != `"[redacted]"` {
		t.Errorf("a secret over two strings: got %s", got)
	}
}

// What a tool returns is its own affair; only when it says that it failed it may be its configuration that it shows.
func TestOnlyErrorResultsAreCut(t *testing.T) {
	const canary = "canary-5f2c9a71"
	encoded := base64.StdEncoding.EncodeToString([]byte("user:" + canary))
	results := map[string]json.RawMessage{
		"fine":    json.RawMessage(`{"content":[{"type":"text","text":"` + canary + `"}],"structuredContent":{"isError":true,"n":1.0},"isError":false}`),
		"failing": json.RawMessage(`{"isError":true,"content":[{"type":"text","text":"curl -u ` + encoded + ` \u0063anary-5f2c9a71"}],"structuredContent":{"n":1.50}}`),
		"twice":   json.RawMessage(`{"isError":true,"content":[{"type":"text","text":"` + canary + `"}],"isError":false}`),
	}
	want := map[string]string{
		"fine":    string(results["fine"]),
		"failing": `{"isError":true,"content":[{"type":"text","text":"curl -u dXNlcjp[redacted]E= [redacted]"}],"structuredContent":{"n":1.50}}`,
		"twice":   `{"isError":true,"content":[{"type":"text","text":"[redacted]"}],"isError":false}`,
	}
	failures := map[string]json.RawMessage{"rpc": json.RawMessage(`{"code":-32001,"message":"no: ` + encoded + `","data":{"tried":["\u0063anary-5f2c9a71"]}}`)}
	eachKind(t, func(t *testing.T, k kind) {
		c := k.reach(t, fakemcp.Config{Results: results, Errors: failures})
		c.Secrets = []string{"Bearer " + canary}
		s := one(t, c)
		for tool, want := range want {
			got, err := s.Call(within(t), Call{Tool: tool})
			if err != nil || got.String() != want {
				t.Errorf("%s: got %s, %v, want %s", tool, got, err, want)
			}
		}
		_, err := s.Call(within(t), Call{Tool: "rpc"})
		var rpc *RPCError
		if !errors.As(err, &rpc) || rpc.Message != "no: dXNlcjp[redacted]E=" || string(rpc.Text) != `"no: dXNlcjp[redacted]E="` || string(rpc.Data) != `{"tried":["[redacted]"]}` {
			t.Errorf("got %+v", err)
		}
	})
}

// FuzzData holds that whatever valid JSON a server sends as data stays valid, and shows no secret.
func FuzzData(f *testing.F) {
	r := newRedactor(Config{Secrets: []string{secret, "canary-5f2c9a71", `{"a":"b","c":1}`}})
	f.Add(`{"a":"canary-5f2c9a71"}`)
	f.Add(`[1,{"a":"b","c":1},"\u0063anary-5f2c9a71"]`)
	f.Fuzz(func(t *testing.T, data string) {
		if !json.Valid([]byte(data)) {
			return
		}
		got := r.data(json.RawMessage(data))
		if !json.Valid(got) || r.spans(string(got)) != nil {
			t.Errorf("got %s of %s", got, data)
		}
	})
}
