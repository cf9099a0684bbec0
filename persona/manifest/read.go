package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	strict "github.com/go-json-experiment/json"
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a text.
const (
	MaxText  = 512 << 10 // bytes
	maxDepth = 16        // of lists and maps in one another
)

// Read reads a document. What YAML has beyond plain values (anchors, aliases, merges, tags, several documents) is refused, and so
// are members that are not known or come twice. Errors say where: "NAME:LINE: what".
func Read(name string, text []byte) (Document, error) {
	var d Document
	r := reader{lines: map[string]int{"": 1}}
	err := r.read(text, &d)
	if err == nil {
		err = d.check()
	}
	if err == nil {
		return d, nil
	}
	if y, ok := errors.AsType[yaml.Error](err); ok && y.GetToken() != nil {
		return d, fmt.Errorf("%s:%d: %s", name, y.GetToken().Position.Line, y.GetMessage())
	}
	if place, ok := errors.AsType[at](err); ok {
		return d, fmt.Errorf("%s:%d: %w", name, r.line(place.pointer), place.error)
	}
	return d, fmt.Errorf("%s: %w", name, err)
}

// reader turns YAML into JSON and knows on which line each member stands.
type reader struct {
	out   bytes.Buffer
	lines map[string]int // by JSON Pointer
}

// line of the member, or of what it would be in.
func (r *reader) line(pointer string) int {
	for {
		if n, ok := r.lines[pointer]; ok {
			return n
		}
		pointer = pointer[:max(strings.LastIndexByte(pointer, '/'), 0)]
	}
}

func (r *reader) read(text []byte, into *Document) error {
	switch {
	case len(text) > MaxText:
		return fmt.Errorf("the file has over %d KiB, which no persona needs", MaxText>>10)
	case !utf8.Valid(text):
		return errors.New("the file is not UTF-8")
	}
	if err := r.plain(string(text)); err != nil {
		return err
	}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return err
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return errors.New("the file holds one persona: begin it with persona: ID")
	}
	if err := r.node(file.Docs[0].Body, "", 0); err != nil {
		return err
	}
	err = strict.Unmarshal(r.out.Bytes(), into, strict.RejectUnknownMembers(true))
	if semantic, ok := errors.AsType[*strict.SemanticError](err); ok {
		return at{string(semantic.JSONPointer), errors.New(said(semantic))}
	}
	return err
}

// said is what is wrong with a member, without Go's types.
func said(err *strict.SemanticError) string {
	name := err.JSONPointer.LastToken()
	switch {
	case errors.Is(err, strict.ErrUnknownName):
		return fmt.Sprintf("there is no member %q here; remit persona export shows what there is", name)
	case err.Err != nil:
		return fmt.Sprintf("%s: %v", name, err.Err)
	}
	return fmt.Sprintf("%s cannot be a %s", name, err.JSONKind)
}

// plain looks at the tokens, before anything is built of them: what makes a small text large, or deep, is refused.
func (r *reader) plain(text string) error {
	depth, line, entries := 0, 0, 0
	for _, t := range lexer.Tokenize(text) {
		if t.Position.Line != line {
			line, entries = t.Position.Line, 0
		}
		r.lines["/"+strconv.Itoa(line)+"\x00"] = line // for refusals below
		refuse := func(what string) error { return at{"/" + strconv.Itoa(line) + "\x00", errors.New(what)} }
		switch t.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType, token.TagType, token.DirectiveType, token.DocumentHeaderType, token.DocumentEndType:
			return refuse(fmt.Sprintf("%q: anchors, aliases, merges, tags and several documents are not used here; write the value out", t.Value))
		case token.SequenceStartType, token.MappingStartType:
			depth++
		case token.SequenceEndType, token.MappingEndType:
			depth--
		case token.SequenceEntryType, token.MappingKeyType:
			entries++
		}
		if depth > maxDepth || entries > maxDepth || t.Position.Column > MaxText/8 {
			return refuse("it is nested too deeply")
		}
	}
	return nil
}

var number = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// node writes a value as JSON.
func (r *reader) node(n ast.Node, pointer string, depth int) error {
	r.lines[pointer] = n.GetToken().Position.Line
	if depth > maxDepth {
		return at{pointer, errors.New("it is nested too deeply")}
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		return r.mapping(n.Values, pointer, depth)
	case *ast.MappingValueNode:
		return r.mapping([]*ast.MappingValueNode{n}, pointer, depth)
	case *ast.SequenceNode:
		r.out.WriteByte('[')
		for i, v := range n.Values {
			if i > 0 {
				r.out.WriteByte(',')
			}
			if err := r.node(v, pointer+"/"+strconv.Itoa(i), depth+1); err != nil {
				return err
			}
		}
		r.out.WriteByte(']')
		return nil
	case *ast.StringNode:
		if n.GetToken().Type == token.StringType && number.MatchString(n.Value) { // such as 1e3, which only JSON takes for a number
			r.out.WriteString(n.Value)
			return nil
		}
		return r.text(n.Value)
	case *ast.LiteralNode:
		return r.text(n.Value.Value)
	case *ast.BoolNode:
		r.out.WriteString(strconv.FormatBool(n.Value))
		return nil
	case *ast.IntegerNode, *ast.FloatNode:
		value := n.GetToken().Value
		if !number.MatchString(value) {
			return at{pointer, fmt.Errorf("write the number %s in decimal digits, or in quotes if it is a text", value)}
		}
		r.out.WriteString(value)
		return nil
	case *ast.NullNode:
		if strings.Contains(pointer, "/policy/") && n.GetToken().Value == "null" { // a value that an argument may have
			r.out.WriteString("null")
			return nil
		}
		return at{pointer, errors.New("the value is missing")}
	}
	return at{pointer, fmt.Errorf("a %s is not used here", n.Type())}
}

func (r *reader) text(value string) error {
	raw, err := json.Marshal(value)
	r.out.Write(raw)
	return err
}

func (r *reader) mapping(values []*ast.MappingValueNode, pointer string, depth int) error {
	seen := map[string]bool{}
	r.out.WriteByte('{')
	for i, v := range values {
		key, ok := v.Key.(*ast.StringNode)
		if !ok {
			return at{pointer, errors.New("names of members are plain words")}
		}
		below := pointer + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(key.Value)
		r.lines[below] = key.GetToken().Position.Line
		if seen[key.Value] {
			return at{below, fmt.Errorf("%s is given twice", key.Value)}
		}
		seen[key.Value] = true
		if i > 0 {
			r.out.WriteByte(',')
		}
		if err := r.text(key.Value); err != nil {
			return err
		}
		r.out.WriteByte(':')
		if err := r.node(v.Value, below, depth+1); err != nil {
			return err
		}
	}
	r.out.WriteByte('}')
	return nil
}
