package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Bounds of the arguments that conditions are asked about.
const (
	maxArguments = 1 << 20 // bytes
	maxValues    = 10_000  // members, elements and the values in them
	maxDepth     = 64
	maxExact     = 1 << 53 // below it a double and an integer compare exactly
)

var (
	errArguments = errors.New("the arguments are not an object without duplicate members")
	errTooMany   = errors.New("the arguments are too large or too deeply nested")
	errInexact   = errors.New("the call has a number that cannot be compared exactly")
)

// values decodes the arguments for conditions: integers become int64, fractions float64. Errors hold nothing of the arguments.
func values(raw json.RawMessage) (map[string]any, error) {
	if len(raw) > maxArguments {
		return nil, errTooMany
	}
	r := reader{jsontext.NewDecoder(bytes.NewReader(raw)), maxValues}
	v, err := r.value(0)
	if err != nil {
		return nil, err
	}
	object, ok := v.(map[string]any)
	if _, err := r.ReadToken(); !ok || err != io.EOF {
		return nil, errArguments
	}
	return object, nil
}

type reader struct {
	*jsontext.Decoder
	left int // how many values may follow
}

func (r *reader) value(depth int) (any, error) {
	if r.left--; r.left < 0 || depth > maxDepth {
		return nil, errTooMany
	}
	t, err := r.ReadToken()
	if err != nil {
		return nil, errArguments
	}
	switch t.Kind() {
	case 'n':
		return nil, nil
	case 't', 'f':
		return t.Bool(), nil
	case '"':
		return t.String(), nil
	case '0':
		return exactly(t.String())
	case '[':
		return r.list(depth)
	default:
		return r.object(depth)
	}
}

func (r *reader) list(depth int) (any, error) {
	list := []any{}
	for r.PeekKind() != ']' {
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	if _, err := r.ReadToken(); err != nil {
		return nil, errArguments
	}
	return list, nil
}

func (r *reader) object(depth int) (any, error) {
	object := map[string]any{}
	for r.PeekKind() != '}' {
		name, err := r.ReadToken()
		if err != nil {
			return nil, errArguments
		}
		key := name.String() // before the next token overwrites it
		if object[key], err = r.value(depth + 1); err != nil {
			return nil, err
		}
	}
	if _, err := r.ReadToken(); err != nil {
		return nil, errArguments
	}
	return object, nil
}

// exactly is the number as an int64 if it is whole, in whatever spelling, and else as the float64 whose shortest spelling is the
// same number. A condition would see another number where neither is: those are refused, however small the difference.
func exactly(text string) (any, error) {
	digits, exponent, negative, ok := decimal(text)
	if !ok {
		return nil, errInexact
	}
	if exponent >= 0 && len(digits)+exponent <= 19 { // an int64 has 19 digits
		whole := digits + strings.Repeat("0", exponent)
		if negative {
			whole = "-" + whole
		}
		if n, err := strconv.ParseInt(whole, 10, 64); err == nil {
			return n, nil
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || exponent >= 0 {
		return nil, errInexact
	}
	shortest, e, _, _ := decimal(strconv.FormatFloat(f, 'e', -1, 64))
	if shortest != digits || e != exponent {
		return nil, errInexact
	}
	return f, nil
}

// decimal splits a JSON number into its significant digits and a power of ten: -1.50e3 is 15 and 2. Zero is 0 and 0.
func decimal(text string) (digits string, exponent int, negative, ok bool) {
	text, negative = strings.CutPrefix(text, "-")
	mantissa, power, scientific := strings.Cut(strings.ToLower(text), "e")
	if scientific {
		var err error
		if exponent, err = strconv.Atoi(power); err != nil || exponent > maxExponent || exponent < -maxExponent {
			return "", 0, false, false
		}
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits = strings.TrimLeft(whole+fraction, "0")
	exponent -= len(fraction)
	trimmed := strings.TrimRight(digits, "0")
	exponent += len(digits) - len(trimmed)
	if trimmed == "" {
		return "0", 0, negative, true
	}
	return trimmed, exponent, negative, true
}
