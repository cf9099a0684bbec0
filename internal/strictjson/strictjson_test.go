package strictjson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	strict "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

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

// Decode reads what encoding/json reads with its numbers as they are, and refuses what Check refuses.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`{"a":[1,2.50,"x",{}],"b":null,"c":true,"d":false}`, `[]`, `"\u0041"`, `{"a":1,"a":2}`, `1 2`, `{"a":[[1e400]]}`, `[1,`, `{"a"`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := strictjson.Decode(in)
		if refused := strictjson.Check(in, strictjson.Limits{}); (err != nil) != (refused != nil) {
			t.Fatalf("got %v, and Check says %v", err, refused)
		}
		if err != nil {
			return
		}
		var want any
		dec := json.NewDecoder(bytes.NewReader(in))
		dec.UseNumber()
		if err := dec.Decode(&want); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %#v, want %#v, %v", got, want, err)
		}
	})
}

// What is read in one pass is what the whole reader reads: the same texts are valid, canonical, and of the same members.
func FuzzPlain(f *testing.F) {
	for _, seed := range []string{`{"a":[1,2.50,"x",{}],"b":null,"c":true,"d":false}`, ` [ ] `, `"\u0041"`, `{"a":1,"a":2}`, `1 2`, `{"a":[[1e400]]}`, `[1,`, `{"a"`,
		`{"b":1,"a":"x\ny\"z\\"}`, `{"a":"é\/"}`, `{"é":1,"z":2}`, "\"a\x00\"", "\"\xff\"", `-0`, `01`, `1.`, `1e`, `.5`, `+1`, `{"a":1,}`, `[1,]`, `[,1]`, `{,}`, `"\`, `"\"`, `"\\"`, `truex`, `nul`, "", " "} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		limits := strictjson.Limits{Bytes: 1 << 20, Depth: 4, Names: 5}
		ok, canonical := strictjson.Valid(in, limits)
		dec := jsontext.NewDecoder(bytes.NewReader(in))
		value, err := dec.ReadValue()
		form := bytes.Clone(value)
		if err == nil {
			_, err = dec.ReadToken()
		}
		if valid := errors.Is(err, io.EOF); ok && !valid {
			t.Fatalf("%q is valid only to the one pass: %v", in, err)
		}
		if ok && strictjson.CheckWhole(in, limits) != nil {
			t.Fatalf("%q is over the limits, and not to the one pass", in)
		}
		if canonical {
			if err := (*jsontext.Value)(&form).Canonicalize(jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false)); err != nil || !bytes.Equal(form, in) {
				t.Fatalf("%q is canonical to the one pass, and else %q, %v", in, form, err)
			}
		}
		if text, ok := strictjson.Text(in); ok {
			var want string
			if err := strict.Unmarshal(in, &want); err != nil || text != want {
				t.Fatalf("%q says %q, and else %q, %v", in, text, want, err)
			}
		}
		if v, ok := strictjson.Read(in, 2); ok {
			sameMembers(t, v, 2)
		}
	})
}

// sameMembers holds what is known of a value against what its text says when it is read by itself.
func sameMembers(t *testing.T, v strictjson.Value, deep int) {
	got, err := v.Decode()
	want, other := strictjson.Decode(v.Text)
	if err != nil || other != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%q is %#v, %v, and by itself %#v, %v", v.Text, got, err, want, other)
	}
	form, err := v.Canonical(strictjson.Limits{})
	if same, other := strictjson.Canonical(v.Text, strictjson.Limits{}); err != nil || other != nil || !bytes.Equal(form, same) {
		t.Fatalf("%q has the form %q, %v, and by itself %q, %v", v.Text, form, err, same, other)
	}
	members, ok := v.Members()
	if object := v.Text[0] == '{'; ok != object || !object || deep == 0 {
		if ok != object {
			t.Fatalf("%q: got members %v", v.Text, ok)
		}
		return
	}
	var alone map[string]jsontext.Value
	if err := strict.Unmarshal(v.Text, &alone); err != nil || len(alone) != len(members) {
		t.Fatalf("%q has members %v, and by itself %q, %v", v.Text, members, alone, err)
	}
	for _, m := range members {
		if !bytes.Equal(m.Text, alone[m.Name]) {
			t.Errorf("%q: %q is %q, and by itself %q", v.Text, m.Name, m.Text, alone[m.Name])
		}
		sameMembers(t, m.Value, deep-1)
	}
}

// Check decides by counting where a text has many brackets or names, and without where it has few: both refuse the same.
func TestCheckCounts(t *testing.T) {
	for _, in := range []string{`{"a":1,"a":2}`, `{"a":1} {}`, "\"\xff\"", `"\ud800"`, `{"a":`, `{"a":[1,{"b":2}]}`} {
		few, many := strictjson.Check([]byte(in), strictjson.Limits{}), strictjson.Check([]byte(`[`+strings.Repeat(`[],`, 70)+in+`]`), strictjson.Limits{})
		if (few == nil) != (many == nil) && in != `{"a":1} {}` {
			t.Errorf("%s: got %v alone and %v among many", in, few, many)
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
