package composer

import (
	"encoding/json"
	"fmt"

	"github.com/invopop/jsonschema"
)

// schemaOf is the JSON Schema of an answer, in the strict subset that endpoints can enforce: every object is closed and every
// member required. closed lists the only values of members of a name.
func schemaOf(answer any, closed map[string][]string) (json.RawMessage, error) {
	r := jsonschema.Reflector{Anonymous: true, DoNotReference: true, ExpandedStruct: true}
	s, err := strict("", r.Reflect(answer), closed)
	if err != nil {
		return nil, fmt.Errorf("the schema of %T: %w", answer, err)
	}
	return json.Marshal(s)
}

// strict keeps what the subset has, and refuses what cannot be said in it.
func strict(name string, s *jsonschema.Schema, closed map[string][]string) (*jsonschema.Schema, error) {
	out := &jsonschema.Schema{Type: s.Type, Description: s.Description, Enum: s.Enum}
	switch s.Type {
	case "object":
		out.Properties, out.AdditionalProperties = jsonschema.NewProperties(), jsonschema.FalseSchema
		if s.Properties.Len() == 0 {
			return nil, fmt.Errorf("%q has no members", name)
		}
		for p := s.Properties.Oldest(); p != nil; p = p.Next() {
			member, err := strict(p.Key, p.Value, closed)
			if err != nil {
				return nil, err
			}
			out.Properties.Set(p.Key, member)
			out.Required = append(out.Required, p.Key)
		}
	case "array":
		var err error
		out.Items, err = strict(name, s.Items, closed)
		return out, err
	case "string":
		for _, value := range closed[name] {
			out.Enum = append(out.Enum, value)
		}
	case "integer", "number", "boolean":
	default:
		return nil, fmt.Errorf("%q has the type %q", name, s.Type)
	}
	return out, nil
}
