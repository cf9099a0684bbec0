package strictjson

import (
	"fmt"

	strict "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Value is JSON that may have been read: then what it holds is found without reading it again.
type Value struct {
	Text    []byte   // as it stands; without white space around it where it was read
	plain   bool     // it was read, and is valid and unambiguous
	sorted  bool     // and it is its own canonical form
	members []Member // of an object, where they were kept
}

// Member is a member of an object.
type Member struct {
	Name string
	Value
}

// Read reads a text in one pass, and keeps the members of the objects in it that are at most so deep: 1 is the value itself. Names and
// values are parts of the text, which is not to be changed as long as they are used. It reports false for a text that is not valid, and
// for one of which only [Check] can say whether it is unambiguous and within the default limits; that on bytes is the caller's.
func Read(text []byte, deep int) (Value, bool) {
	limits := Limits{}.orDefaults()
	p := plain{b: text, depth: limits.Depth, names: limits.Names, keep: deep, sorted: true}
	v, ok := p.whole()
	if !ok {
		return Value{}, false
	}
	return v, true
}

// Unread is a text that nobody has read yet.
func Unread[T ~string | ~[]byte](text T) Value { return Value{Text: []byte(text)} }

// String is the text.
func (v Value) String() string { return string(v.Text) }

// Known says that the value was read, and so is valid and unambiguous.
func (v Value) Known() bool { return v.plain }

// Members returns the members of an object, in order. It reports false for a value that is none, or of which only [Check] can say
// whether it is unambiguous.
func (v Value) Members() ([]Member, bool) {
	if v.members == nil {
		if len(v.Text) == 0 || v.Text[0] != '{' {
			return nil, false
		}
		again, ok := Read(v.Text, 1)
		return again.members, ok
	}
	return v.members, true
}

// Member returns the member of that name. It reports false where there is none, or where [Value.Members] does.
func (v Value) Member(name string) (Value, bool) {
	members, _ := v.Members()
	return Object(members).Member(name)
}

// Object is an object's members. No two have the same name.
type Object []Member

// Object returns the members of an object, also of one that [Value.Members] leaves to [Check]; nil for null.
func (v Value) Object() (Object, error) {
	switch known, ok := v.Members(); {
	case ok && known == nil:
		return Object{}, nil
	case ok:
		return known, nil
	}
	var all map[string]jsontext.Value
	if err := strict.Unmarshal(v.Text, &all); err != nil {
		return nil, fmt.Errorf("ambiguous or invalid JSON: %w", err)
	}
	if all == nil {
		return nil, nil
	}
	out := make(Object, 0, len(all))
	for name, text := range all {
		out = append(out, Member{name, Value{Text: text}})
	}
	return out, nil
}

// Member returns the member of exactly that name.
func (o Object) Member(name string) (v Value, ok bool) {
	for i := range o {
		if o[i].Name == name {
			return o[i].Value, true
		}
	}
	return v, false
}

// Decode is [Decode] of a value.
func (v Value) Decode() (any, error) {
	if !v.plain {
		return Decode(v.Text)
	}
	d := decoder{plain{b: v.Text}}
	return d.value(), nil
}

// Canonical is [Canonical] of a value.
func (v Value) Canonical(limits Limits) ([]byte, error) {
	if v.sorted && len(v.Text) <= limits.orDefaults().Bytes {
		return v.Text, nil
	}
	return Canonical(v.Text, limits)
}
