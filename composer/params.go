package composer

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"remit/catalog"
)

// param is a top-level parameter of a tool, as far as its schema says plainly what it takes.
type param struct {
	name     string
	words    string // of the name, lower case: "channel name"
	about    string // description, lower case
	format   string
	types    map[string]bool
	texts    bool // a list of texts
	enum     []json.RawMessage
	required bool
}

func (p param) path() string {
	return "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(p.name)
}

// params reads the parameters of a tool. What its schema says in other ways is not known.
func (t *tool) parameters() []param {
	schema := object(t.inputSchema())
	properties := object(schema["properties"])
	var required []string
	_ = json.Unmarshal(schema["required"], &required) // what is no list of names requires none
	var out []param
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		p := param{name: name, words: strings.Join(catalog.Words(name), " "), types: map[string]bool{}, required: slices.Contains(required, name)}
		p.read(object(properties[name]), 0)
		out = append(out, p)
	}
	return out
}

// object is the members of an object, by their exact names; none of what is no object.
func object(raw json.RawMessage) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil {
		return nil
	}
	return m
}

func (p *param) read(schema map[string]json.RawMessage, depth int) {
	texts := func(raw json.RawMessage) []string { // a text or a list of them
		var one string
		if json.Unmarshal(raw, &one) == nil {
			return []string{one}
		}
		var several []string
		_ = json.Unmarshal(raw, &several) // what is neither says nothing
		return several
	}
	for _, t := range texts(schema["type"]) {
		p.types[t] = true
	}
	p.texts = p.texts || p.types["array"] && slices.Equal(texts(object(schema["items"])["type"]), []string{"string"})
	p.about += strings.ToLower(strings.Join(texts(schema["description"]), " "))
	p.format += strings.Join(texts(schema["format"]), " ")
	for _, choice := range []string{"enum", "anyOf", "oneOf"} {
		var list []json.RawMessage
		_ = json.Unmarshal(schema[choice], &list) // of another shape says nothing
		if choice == "enum" {
			p.enum = append(p.enum, list...)
			continue
		}
		for _, sub := range list {
			if depth < 2 {
				p.read(object(sub), depth+1)
			}
		}
	}
}

func (p param) text() bool   { return p.types["string"] }
func (p param) list() bool   { return p.texts && !p.types["string"] }
func (p param) number() bool { return p.types["number"] || p.types["integer"] }
