// Package strictjson owns the one reading of JSON that Remit hashes or decides on: text that two parsers could
// understand differently is refused, never guessed at.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

const maxDepth = 64

// Limits bounds a text. The zero value means the defaults.
type Limits struct {
	Bytes int // default 16 MiB
	Depth int // nesting of objects and arrays; default 64
	Names int // object members in the whole text; default 100,000
}

// ErrTooLarge is wrapped by every refusal that a limit caused.
var ErrTooLarge = errors.New("over the limit")

func (l Limits) orDefaults() Limits {
	if l.Bytes == 0 {
		l.Bytes = 16 << 20
	}
	if l.Depth == 0 {
		l.Depth = maxDepth
	}
	if l.Names == 0 {
		l.Names = 100_000
	}
	return l
}

// Check refuses anything but exactly one JSON value: duplicate member names, trailing data, invalid UTF-8, lone
// surrogates, and texts over the limits.
func Check(text []byte, limits Limits) error {
	limits = limits.orDefaults()
	if len(text) > limits.Bytes {
		return fmt.Errorf("JSON of %d bytes is %w of %d", len(text), ErrTooLarge, limits.Bytes)
	}
	if ok, _ := valid(text, limits); ok {
		return nil
	}
	return checkWhole(text, limits)
}

// checkWhole is Check by the reader that knows everything and has the words for refusals.
func checkWhole(text []byte, limits Limits) error {
	names := 0
	dec := jsontext.NewDecoder(bytes.NewReader(text))
	for {
		tok, err := dec.ReadToken()
		if err != nil {
			return fmt.Errorf("ambiguous or invalid JSON: %w", err)
		}
		if dec.StackDepth() == 0 {
			if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
				return errors.New("ambiguous or invalid JSON: data after the first value")
			}
			return nil
		}
		if dec.StackDepth() > limits.Depth {
			return fmt.Errorf("JSON nesting is %w of %d", ErrTooLarge, limits.Depth)
		}
		if kind, n := dec.StackIndex(dec.StackDepth()); kind == '{' && n%2 == 1 && tok.Kind() == '"' {
			if names++; names > limits.Names {
				return fmt.Errorf("JSON member count is %w of %d", ErrTooLarge, limits.Names)
			}
		}
	}
}

// Decode returns the value of text as maps, slices, strings, booleans, nil, and json.Number as it was sent. It refuses what
// [Check] refuses, but for the limits on names and bytes; the nesting may be 64 deep. Strings may be parts of text, which is not to be
// changed as long as they are used.
func Decode(text []byte) (any, error) {
	if ok, _ := valid(text, Limits{}.orDefaults()); ok {
		return Value{Text: text, plain: true}.Decode()
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(text))
	v, err := decode(dec)
	if err != nil {
		return nil, err
	}
	if _, err := dec.ReadToken(); err != io.EOF {
		return nil, errors.New("ambiguous or invalid JSON: data after the first value")
	}
	return v, nil
}

func decode(dec *jsontext.Decoder) (any, error) {
	tok, err := dec.ReadToken()
	if err != nil {
		return nil, fmt.Errorf("ambiguous or invalid JSON: %w", err)
	}
	if dec.StackDepth() > maxDepth {
		return nil, fmt.Errorf("JSON nesting is %w of %d", ErrTooLarge, maxDepth)
	}
	switch tok.Kind() {
	case '{':
		object := map[string]any{}
		for dec.PeekKind() != '}' {
			name, err := dec.ReadToken()
			if err != nil {
				return nil, fmt.Errorf("ambiguous or invalid JSON: %w", err)
			}
			key := name.String() // before the token is overwritten
			if object[key], err = decode(dec); err != nil {
				return nil, err
			}
		}
		_, err := dec.ReadToken()
		return object, err
	case '[':
		list := []any{}
		for dec.PeekKind() != ']' {
			v, err := decode(dec)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := dec.ReadToken()
		return list, err
	case '"':
		return tok.String(), nil
	case '0':
		return json.Number(tok.String()), nil
	case 't', 'f':
		return tok.Bool(), nil
	default:
		return nil, nil
	}
}

// Canonical returns the RFC 8785 form of text, but with every number spelled as it was sent: RFC 8785 would round
// numbers to doubles and give two different schemas one form. It refuses what [Check] refuses. A text that is its own form is returned.
func Canonical(text []byte, limits Limits) ([]byte, error) {
	limits = limits.orDefaults()
	if len(text) <= limits.Bytes {
		if ok, canonical := valid(text, limits); ok && canonical {
			return text, nil
		}
	}
	if err := Check(text, limits); err != nil {
		return nil, err
	}
	v := jsontext.Value(bytes.Clone(text))
	if err := v.Canonicalize(jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false)); err != nil {
		return nil, fmt.Errorf("ambiguous or invalid JSON: %w", err)
	}
	return v, nil
}
