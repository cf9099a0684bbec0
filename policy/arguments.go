package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	strict "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"remit/internal/strictjson"
)

// Constraint narrows one argument. What is constrained has to be given, unless it is optional: what a server takes for an
// argument that is left out is not known.
type Constraint struct {
	Path      string            `json:"path"` // JSON Pointer to a member ("/channel", "/filter/owner")
	Const     json.RawMessage   `json:"const,omitempty"`
	Enum      []json.RawMessage `json:"enum,omitempty"`
	Minimum   json.RawMessage   `json:"minimum,omitempty"` // a number, compared exactly
	Maximum   json.RawMessage   `json:"maximum,omitempty"`
	MaxLength int               `json:"max_length,omitempty"` // characters of a string
	Pattern   string            `json:"pattern,omitempty"`    // RE2; the whole string has to match
	Optional  bool              `json:"optional,omitempty"`   // may be left out
	Forbidden bool              `json:"forbidden,omitempty"`  // must be left out
}

// constraint is compiled.
type constraint struct {
	Constraint
	steps    []string
	allowed  []string // canonical JSON
	min, max *big.Rat
	pattern  *regexp.Regexp
}

func (c Constraint) compile(inputSchema json.RawMessage) (constraint, error) {
	k := constraint{Constraint: c}
	var err error
	if k.steps, err = pointer(c.Path); err != nil {
		return k, err
	}
	if err := declared(inputSchema, k.steps); err != nil {
		return k, err
	}
	values := c.Enum
	if len(c.Const) > 0 {
		values = append(slices.Clone(values), c.Const)
		if len(c.Enum) > 0 {
			return k, errors.New("give const or enum, not both")
		}
	}
	for _, v := range values {
		text, err := canonical(v)
		if err != nil {
			return k, fmt.Errorf("%s is not valid JSON: %v", v, err)
		}
		k.allowed = append(k.allowed, text)
	}
	if k.min, err = rational(c.Minimum); err != nil {
		return k, err
	}
	if k.max, err = rational(c.Maximum); err != nil {
		return k, err
	}
	if c.Pattern != "" {
		if k.pattern, err = regexp.Compile(`^(?:` + c.Pattern + `)$`); err != nil {
			return k, fmt.Errorf("the pattern is no regular expression (RE2): %v", err)
		}
	}
	rules := len(values) > 0 || k.min != nil || k.max != nil || k.pattern != nil || c.MaxLength > 0
	switch {
	case c.MaxLength < 0:
		return k, errors.New("max_length is not negative")
	case c.Forbidden && (rules || c.Optional):
		return k, errors.New("what is forbidden has no other rule")
	case !c.Forbidden && c.Optional && !rules:
		return k, errors.New("it says nothing: what is optional needs another rule")
	case (k.min != nil || k.max != nil) && (k.pattern != nil || c.MaxLength > 0):
		return k, errors.New("a number has no pattern or length, a string no minimum or maximum")
	}
	return k, nil
}

// pointer splits a JSON Pointer (RFC 6901) to a member.
func pointer(path string) ([]string, error) {
	if !strings.HasPrefix(path, "/") || len(path) < 2 || len(path) > 500 {
		return nil, fmt.Errorf("a path is a JSON Pointer such as /channel, not %q", path)
	}
	steps := strings.Split(path[1:], "/")
	for i, s := range steps {
		steps[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(s)
	}
	return steps, nil
}

// declared says whether the schema has properties of these names. One that allows undeclared members has all.
func declared(schema json.RawMessage, steps []string) error {
	for i, step := range steps {
		var s struct {
			Properties map[string]json.RawMessage `json:"properties"`
		}
		if json.Unmarshal(schema, &s) != nil {
			return nil // true, or a schema that is no plain object: checked at the call all the same
		}
		next, ok := s.Properties[step]
		if !ok && i == 0 && len(s.Properties) > 0 {
			return fmt.Errorf("the tool has no argument %q", step)
		}
		if !ok {
			return nil
		}
		schema = next
	}
	return nil
}

func rational(n json.RawMessage) (*big.Rat, error) {
	if len(n) == 0 {
		return nil, nil
	}
	r, ok := number(string(n))
	if !ok {
		return nil, fmt.Errorf("%s is no number that can be compared", n)
	}
	return r, nil
}

// maxExponent bounds the numbers that are compared: beyond it they are refused, not computed.
const maxExponent = 400

// number reads a JSON number exactly.
func number(text string) (*big.Rat, bool) {
	if len(text) > 400 {
		return nil, false
	}
	if _, exponent, ok := strings.Cut(strings.ToLower(text), "e"); ok {
		var e int
		if _, err := fmt.Sscanf(exponent, "%d", &e); err != nil || e > maxExponent || e < -maxExponent {
			return nil, false
		}
	}
	return new(big.Rat).SetString(text)
}

// canonical is one spelling of a JSON value: numbers that are equal are spelled alike, members are sorted.
func canonical(raw json.RawMessage) (string, error) {
	v := jsontext.Value(bytes.Clone(raw))
	if !v.IsValid() {
		return "", errors.New("syntax")
	}
	if v.Kind() == '0' {
		r, ok := number(strings.TrimSpace(string(v)))
		if !ok {
			return "", errors.New("a number that cannot be compared")
		}
		return r.RatString(), nil
	}
	if err := v.Canonicalize(jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false)); err != nil {
		return "", err
	}
	return string(v), nil
}

