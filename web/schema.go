package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// field is a parameter of a tool, or of one that is an object, as people read it. What a schema says beyond what is known here
// is named, so that nobody takes the field for the whole of it.
type field struct {
	Name        string
	Type        string
	Required    bool
	Description string
	Says        []string
	Fields      []field
}

const (
	maxFields     = 300 // of one schema
	maxFieldDepth = 8
)

// schemaForm reads the properties of a member of a definition that is a schema.
func schemaForm(definition json.RawMessage, member string) []field {
	var d map[string]json.RawMessage
	if json.Unmarshal(definition, &d) != nil || len(d[member]) == 0 {
		return nil
	}
	f := former{root: d[member], left: maxFields}
	return f.object(d[member], 0)
}

type former struct {
	root json.RawMessage
	left int // fields that may still be made
}

// property of an object, in the order of the text.
type property struct {
	name  string
	value json.RawMessage
}

func members(object json.RawMessage) (out []property) {
	dec := json.NewDecoder(bytes.NewReader(object))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return out
		}
		var m property
		m.name, _ = name.(string)
		if dec.Decode(&m.value) != nil {
			return out
		}
		out = append(out, m)
	}
	return out
}

// object is the properties of a schema.
func (f *former) object(schema json.RawMessage, depth int) (fields []field) {
	var s struct {
		Properties json.RawMessage `json:"properties"`
		Required   []string        `json:"required"`
	}
	_ = json.Unmarshal(schema, &s) // what is of another form than this says nothing here
	for _, m := range members(s.Properties) {
		if f.left--; f.left < 0 {
			return append(fields, field{Name: "…", Description: "The rest is in the definition."})
		}
		one := f.field(m.value, depth)
		one.Name, one.Required = m.name, slices.Contains(s.Required, m.name)
		fields = append(fields, one)
	}
	return fields
}

// field reads one schema.
func (f *former) field(schema json.RawMessage, depth int) field {
	var out field
	if depth > maxFieldDepth {
		return field{Type: "nested deeper than is shown"}
	}
	var other []string
	var items string
	for _, m := range members(schema) {
		switch m.name {
		case "$ref":
			if at, ok := f.resolve(text(m.value)); ok {
				out = f.field(at, depth+1)
			} else {
				out.Type = text(m.value)
			}
		case "type":
			out.Type = typeText(m.value)
		case "description", "title":
			if out.Description == "" || m.name == "description" {
				out.Description = text(m.value)
			}
		case "enum":
			out.Says = append(out.Says, "one of "+strings.Join(values(m.value), ", "))
		case "const":
			out.Says = append(out.Says, "always "+string(m.value))
		case "default":
			out.Says = append(out.Says, "default "+string(m.value))
		case "examples":
			out.Says = append(out.Says, "for example "+strings.Join(values(m.value), ", "))
		case "format", "pattern":
			out.Says = append(out.Says, m.name+" "+text(m.value))
		case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "minItems", "maxItems":
			out.Says = append(out.Says, spelled[m.name]+" "+string(m.value))
		case "properties":
			out.Fields = f.object(schema, depth+1)
		case "items":
			item := f.field(m.value, depth+1)
			items, out.Fields = item.Type, item.Fields
			for _, s := range item.Says {
				out.Says = append(out.Says, "each: "+s)
			}
		case "anyOf", "oneOf":
			var kinds []string
			var list []json.RawMessage
			_ = json.Unmarshal(m.value, &list)
			for _, one := range list {
				kind := f.field(one, depth+1)
				kinds = append(kinds, strings.Join(append([]string{orAny(kind.Type)}, kind.Says...), " "))
				out.Fields = append(out.Fields, kind.Fields...)
			}
			out.Type = strings.Join(kinds, " or ")
		case "additionalProperties":
			if string(m.value) != "false" {
				out.Says = append(out.Says, "takes members of other names")
			}
		case "required", "$schema", "$defs", "definitions", "$id", "$comment":
		default:
			other = append(other, m.name)
		}
	}
	switch {
	case items != "":
		out.Type = "list of " + items
	case out.Type == "array":
		out.Type = "list"
	default:
		out.Type = orAny(out.Type)
	}
	if len(other) > 0 {
		out.Says = append(out.Says, "also says: "+strings.Join(other, ", "))
	}
	return out
}

var spelled = map[string]string{"minimum": "at least", "maximum": "at most", "exclusiveMinimum": "above", "exclusiveMaximum": "below", "multipleOf": "a multiple of",
	"minLength": "characters at least", "maxLength": "characters at most", "minItems": "entries at least", "maxItems": "entries at most"}

func orAny(kind string) string {
	if kind == "" {
		return "anything"
	}
	return kind
}

func typeText(raw json.RawMessage) string {
	var many []string
	if json.Unmarshal(raw, &many) == nil {
		return strings.Join(many, " or ")
	}
	return text(raw)
}

// text is a JSON string's text, or JSON that is no string as it is.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

const maxValues = 40

func values(raw json.RawMessage) (out []string) {
	var list []json.RawMessage
	_ = json.Unmarshal(raw, &list)
	for _, v := range list[:min(len(list), maxValues)] {
		out = append(out, text(v))
	}
	if len(list) > maxValues {
		out = append(out, fmt.Sprintf("and %d more", len(list)-maxValues))
	}
	return out
}

// resolve follows a reference within the schema.
func (f *former) resolve(ref string) (json.RawMessage, bool) {
	path, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return nil, false
	}
	at := f.root
	for part := range strings.SplitSeq(path, "/") {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		var object map[string]json.RawMessage
		if json.Unmarshal(at, &object) != nil || object[part] == nil {
			return nil, false
		}
		at = object[part]
	}
	if f.left--; f.left < 0 { // references can multiply
		return nil, false
	}
	return at, true
}
