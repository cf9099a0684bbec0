package gateway

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/unicode/norm"
)

// A server that does not mind case, or that normalizes what it reads, takes the member "PATH" for the declared "path",
// and the schema would not have checked it. lookout finds such members at every depth of the arguments. It walks the
// arguments once, with all subschemas that may apply at each place: which branch of an anyOf holds does not matter, since
// a name that is declared in one of them is one that the server knows.
type lookout struct {
	anchors map[string][]*jsonschema.Schema // targets of $dynamicRef by name, of $recursiveRef under ""
	left    int                             // of maxEvaluations, for these arguments
	numbers map[*jsonschema.Schema]uint64
	places  map[string]*place // by their schemas' numbers: a place is worked out once, however often it occurs
}

// place is where in the arguments the same schemas apply.
type place struct {
	schemas  []*jsonschema.Schema
	declared map[string]bool
	alike    map[string]string // declared names by what they look like
}

// maxPlaces bounds what is kept from one call to the next.
const maxPlaces = 1000

// lookAlike refuses a member whose name is a declared one's in another case or in letters that look like it.
func (w *lookout) lookAlike(root *jsonschema.Schema, arguments any) error {
	w.left = maxEvaluations
	if len(w.places) == 0 || len(w.places) > maxPlaces {
		w.numbers, w.places = map[*jsonschema.Schema]uint64{}, map[string]*place{}
	}
	if m := w.walk(w.place(root), arguments); m != nil {
		return m
	}
	return nil
}

func (w *lookout) walk(p *place, v any) *mismatch {
	if w.left -= len(p.schemas); w.left < 0 {
		return &mismatch{"", errBudget.Error()}
	}
	if len(p.schemas) == 0 {
		return nil // nothing is declared from here on
	}
	switch v := v.(type) {
	case []any:
		items := w.place(p.items()...)
		for i, value := range v {
			if m := w.below(items, value, fmt.Sprint(i)); m != nil {
				return m
			}
		}
	case map[string]any:
		for name, value := range v {
			if other := p.spelled(name); other != "" {
				return &mismatch{pointer(name), fmt.Sprintf("the tool's parameter is spelled %q", other)}
			}
			if nested(value) {
				if m := w.below(w.place(p.member(name)...), value, name); m != nil {
					return m
				}
			}
		}
	}
	return nil
}

// below walks the value of the member or item called token.
func (w *lookout) below(p *place, v any, token string) *mismatch {
	if !nested(v) {
		return nil
	}
	m := w.walk(p, v)
	if m != nil && m.words != errBudget.Error() {
		m.path = pointer(token) + m.path
	}
	return m
}

func nested(v any) bool {
	switch v.(type) {
	case []any, map[string]any:
		return true
	}
	return false
}

// place returns the place at which the schemas apply, and with them all that they refer to.
func (w *lookout) place(direct ...*jsonschema.Schema) *place {
	numbers := make([]uint64, 0, len(direct))
	for _, s := range direct {
		if w.numbers[s] == 0 {
			w.numbers[s] = uint64(len(w.numbers)) + 1
		}
		numbers = append(numbers, w.numbers[s])
	}
	slices.Sort(numbers)
	key := make([]byte, 0, 32)
	for _, n := range slices.Compact(numbers) {
		key = binary.AppendUvarint(key, n)
	}
	if known, ok := w.places[string(key)]; ok {
		return known
	}
	p := &place{declared: map[string]bool{}, alike: map[string]string{}}
	w.places[string(key)] = p
	seen := map[*jsonschema.Schema]bool{nil: true}
	for next := slices.Clone(direct); len(next) > 0; {
		s := next[len(next)-1]
		next = next[:len(next)-1]
		if !seen[s] {
			seen[s] = true
			w.left--
			p.schemas = append(p.schemas, s)
			p.declare(s)
			next = append(next, w.sameValue(s)...)
		}
	}
	return p
}

