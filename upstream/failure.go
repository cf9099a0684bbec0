package upstream

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"remit/internal/strictjson"
)

// data takes the secrets out of the data of an error; it stays valid JSON.
func (r *redactor) data(raw json.RawMessage) json.RawMessage { return r.json(raw, quote(redacted)) }

// quoted takes the secrets out of a JSON string. Where one is found only once
// the text is cleaned, the text is passed on cleaned and short.
func (r *redactor) quoted(raw json.RawMessage) json.RawMessage {
	shown := r.json(raw, quote(redacted))
	var text string
	if json.Unmarshal(shown, &text) != nil {
		return quote(redacted)
	}
	if r.spans(clean(text, len(text))) != nil {
		return quote(r.words(text, maxErrorText))
	}
	return shown
}

// result takes the secrets out of a tool's result that is an error. Every
// other result stays as the server sent it, byte for byte.
func (r *redactor) result(result strictjson.Value) strictjson.Value {
	if !Failed(result) {
		return result
	}
	return strictjson.Value{Text: r.json(result.Text, []byte(`{"content":[{"type":"text","text":"`+redacted+`"}],"isError":true}`))}
}

var saysError = regexp.MustCompile(`"isError"\s*:\s*true`)

// Failed reports whether a result's own member isError is true. A member of
// something within it says nothing.
func Failed(result strictjson.Value) bool {
	if result.Known() {
		is, _ := result.Member("isError")
		return string(is.Text) == "true"
	}
	if !saysError.Match(result.Text) {
		return false
	}
	in := json.NewDecoder(bytes.NewReader(result.Text))
	if start, err := in.Token(); err != nil || start != json.Delim('{') {
		return false
	}
	for in.More() {
		name, err := in.Token()
		var value json.RawMessage
		if err != nil || in.Decode(&value) != nil {
			return false
		}
		if name == "isError" && string(value) == "true" {
			return true
		}
	}
	return false
}

// json takes the secrets out of the strings and numbers of valid JSON and
// leaves every other byte as it is. Where a secret reaches over more than one
// of them, such as a secret that is JSON itself, nothing stays: whole is returned.
func (r *redactor) json(raw, whole []byte) []byte {
	var b []byte
	done := 0
	for i := 0; i < len(raw); {
		end := scalarEnd(raw, i)
		if end == i {
			i++
			continue
		}
		text := string(raw[i:end])
		if raw[i] == '"' {
			_ = json.Unmarshal(raw[i:end], &text) // what is no string after all is searched as it stands
		}
		if shown := r.text(text); shown != text {
			b = append(append(b, raw[done:i]...), quote(shown)...)
			done = end
		}
		i = end
	}
	if done > 0 {
		raw = append(b, raw[done:]...)
	}
	if r.spans(string(raw)) != nil {
		return whole
	}
	return raw
}

// scalarEnd is the end of the string or number that begins at i, and i if none does.
func scalarEnd(raw []byte, i int) int {
	switch c := raw[i]; {
	case c == '"':
		for end := i + 1; end < len(raw); end++ {
			switch raw[end] {
			case '\\':
				end++
			case '"':
				return end + 1
			}
		}
		return len(raw)
	case c == '-' || c >= '0' && c <= '9':
		end := i
		for end < len(raw) && strings.IndexByte("+-.eE0123456789", raw[end]) >= 0 {
			end++
		}
		return end
	}
	return i
}

// quote is text as a JSON string, with nothing escaped that need not be.
func quote(text string) []byte {
	b, _ := jsontext.AppendQuote(nil, text) // invalid UTF-8 is replaced
	return b
}
