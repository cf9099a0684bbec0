package catalog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Kind is what a server offers. Everything but tools is kept as an object of one member, which is named after the kind and
// holds the definition as received: so a definition says by itself what it is of, and no digest is of two kinds.
type Kind string

const (
	ATool     Kind = "" // which is kept as it was received
	APrompt   Kind = "prompt"
	AResource Kind = "resource"
	ATemplate Kind = "resourceTemplate" // of URIs of resources
)

// Wrap is the definition of another kind than tools as it is kept.
func Wrap(kind Kind, definition json.RawMessage) json.RawMessage {
	return slices.Concat(json.RawMessage(`{"`+string(kind)+`":`), definition, json.RawMessage(`}`))
}

// Unwrap returns a definition as the server sent it, and of what it is.
func Unwrap(definition json.RawMessage) (Kind, json.RawMessage) {
	for _, kind := range []Kind{APrompt, AResource, ATemplate} {
		inner, ok := bytes.CutPrefix(definition, []byte(`{"`+string(kind)+`":`))
		if inner, closed := bytes.CutSuffix(inner, []byte("}")); ok && closed && json.Valid(inner) {
			return kind, inner
		}
	}
	return ATool, definition
}

// Of says what the id names. No tool's name holds the @ that the ids of other kinds have.
func (id ID) Of() Kind {
	kind, _ := id.own()
	return kind
}

// Own is the server's own name for it: the tool's or prompt's name, or the URI or its template.
func (id ID) Own() string {
	_, own := id.own()
	return own
}

func (id ID) own() (Kind, string) {
	_, name := id.Split()
	if !strings.HasPrefix(name, "@") {
		return ATool, name
	}
	for _, kind := range []Kind{APrompt, AResource, ATemplate} {
		if own, ok := strings.CutPrefix(name, "@"+string(kind)+"/"); ok {
			return kind, own
		}
	}
	return ATool, name
}

// uri is an absolute URI of printable ASCII, or a template of such (RFC 6570).
var uri = map[Kind]*regexp.Regexp{
	AResource: regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]{0,31}:[!#-;=?-\[\]_a-z~]{1,512}$`),
	ATemplate: regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]{0,31}:[!#-;=?-\[\]_a-z{}~]{1,512}$`),
}

// parseOther reads what is no tool.
func parseOther(server string, kind Kind, t Tool, inner json.RawMessage) (Tool, error) {
	var members map[string]json.RawMessage
	if json.Unmarshal(inner, &members) != nil || members == nil {
		return Tool{}, fmt.Errorf("the definition of a %s is no JSON object", kind)
	}
	t.Kind = kind
	name := map[Kind]string{APrompt: "name", AResource: "uri", ATemplate: "uriTemplate"}[kind]
	allowed := toolName
	if kind != APrompt {
		allowed = uri[kind]
	}
	if json.Unmarshal(members[name], &t.Name) != nil || !allowed.MatchString(t.Name) {
		return Tool{}, fmt.Errorf("the member %q of a %s is %.80q, which is missing or not within %s", name, kind, members[name], allowed)
	}
	t.ID = NewID(server, "@"+string(kind)+"/"+t.Name)
	for member, into := range map[string]*string{"title": &t.Title, "description": &t.Description} {
		if raw, ok := members[member]; ok && json.Unmarshal(raw, into) != nil {
			return Tool{}, fmt.Errorf("%s %s: member %q is not a string", kind, t.Name, member)
		}
	}
	if kind != APrompt && t.Title == "" {
		_ = json.Unmarshal(members["name"], &t.Title) // what is no string is no title
	}
	schema, err := otherSchema(kind, t.Name, members["arguments"])
	if err != nil {
		return Tool{}, fmt.Errorf("%s %s: %w", kind, t.Name, err)
	}
	of, err := object(schema)
	if err != nil {
		return Tool{}, err
	}
	t.Params, t.Gist = params(of), GistOf(t)
	t.Effect = Judgement{Effect: Read, Why: "it is read, and takes nothing but what its server asks for by name"}
	return t, nil
}

// InputSchema is the JSON Schema of what a call takes: the definition's own of a tool, empty where it has none; for a prompt
// one made of its arguments, which are texts; for resources one of the URI.
func InputSchema(definition json.RawMessage) (json.RawMessage, error) {
	kind, inner := Unwrap(definition)
	var members map[string]json.RawMessage
	if err := json.Unmarshal(inner, &members); err != nil {
		return nil, err
	}
	if kind == ATool {
		return members["inputSchema"], nil
	}
	var own string
	_ = json.Unmarshal(members["uri"], &own) // only a resource has one, and was parsed
	return otherSchema(kind, own, members["arguments"])
}

func otherSchema(kind Kind, own string, arguments json.RawMessage) (json.RawMessage, error) {
	type property struct {
		Type        string `json:"type"`
		Description string `json:"description,omitempty"`
		Const       string `json:"const,omitempty"`
	}
	schema := struct {
		Type       string              `json:"type"`
		Properties map[string]property `json:"properties"`
		Required   []string            `json:"required,omitempty"`
		Additional bool                `json:"additionalProperties"`
	}{Type: "object", Properties: map[string]property{}}
	var given []map[string]json.RawMessage
	switch {
	case kind == AResource:
		schema.Properties["uri"], schema.Required = property{Type: "string", Const: own}, []string{"uri"}
	case kind == ATemplate:
		schema.Properties["uri"], schema.Required = property{Type: "string"}, []string{"uri"}
	case len(arguments) > 0 && json.Unmarshal(arguments, &given) != nil:
		return nil, fmt.Errorf("its arguments are no list of objects")
	}
	for _, a := range given {
		var name, description string
		var required bool
		if json.Unmarshal(a["name"], &name) != nil || name == "" || schema.Properties[name].Type != "" {
			return nil, fmt.Errorf("an argument has no name of its own")
		}
		for member, into := range map[string]any{"description": &description, "required": &required} {
			if raw, ok := a[member]; ok && json.Unmarshal(raw, into) != nil {
				return nil, fmt.Errorf("the argument %s has a member %q of another type", name, member)
			}
		}
		schema.Properties[name] = property{Type: "string", Description: description}
		if required {
			schema.Required = append(schema.Required, name)
		}
	}
	return json.Marshal(schema)
}