// sameValue is the subschemas that may apply to the value that s applies to.
func (w *lookout) sameValue(s *jsonschema.Schema) []*jsonschema.Schema {
	out := slices.Concat([]*jsonschema.Schema{s.Ref, s.RecursiveRef, s.Not, s.If, s.Then, s.Else}, s.AllOf, s.AnyOf, s.OneOf)
	for _, sub := range s.DependentSchemas {
		out = append(out, sub)
	}
	for _, d := range s.Dependencies {
		if sub, ok := d.(*jsonschema.Schema); ok {
			out = append(out, sub)
		}
	}
	if s.DynamicRef != nil {
		out = append(append(out, s.DynamicRef.Ref), w.anchors[s.DynamicRef.Anchor]...)
	}
	if s.RecursiveRef != nil {
		out = append(out, w.anchors[""]...)
	}
	return out
}

// declare takes the names that s knows: also one that it only asks for, or forbids by a not.
func (p *place) declare(s *jsonschema.Schema) {
	for name := range s.Properties {
		p.declareName(name)
	}
	for _, name := range s.Required {
		p.declareName(name)
	}
	for name, others := range s.DependentRequired {
		p.declareName(name)
		for _, other := range others {
			p.declareName(other)
		}
	}
}

func (p *place) declareName(name string) {
	p.declared[name], p.alike[folded(name)], p.alike[skeleton(name)] = true, name, name
}

// spelled returns the declared name that an undeclared one could be taken for.
func (p *place) spelled(name string) string {
	if len(p.declared) == 0 || p.declared[name] {
		return ""
	}
	if other, ok := p.alike[folded(name)]; ok {
		return other
	}
	return p.alike[skeleton(name)]
}

// member is the schemas of the value of an object's member.
func (p *place) member(name string) (out []*jsonschema.Schema) {
	for _, s := range p.schemas {
		before := len(out)
		if sub := s.Properties[name]; sub != nil {
			out = append(out, sub)
		}
		for pattern, sub := range s.PatternProperties {
			if pattern.MatchString(name) {
				out = append(out, sub)
			}
		}
		if len(out) > before {
			continue
		}
		if sub, ok := s.AdditionalProperties.(*jsonschema.Schema); ok {
			out = append(out, sub)
		}
		if s.UnevaluatedProperties != nil {
			out = append(out, s.UnevaluatedProperties)
		}
	}
	return out
}

// items is the schemas of an array's items, whatever their position.
func (p *place) items() (out []*jsonschema.Schema) {
	for _, s := range p.schemas {
		out = append(out, s.PrefixItems...)
		for _, items := range []any{s.Items, s.AdditionalItems} {
			switch items := items.(type) {
			case *jsonschema.Schema:
				out = append(out, items)
			case []*jsonschema.Schema:
				out = append(out, items...)
			}
		}
		for _, sub := range []*jsonschema.Schema{s.Items2020, s.Contains, s.UnevaluatedItems} {
			if sub != nil {
				out = append(out, sub)
			}
		}
	}
	return out
}

// folded is one spelling for all that differ in case only.
func folded(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, name)
}

// Letters of other scripts that look like a Latin one, and that one (after Unicode's confusables.txt, those that whole
// words can be written with).
const (
	foreign = "АВЕЅІЈКМНОРСТУХҮѴԌԜԚавеѕіјкмнорстухүѵԁԍԛԝһӏΑΒΕΖΗΙΚΜΝΟΡΤΥΧαικνορτυχγɑɡıſ"
	latin   = "ABESIJKMHOPCTYXYVGWQabesijkmhopctyxyvdgqwhlABEZHIKMNOPTYXaikvoptuxyagis"
)

var latinOf = func() map[rune]rune {
	of, to := map[rune]rune{}, []rune(latin)
	for i, r := range []rune(foreign) {
		of[r] = to[i]
	}
	return of
}()

// skeleton is one spelling for all that look alike: compatibility forms made plain, what cannot be seen left out.
func skeleton(name string) string {
	return folded(strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Mn, unicode.White_Space, unicode.Other_Default_Ignorable_Code_Point) {
			return -1
		}
		if plain, ok := latinOf[r]; ok {
			return plain
		}
		return r
	}, norm.NFKC.String(name)))
}
