// Package strictjson owns the one reading of JSON that Remit hashes or decides on: text that two parsers could
// understand differently is refused, never guessed at.
package strictjson

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

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
		l.Depth = 64
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

// Canonical returns the RFC 8785 form of text, but with every number spelled as it was sent: RFC 8785 would round
// numbers to doubles and give two different schemas one form. It refuses what [Check] refuses.
func Canonical(text []byte, limits Limits) ([]byte, error) {
	if err := Check(text, limits); err != nil {
		return nil, err
	}
	v := jsontext.Value(bytes.Clone(text))
	if err := v.Canonicalize(jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false)); err != nil {
		return nil, fmt.Errorf("ambiguous or invalid JSON: %w", err)
	}
	return v, nil
}
