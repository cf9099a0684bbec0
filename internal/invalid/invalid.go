// Package invalid owns which field of a request an error is about, so that an answer can name it.
package invalid

import "errors"

// field is an error that knows its field. It reads as the error alone.
type field struct {
	name string // JSON Pointer without its first slash, such as "tools/2/policy"
	err  error
}

func (f field) Error() string { return f.err.Error() }
func (f field) Unwrap() error { return f.err }

// At says that err is about the field. Names add up: At("tools/1", At("policy", err)) is about "tools/1/policy".
func At(name string, err error) error {
	if err == nil {
		return nil
	}
	if inner := Field(err); inner != "" {
		name += "/" + inner
	}
	return field{name, err}
}

// Field returns what err is about; empty when nobody said.
func Field(err error) string {
	if f, ok := errors.AsType[field](err); ok {
		return f.name
	}
	return ""
}
