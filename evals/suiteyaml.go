package evals

import (
	stdjson "encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// readYAML reads the header and the cases, each as JSON with its line.
func (s *Suite) readYAML(text []byte) error {
	doc, err := parser.ParseBytes(text, 0)
	if err != nil {
		return s.located(err)
	}
	if len(doc.Docs) != 1 {
		return fmt.Errorf("%s holds %d documents: keep one", s.Path, len(doc.Docs))
	}
	root, ok := doc.Docs[0].Body.(*ast.MappingNode)
	if !ok {
		return fmt.Errorf("%s:1: a suite begins with lines such as \"suite: name\" and \"kind: compose\"", s.Path)
	}
	var all map[string]any
	if err := yaml.Unmarshal(text, &all); err != nil {
		return s.located(err)
	}
	cases, _ := all["cases"].([]any)
	delete(all, "cases")
	var places []int
	for _, pair := range root.Values {
		line := pair.Key.GetToken().Position.Line
		if pair.Key.GetToken().Value == "cases" {
			list, ok := pair.Value.(*ast.SequenceNode)
			if !ok || len(list.Values) != len(cases) {
				return fmt.Errorf("%s:%d: cases is a list", s.Path, line)
			}
			for _, v := range list.Values {
				places = append(places, v.GetToken().Position.Line)
			}
			continue
		}
		one := map[string]any{pair.Key.GetToken().Value: all[pair.Key.GetToken().Value]}
		if err := again(one, &s.Header); err != nil {
			return fmt.Errorf("%s:%d: %w", s.Path, line, err)
		}
	}
	for i, c := range cases {
		raw, err := stdjson.Marshal(c)
		if err != nil {
			return fmt.Errorf("%s:%d: %w", s.Path, places[i], err)
		}
		s.Raw = append(s.Raw, RawCase{Line: places[i], JSON: raw})
	}
	return nil
}

// again reads a value that was decoded from YAML as if it came from JSON.
func again(value, into any) error {
	raw, err := stdjson.Marshal(value)
	if err != nil {
		return err
	}
	return said(json.Unmarshal(raw, into, json.RejectUnknownMembers(true)))
}

func (s *Suite) located(err error) error {
	if y, ok := errors.AsType[yaml.Error](err); ok && y.GetToken() != nil {
		return fmt.Errorf("%s:%d: %s", s.Path, y.GetToken().Position.Line, y.GetMessage())
	}
	return fmt.Errorf("%s: %w", s.Path, err)
}

// said is err without the Go types that it names; where in the case it is stays.
func said(err error) error {
	if err == nil {
		return nil
	}
	semantic, ok := errors.AsType[*json.SemanticError](err)
	if !ok {
		return err
	}
	where := strings.ReplaceAll(strings.TrimPrefix(string(semantic.JSONPointer), "/"), "/", ".")
	switch {
	case errors.Is(err, json.ErrUnknownName):
		return fmt.Errorf("there is no member %q; remit eval schema lists the members", where)
	case semantic.Err != nil && where == "":
		return semantic.Err
	case semantic.Err != nil:
		return fmt.Errorf("%s: %w", where, semantic.Err)
	}
	return fmt.Errorf("%s cannot be a JSON %s; remit eval schema says what it is", where, semantic.JSONKind)
}
