package strictjson_test

import (
	"errors"
	"strings"
	"testing"

	"remit/internal/strictjson"
)

func TestCanonical(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{`{"b":1, "a" : [ 2 ]}`, `{"a":[2],"b":1}`},
		{`{"maximum":9007199254740993}`, `{"maximum":9007199254740993}`}, // RFC 8785 would say …992
		{`{"n":1e3,"m":1.0}`, `{"m":1.0,"n":1e3}`},
		{`"A\u0041"`, `"AA"`},
		{` 12 `, `12`},
	} {
		got, err := strictjson.Canonical([]byte(tc.in), strictjson.Limits{})
		if err != nil || string(got) != tc.want {
			t.Errorf("Canonical(%s): got %s, %v, want %s", tc.in, got, err, tc.want)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"empty":             ``,
		"duplicate":         `{"type":"object","type":"string"}`,
		"escaped duplicate": `{"type":1,"\u0074ype":2}`,
		"trailing":          `{} {}`,
		"trailing scalar":   `1 2`,
		"invalid UTF-8":     "\"\xff\"",
		"lone surrogate":    `"\ud800"`,
		"cut":               `{"a":`,
	} {
		if err := strictjson.Check([]byte(in), strictjson.Limits{}); err == nil {
			t.Errorf("%s: got no error for %q", name, in)
		}
	}
	for name, tc := range map[string]struct {
		in     string
		limits strictjson.Limits
	}{
		"bytes": {`"aaaaaaaaaa"`, strictjson.Limits{Bytes: 5}},
		"depth": {strings.Repeat("[", 100) + strings.Repeat("]", 100), strictjson.Limits{}},
		"names": {`{"a":1,"b":2,"c":3}`, strictjson.Limits{Names: 2}},
	} {
		if err := strictjson.Check([]byte(tc.in), tc.limits); !errors.Is(err, strictjson.ErrTooLarge) {
			t.Errorf("%s: got %v, want ErrTooLarge", name, err)
		}
	}
}

func FuzzCanonical(f *testing.F) {
	f.Add([]byte(`{"a":[1,2.50,"x"],"b":null}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		once, err := strictjson.Canonical(in, strictjson.Limits{})
		if err != nil {
			return
		}
		twice, err := strictjson.Canonical(once, strictjson.Limits{})
		if err != nil || string(twice) != string(once) {
			t.Errorf("got %s, %v, want %s", twice, err, once)
		}
	})
}
