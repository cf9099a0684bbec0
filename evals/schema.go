package evals

import (
	"encoding/json"
	"reflect"
	"slices"

	"github.com/invopop/jsonschema"
)

// caseTypes are the forms of a case by kind. What runs a kind knows its form.
var caseTypes = map[Kind]reflect.Type{
	Retrieve: reflect.TypeFor[RetrieveCase](),
	Compose:  reflect.TypeFor[ComposeCase](),
}

// Schema is the JSON Schema of suites in YAML. Of a suite in JSONL every line is one of its definitions: the first may be
// "header", the others are of the suite's kind.
func Schema() ([]byte, error) {
	r := jsonschema.Reflector{Anonymous: true, DoNotReference: true, ExpandedStruct: true}
	root := r.ReflectFromType(reflect.TypeFor[Header]())
	root.Title = "Remit's suites of cases (remit eval run)"
	root.Definitions = jsonschema.Definitions{"header": r.ReflectFromType(reflect.TypeFor[Header]())}
	root.Required = append(root.Required, "cases")
	root.Properties.Set("cases", &jsonschema.Schema{Type: "array", MinItems: new(uint64(1))})
	for _, kind := range []Kind{Retrieve, Compose, Enforce} {
		t, ok := caseTypes[kind]
		if !ok {
			continue
		}
		root.Definitions[string(kind)] = r.ReflectFromType(t)
		is, cases := jsonschema.NewProperties(), jsonschema.NewProperties()
		is.Set("kind", &jsonschema.Schema{Const: kind})
		cases.Set("cases", &jsonschema.Schema{Items: &jsonschema.Schema{Ref: "#/$defs/" + string(kind)}})
		root.AllOf = append(root.AllOf, &jsonschema.Schema{If: &jsonschema.Schema{Properties: is}, Then: &jsonschema.Schema{Properties: cases}})
	}
	for _, s := range root.Definitions {
		s.Version = "" // the root's is enough
	}
	slices.Sort(root.Required)
	text, err := json.MarshalIndent(root, "", "  ")
	return append(text, '\n'), err
}

// JSONSchema says in a schema what [Slot.UnmarshalJSON] accepts.
func (Slot) JSONSchema() *jsonschema.Schema {
	text := &jsonschema.Schema{Type: "string"}
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{text, {Type: "array", Items: text, MinItems: new(uint64(1))}}}
}