// arguments are the members of an object, as sent.
type arguments strictjson.Object

func decode(object strictjson.Value) (arguments, error) {
	a, err := object.Object()
	if err != nil {
		return nil, errors.New("they are not an object without duplicate members")
	}
	return arguments(a), nil
}

// at finds a member. found is false when it is not there; an error says that it cannot be there: what should hold it is no object.
func (a arguments) at(steps []string) (value jsontext.Value, found bool, err error) {
	for i, step := range steps {
		member, found := strictjson.Object(a).Member(step)
		if value = member.Text; !found || i+1 == len(steps) {
			return value, found, nil
		}
		if value.Kind() != '{' {
			return nil, false, fmt.Errorf("%s is not an object", "/"+strings.Join(steps[:i+1], "/"))
		}
		if a, err = decode(member); err != nil {
			return nil, false, err
		}
	}
	return nil, false, nil
}

// check says why the arguments are outside the constraint; empty when they are not.
func (k constraint) check(args arguments) string {
	value, found, err := args.at(k.steps)
	switch {
	case err != nil:
		return err.Error()
	case k.Forbidden && found:
		return k.Path + " must not be given"
	case k.Forbidden, !found && k.Optional:
		return ""
	case !found:
		return k.Path + " must be given"
	}
	return k.allows(value)
}

func (k constraint) allows(value jsontext.Value) string {
	if len(k.allowed) > 0 {
		text, err := canonical(json.RawMessage(value))
		if err != nil || !slices.Contains(k.allowed, text) {
			return k.Path + " must be " + k.choices()
		}
	}
	if k.min != nil || k.max != nil {
		n, ok := number(string(value))
		switch {
		case value.Kind() != '0' || !ok:
			return k.Path + " must be a number"
		case k.min != nil && n.Cmp(k.min) < 0:
			return k.Path + " must be at least " + string(k.Minimum)
		case k.max != nil && n.Cmp(k.max) > 0:
			return k.Path + " must be at most " + string(k.Maximum)
		}
	}
	if k.pattern != nil || k.MaxLength > 0 {
		if k.pattern == nil && value.Kind() == '"' && len(value) <= k.MaxLength+len(`""`) {
			return "" // no character is spelled with less than a byte
		}
		text, read := strictjson.Text(value)
		switch {
		case value.Kind() != '"' || !read && strict.Unmarshal(value, &text) != nil:
			return k.Path + " must be a string"
		case k.MaxLength > 0 && utf8.RuneCountInString(text) > k.MaxLength:
			return fmt.Sprintf("%s must have at most %d characters", k.Path, k.MaxLength)
		case k.pattern != nil && !k.pattern.MatchString(text):
			return k.Path + " must match " + k.Pattern
		}
	}
	return ""
}

func (k constraint) choices() string {
	if len(k.Const) > 0 {
		return string(k.Const)
	}
	var texts []string
	for _, v := range k.Enum {
		texts = append(texts, string(v))
	}
	return "one of " + strings.Join(texts, ", ")
}
