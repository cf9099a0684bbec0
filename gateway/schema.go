package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	english "golang.org/x/text/message"

	"github.com/go-json-experiment/json/jsontext"

	"remit/catalog"
	"remit/internal/strictjson"
)

// schema checks arguments or results against one approved schema. Drafts 4, 6, 7, 2019-09 and 2020-12 are known by $schema,
// and 2020-12 is meant without one; nothing is ever loaded from a network or a file; patterns run in linear time.
type schema struct {
	raw     json.RawMessage // as pinned
	headers []paramHeader

	mu       sync.Mutex // one check at a time, because of budget and names
	compiled *jsonschema.Schema
	budget   int
	names    lookout
}

// maxEvaluations bounds one check: a schema that refers to itself in several branches takes time exponential in the depth
// of what is checked. It is about half a second of one core. Long texts and long lists of what is allowed count as several.
const maxEvaluations = 500_000

// noInput is the schema of the few tools that have none: they take no arguments.
const noInput = `{"type":"object","additionalProperties":false}`

// compile reads the input schema out of a definition, and the output schema if it has one.
func compile(definition json.RawMessage) (input, output *schema, err error) {
	whole, err := strictjson.Unread(definition).Object()
	if err != nil {
		return nil, nil, fmt.Errorf("the definition cannot be read: %w", err)
	}
	d := members(whole)
	raw := d.at("inputSchema")
	if kind, _ := catalog.Unwrap(definition); kind != catalog.ATool {
		made, err := catalog.InputSchema(definition)
		if err != nil {
			return nil, nil, fmt.Errorf("the definition cannot be read: %w", err)
		}
		raw = jsontext.Value(made)
	}
	if raw == nil {
		raw = []byte(noInput)
	}
	if input, err = newSchema(json.RawMessage(raw)); err != nil {
		return nil, nil, fmt.Errorf("the input schema cannot be used: %w", err)
	}
	if raw := d.at("outputSchema"); raw != nil && raw.Kind() != 'n' { // null promises nothing
		if output, err = newSchema(json.RawMessage(raw)); err != nil {
			return nil, nil, fmt.Errorf("the output schema cannot be used: %w", err)
		}
	}
	return input, output, nil
}

func newSchema(raw json.RawMessage) (*schema, error) {
	decoded, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	s := &schema{raw: raw, names: lookout{anchors: map[string][]*jsonschema.Schema{}}}
	tree, ok := decoded.(map[string]any)
	if !ok {
		return nil, errors.New("it is not an object")
	}
	if err := smallNumbers(decoded); err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(noLoader{})
	const name = "https://remit.invalid/schema.json" // so that relative references lead outside, too
	if err := c.AddResource(name, decoded); err != nil {
		return nil, err
	}
	if s.compiled, err = c.Compile(name); err != nil {
		return nil, err
	}
	s.meter(reflect.ValueOf(s.compiled), map[uintptr]bool{})
	s.headers = paramHeaders(tree, nil)
	return s, nil
}

// noLoader refuses every schema that is not within the definition itself.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("it refers to %s, and schemas are never loaded from elsewhere", clean(url, 200))
}

// errBudget ends a check.
var errBudget = errors.New("the check took too long: there is too much of it, or it is nested too deeply for this schema")

// meter makes every subschema spend from the budget when it is evaluated. The validator has no such limit; a format is
// the one hook that it calls for every value.
func (s *schema) meter(v reflect.Value, seen map[uintptr]bool) {
	switch v.Kind() {
	case reflect.Interface:
		s.meter(v.Elem(), seen)
	case reflect.Slice:
		for i := range v.Len() {
			s.meter(v.Index(i), seen)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			s.meter(v.MapIndex(key), seen)
		}
	case reflect.Pointer:
		sub, ok := v.Interface().(*jsonschema.Schema)
		if dynamic, is := v.Interface().(*jsonschema.DynamicRef); is && dynamic != nil {
			sub, ok = dynamic.Ref, true
		}
		if !ok || sub == nil || seen[reflect.ValueOf(sub).Pointer()] {
			return
		}
		seen[reflect.ValueOf(sub).Pointer()] = true
		if sub.DynamicAnchor != "" {
			s.names.anchors[sub.DynamicAnchor] = append(s.names.anchors[sub.DynamicAnchor], sub)
		}
		if sub.RecursiveAnchor {
			s.names.anchors[""] = append(s.names.anchors[""], sub)
		}
		fields := reflect.ValueOf(sub).Elem()
		for i := range fields.NumField() {
			if fields.Type().Field(i).IsExported() {
				s.meter(fields.Field(i), seen)
			}
		}
		sub.Format = s.metered(sub)
	}
}

// metered is the format of a subschema, which counts each evaluation by what may have to be looked at. A pattern reads a text at
// about ten characters a step.
func (s *schema) metered(sub *jsonschema.Schema) *jsonschema.Format {
	f, cost, patterns := sub.Format, 1, len(sub.PatternProperties)
	if sub.Enum != nil {
		cost += len(sub.Enum.Values) / 8
	}
	out := &jsonschema.Format{Name: "any"}
	if f != nil {
		out.Name = f.Name
	}
	out.Validate = func(v any) error {
		s.budget -= cost
		switch v := v.(type) {
		case string:
			s.budget -= len(v) / 64
			if sub.Pattern != nil {
				s.budget -= len(v) / 10
			}
		case map[string]any:
			for name := range v {
				s.budget -= patterns * (1 + len(name)/10)
			}
		}
		if s.budget < 0 {
			panic(errBudget)
		}
		if f == nil {
			return nil
		}
		return f.Validate(v)
	}
	return out
}

