package policy

import (
	"encoding/json"
	"fmt"
	"slices"

	strict "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Narrow is the input schema with the constraints written into it, for the agent to read. What the agent sends is checked by
// [Compiled.Decide], whatever the schema can say of it.
func (c *Compiled) Narrow(inputSchema json.RawMessage) (json.RawMessage, error) {
	if len(c.constraints) == 0 {
		return inputSchema, nil
	}
	if len(inputSchema) == 0 {
		return nil, invalid("the tool takes no arguments, so none can be constrained")
	}
	schema := jsontext.Value(inputSchema)
	for _, k := range c.constraints {
		var err error
		if schema, err = k.narrow(schema, k.steps); err != nil {
			return nil, invalid("the input schema cannot be narrowed at %s: %v", k.Path, err)
		}
	}
	return json.RawMessage(schema), nil
}

type members = map[string]jsontext.Value

func (k constraint) narrow(schema jsontext.Value, steps []string) (jsontext.Value, error) {
	if len(steps) == 0 {
		return k.rules(schema)
	}
	object, properties := members{}, members{}
	if schema.Kind() == '{' {
		if err := strict.Unmarshal(schema, &object); err != nil {
			return nil, err
		}
	}
	if p, ok := object["properties"]; ok {
		if err := strict.Unmarshal(p, &properties); err != nil {
			return nil, err
		}
	}
	var required []string
	if r, ok := object["required"]; ok {
		if err := strict.Unmarshal(r, &required); err != nil {
			return nil, err
		}
	}
	step := steps[0]
	if k.Forbidden && len(steps) == 1 {
		if slices.Contains(required, step) {
			return nil, fmt.Errorf("the tool requires %s, so it cannot be forbidden", step)
		}
		properties[step] = jsontext.Value("false")
	} else {
		inner, ok := properties[step]
		if !ok {
			inner = jsontext.Value("{}")
		}
		narrowed, err := k.narrow(inner, steps[1:])
		if err != nil {
			return nil, err
		}
		properties[step] = narrowed
		if !k.Optional && !k.Forbidden && !slices.Contains(required, step) {
			required = append(required, step)
		}
	}
	if object["type"] == nil {
		object["type"] = jsontext.Value(`"object"`)
	}
	object["properties"] = encode(properties)
	if len(required) > 0 {
		object["required"] = encode(required)
	}
	return encode(object), nil
}

// rules adds the constraint's keywords to the schema of the argument. Where one of them is there already, both hold.
func (k constraint) rules(schema jsontext.Value) (jsontext.Value, error) {
	add := members{}
	switch {
	case len(k.Const) > 0:
		add["const"] = jsontext.Value(k.Const)
	case len(k.Enum) > 0:
		add["enum"] = encode(k.Enum)
	}
	if k.min != nil {
		add["minimum"] = jsontext.Value(k.Minimum)
	}
	if k.max != nil {
		add["maximum"] = jsontext.Value(k.Maximum)
	}
	if k.MaxLength > 0 {
		add["maxLength"] = encode(k.MaxLength)
	}
	if k.pattern != nil {
		add["pattern"] = encode("^(?:" + k.Pattern + ")$")
	}
	object := members{}
	if schema.Kind() == '{' {
		if err := strict.Unmarshal(schema, &object); err != nil {
			return nil, err
		}
	}
	for keyword := range add {
		if _, twice := object[keyword]; twice || schema.Kind() != '{' {
			return encode(members{"allOf": encode([]jsontext.Value{schema, encode(add)})}), nil
		}
	}
	for keyword, value := range add {
		object[keyword] = value
	}
	return encode(object), nil
}

// encode cannot fail: it is given texts, numbers and JSON that was read before.
func encode(v any) jsontext.Value {
	b, err := strict.Marshal(v, strict.Deterministic(true))
	if err != nil {
		panic(err)
	}
	return b
}
