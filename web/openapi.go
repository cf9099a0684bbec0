package web

import (
	"encoding/json"
	"path"
	"reflect"
	"regexp"
	"strings"

	"github.com/invopop/jsonschema"

	"remit/web/api"
)

// openAPI is the OpenAPI document of the API, made of the table of its routes and of the types that it sends.
func openAPI() ([]byte, error) {
	schemas := map[string]any{}
	paths := map[string]map[string]any{}
	refuses, err := refTo(reflect.TypeFor[api.Problem](), schemas)
	if err != nil {
		return nil, err
	}
	for _, r := range endpoints {
		operation, err := r.operation(schemas, refuses)
		if err != nil {
			return nil, err
		}
		at := api.Base + pathParam.ReplaceAllString(r.path, "{$1}")
		if paths[at] == nil {
			paths[at] = map[string]any{}
		}
		paths[at][strings.ToLower(r.method)] = operation
	}
	return json.MarshalIndent(map[string]any{
		"openapi": "3.1.0",
		"info": map[string]any{"title": "Remit's management API", "version": "1",
			"description": "What people do on Remit's pages, for programs. Lists and answers gain members over time; what is there keeps its meaning."},
		"paths": paths,
		"components": map[string]any{"schemas": schemas, "securitySchemes": map[string]any{"bearer": map[string]any{"type": "http", "scheme": "bearer",
			"description": "A management token (remit token create), or a person's session (POST /session). Cookies are not read."}}},
	}, "", " ")
}

var pathParam = regexp.MustCompile(`:(\w+)`)

func (r endpoint) operation(schemas map[string]any, refuses any) (map[string]any, error) {
	out, err := refTo(r.out, schemas)
	if err != nil {
		return nil, err
	}
	body := func(kind string, schema any) map[string]any {
		return map[string]any{kind: map[string]any{"schema": schema}}
	}
	o := map[string]any{"operationId": r.id, "summary": r.summary, "responses": map[string]any{
		"200":     map[string]any{"description": "It is done, or this is the answer.", "content": body("application/json", out)},
		"default": map[string]any{"description": "It is refused, or failed.", "content": body("application/problem+json", refuses)}}}
	if r.access != anyone {
		o["security"] = []any{map[string]any{"bearer": []string{}}}
	}
	parameters := []any{}
	for _, name := range pathParam.FindAllStringSubmatch(r.path, -1) {
		parameters = append(parameters, map[string]any{"name": name[1], "in": "path", "required": true, "schema": map[string]any{"type": "string"}})
	}
	for _, p := range r.params {
		parameters = append(parameters, map[string]any{"name": p.name, "in": "query", "required": p.required, "description": p.about, "schema": map[string]any{"type": "string"}})
	}
	if len(parameters) > 0 {
		o["parameters"] = parameters
	}
	if r.in != nil {
		in, err := refTo(r.in, schemas)
		if err != nil {
			return nil, err
		}
		o["requestBody"] = map[string]any{"required": true, "content": body("application/json", in)}
	}
	return o, nil
}

// refTo adds the schema of the type, and those that it needs, and returns the reference to it.
func refTo(t reflect.Type, schemas map[string]any) (any, error) {
	r := jsonschema.Reflector{Anonymous: true, AllowAdditionalProperties: true, Namer: schemaName}
	raw, err := json.Marshal(r.ReflectFromType(t).Definitions)
	if err != nil {
		return nil, err
	}
	var found map[string]any
	if err := json.Unmarshal([]byte(strings.ReplaceAll(string(raw), `"#/$defs/`, `"#/components/schemas/`)), &found); err != nil {
		return nil, err
	}
	for name, schema := range found {
		schemas[name] = schema
	}
	return map[string]any{"$ref": "#/components/schemas/" + schemaName(t)}, nil
}

var listOf = regexp.MustCompile(`^List\[.*\.(\w+)\]$`)

// schemaName is a type's name. Those of other packages have the package before it, since two may have one name.
func schemaName(t reflect.Type) string {
	if m := listOf.FindStringSubmatch(t.Name()); m != nil {
		return m[1] + "List"
	}
	if pkg := path.Base(t.PkgPath()); pkg != "api" && pkg != "." {
		return strings.ToUpper(pkg[:1]) + pkg[1:] + t.Name()
	}
	return t.Name()
}