// check says in words what is wrong with the arguments, if anything.
func (s *schema) check(arguments strictjson.Value) error {
	v, err := arguments.Decode()
	if err != nil {
		return &mismatch{"", "they are not valid JSON"}
	}
	if err := smallNumbers(v); err != nil {
		return &mismatch{"", err.Error()}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.names.lookAlike(s.compiled, v); err != nil {
		return err
	}
	if invalid, err := s.evaluate(v); invalid != nil {
		return inWords(invalid)
	} else if err != nil {
		return &mismatch{"", err.Error()}
	}
	return nil
}

// evaluate runs the validator within the budget. The caller holds mu.
func (s *schema) evaluate(v any) (invalid *jsonschema.ValidationError, err error) {
	s.budget = maxEvaluations
	defer func() {
		if p := recover(); p != nil {
			if p != errBudget {
				panic(p)
			}
			err = errBudget
		}
	}()
	err = s.compiled.Validate(v)
	if invalid, ok := errors.AsType[*jsonschema.ValidationError](err); ok {
		return invalid, nil
	}
	return nil, err
}

// mismatch is one thing wrong with arguments.
type mismatch struct{ path, words string }

func (m *mismatch) Error() string {
	if m.path == "" {
		return m.words
	}
	return "at " + m.path + ": " + m.words
}

// schemaPath is where the arguments failed; what they held there is not repeated.
func schemaPath(err error) string {
	var m *mismatch
	if errors.As(err, &m) && m.path != "" {
		return clean(m.path, 200)
	}
	return "their root"
}

// inWords takes the first cause that has no further cause.
func inWords(e *jsonschema.ValidationError) *mismatch {
	for len(e.Causes) > 0 {
		e = e.Causes[0]
	}
	path := ""
	for _, token := range e.InstanceLocation {
		path += pointer(token)
	}
	return &mismatch{path, e.ErrorKind.LocalizedString(english.NewPrinter(language.English))}
}

// pointer is a token of a JSON pointer.
func pointer(token string) string {
	return "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(token)
}

// maxNumber bounds the length and the exponent of a number: exact arithmetic on 1e999999999 fills the memory.
const maxNumber = 400

func smallNumbers(v any) error {
	switch v := v.(type) {
	case json.Number:
		_, exponent, _ := strings.Cut(strings.ToLower(v.String()), "e")
		if n, err := strconv.Atoi(orDefault(exponent, "0")); err != nil || n > maxNumber || n < -maxNumber || len(v) > maxNumber {
			return fmt.Errorf("a number has more than %d digits", maxNumber)
		}
	case map[string]any:
		for _, value := range v {
			if err := smallNumbers(value); err != nil {
				return err
			}
		}
	case []any:
		for _, value := range v {
			if err := smallNumbers(value); err != nil {
				return err
			}
		}
	}
	return nil
}

// paramHeader is an argument that the stateless era mirrors into a header (2026-07-28, streamable HTTP, x-mcp-header).
type paramHeader struct {
	name string
	path []string
}

// paramHeaders finds the annotated parameters, through properties only.
func paramHeaders(tree map[string]any, path []string) []paramHeader {
	var out []paramHeader
	properties, _ := tree["properties"].(map[string]any)
	for name, raw := range properties {
		sub, _ := raw.(map[string]any)
		at := append(slices.Clone(path), name)
		if header, _ := sub["x-mcp-header"].(string); header != "" {
			out = append(out, paramHeader{"Mcp-Param-" + header, at})
		}
		out = append(out, paramHeaders(sub, at)...)
	}
	return out
}

// matchParams refuses a mirrored header that is missing or says something else than the arguments.
func (c *call) matchParams(mirrored []paramHeader, arguments strictjson.Value) *fault {
	if len(mirrored) == 0 {
		return nil
	}
	decoded, err := arguments.Decode()
	if err != nil {
		return badRequest(codeInvalidParams, "The arguments are not valid JSON.")
	}
	for _, p := range mirrored {
		value := decoded
		for _, name := range p.path {
			object, _ := value.(map[string]any)
			value = object[name]
		}
		given := c.r.Header.Values(p.name)
		text := ""
		if value != nil {
			text = fmt.Sprint(value)
		}
		if value == nil && len(given) == 0 {
			continue
		}
		if len(given) == 1 && value != nil {
			got, ok := decodeHeader(given[0])
			if ok && (got == text || sameNumber(value, got)) {
				continue
			}
		}
		return badRequest(codeHeaderMismatch, "Header mismatch: the header %s does not say what the argument %s says.", p.name, strings.Join(p.path, "."))
	}
	return nil
}

func sameNumber(value any, header string) bool {
	n, ok := value.(json.Number)
	if !ok || strings.Trim(header, "0123456789+-.eE") != "" || smallNumbers(json.Number(header)) != nil {
		return false
	}
	a, ok1 := new(big.Rat).SetString(n.String())
	b, ok2 := new(big.Rat).SetString(header)
	return ok1 && ok2 && a.Cmp(b) == 0
}
