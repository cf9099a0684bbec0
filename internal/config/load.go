package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

const maxFile = 4 << 20 // bytes

// Load reads the file. An empty path gives an empty File.
func Load(path string) (*File, error) {
	if path == "" {
		return &File{}, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the configuration cannot be read: %w; check --config", err)
	}
	return parse(path, text)
}

// parse names path in its errors and never repeats a value.
func parse(path string, text []byte) (*File, error) {
	f := &File{Path: path, values: map[string]any{}}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s has %d bytes, more than a configuration's %d: check the path", path, len(text), maxFile)
	}
	doc, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, located(path, err)
	}
	root, err := onlyMapping(path, doc)
	if err != nil || root == nil {
		return f, err
	}
	if err := errors.Join(unknownKeys(path, "", root, reflect.TypeFor[File]())...); err != nil {
		return nil, err
	}
	if err := yaml.UnmarshalWithOptions(text, f, yaml.Strict()); err != nil {
		return nil, located(path, err)
	}
	var all map[string]any
	if err := yaml.Unmarshal(text, &all); err != nil {
		return nil, located(path, err)
	}
	flatten("", all, f.values)
	return f, nil
}

// onlyMapping returns the document's mapping; nil when the file holds nothing but comments.
func onlyMapping(path string, doc *ast.File) (ast.Node, error) {
	var bodies []ast.Node
	for _, d := range doc.Docs {
		if d.Body != nil && d.Body.Type() != ast.CommentType && d.Body.Type() != ast.NullType {
			bodies = append(bodies, d.Body)
		}
	}
	switch {
	case len(bodies) == 0:
		return nil, nil
	case len(bodies) > 1:
		return nil, fmt.Errorf("%s holds %d documents: keep one", path, len(bodies))
	case len(pairs(bodies[0])) == 0 && bodies[0].Type() != ast.MappingType:
		return nil, fmt.Errorf("%s:%d: this is no list of settings: write \"name: value\" lines", path, line(bodies[0]))
	}
	return bodies[0], nil
}

func pairs(n ast.Node) []*ast.MappingValueNode {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	case *ast.AnchorNode:
		return pairs(n.Value)
	}
	return nil
}

func line(n ast.Node) int { return n.GetToken().Position.Line }

// unknownKeys walks the tree beside the type that it is decoded into.
func unknownKeys(path, at string, n ast.Node, t reflect.Type) []error {
	var errs []error
	fields := fieldsOf(t)
	for _, pair := range pairs(n) {
		key := keyText(pair)
		switch {
		case key == "<<":
		case t.Kind() == reflect.Map:
			errs = append(errs, unknownKeys(path, join(at, key), pair.Value, t.Elem())...)
		case t.Kind() == reflect.Struct && fields[key] == nil:
			errs = append(errs, fmt.Errorf("%s:%d: there is no setting %q%s; did you mean %q?", path, line(pair.Key), key,
				within(at), nearest(key, fields)))
		case t.Kind() == reflect.Struct:
			errs = append(errs, unknownKeys(path, join(at, key), pair.Value, fields[key])...)
		}
	}
	return errs
}

func keyText(pair *ast.MappingValueNode) string {
	return pair.Key.GetToken().Value
}

func within(at string) string {
	if at == "" {
		return ""
	}
	return " in " + at
}

func join(at, key string) string {
	if at == "" {
		return key
	}
	return at + "." + key
}

// fieldsOf returns the keys that a struct is decoded from, nil for any other type.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	if t.Kind() != reflect.Struct {
		return nil
	}
	fields := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name != "" && name != "-" {
			fields[name] = f.Type
		}
	}
	return fields
}

func nearest(key string, fields map[string]reflect.Type) string {
	best, least := "", 0
	for name := range fields {
		d := levenshtein.ComputeDistance(strings.ReplaceAll(strings.ToLower(key), "_", "-"), name)
		if best == "" || d < least || d == least && name < best {
			best, least = name, d
		}
	}
	return best
}

// located gives a YAML error the file and line, without the excerpt of the file, which could show a secret.
func located(path string, err error) error {
	if y, ok := errors.AsType[*yaml.TypeError](err); ok && y.Token != nil {
		return fmt.Errorf("%s:%d: %s is expected here, not a %s", path, y.Token.Position.Line, words[y.DstType.Kind()], y.SrcType.Kind())
	}
	if y, ok := errors.AsType[yaml.Error](err); ok && y.GetToken() != nil {
		return fmt.Errorf("%s:%d: %s", path, y.GetToken().Position.Line, y.GetMessage())
	}
	return fmt.Errorf("%s: %w", path, err)
}

// flatten names values as the flags do: embeddings.url becomes embeddings-url.
func flatten(prefix string, from, into map[string]any) {
	for key, value := range from {
		if below, ok := value.(map[string]any); ok {
			if prefix+key != "upstreams" && prefix+key != "audit-sinks" {
				flatten(prefix+key+"-", below, into)
			}
		} else if value != nil {
			into[prefix+key] = value
		}
	}
}

// Servers returns the names of the upstreams, sorted.
func (f *File) Servers() []string {
	names := make([]string, 0, len(f.Upstreams))
	for name := range f.Upstreams {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// words are the kinds of values as a person calls them.
var words = map[reflect.Kind]string{reflect.String: "a text", reflect.Int: "a whole number", reflect.Int64: "a time such as 15m",
	reflect.Bool: "true or false", reflect.Slice: "a list", reflect.Map: "a list of names with values", reflect.Struct: "a group of settings"}
