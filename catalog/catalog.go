// Package catalog owns what is known about every upstream tool: its definition exactly as received, the digest that
// pins it, what it does to the world, what it costs in tokens, and how it is found again by words and by meaning.
//
// A definition is hostile text: nothing here executes, renders or trusts it.
package catalog

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"

	"remit/internal/strictjson"
)

// ID names a tool as "server/tool". Server names hold no slash, so it splits unambiguously.
type ID string

// NewID joins a server's configured name and the tool's own name.
func NewID(server, tool string) ID { return ID(server + "/" + tool) }

// Split returns the server's configured name and the tool's own name.
func (id ID) Split() (server, tool string) {
	server, tool, _ = strings.Cut(string(id), "/")
	return server, tool
}

// Tool is one tool of one upstream server as the last crawl saw it, or another thing that it offers.
type Tool struct {
	ID          ID
	Kind        Kind
	Definition  json.RawMessage // complete, as received; see [Kind]
	Digest      Digest          // of Definition
	Name        string          // the tool's own name, or the URI
	Title       string
	Description string
	Gist        string // of Description: the one sentence that is about this tool; empty when none is; see [GistOf]
	Params      []Param
	Untyped     bool // the input schema does not say "type": "object", without which strict clients refuse the whole list
	Effect      Judgement
	Tokens      int // of Definition, see package tokens
	FirstSeen   time.Time
	LastSeen    time.Time
	Gone        bool // the server's last complete listing lacked it
}

// Server is the configured name of the server that offers the tool.
func (t Tool) Server() string { server, _ := t.ID.Split(); return server }

// Param is a top-level argument of a tool.
type Param struct {
	Name        string
	Description string
	Required    bool
}

// DefinitionLimits bounds one definition. A larger one is kept out of the catalog and named in the crawl's report.
var DefinitionLimits = strictjson.Limits{Bytes: 1 << 20, Depth: 64, Names: 20_000}

// toolName is what the MCP specification (2025-11-25, tools, names) allows, with its length of 1 to 128, and spaces,
// slashes and colons, which real servers use.
var toolName = regexp.MustCompile(`^[A-Za-z0-9_./: -]{1,128}$`)

// Parse reads a definition as a server listed it. It refuses one that is ambiguous JSON, over [DefinitionLimits], or
// without a usable name or an object as input schema; the error says which in words for a person.
func Parse(server string, definition json.RawMessage) (Tool, error) {
	digest, err := DigestOf(definition)
	if err != nil {
		return Tool{}, err
	}
	// Member names are matched case-insensitively by encoding/json, so exact names are picked from a map.
	var members map[string]json.RawMessage
	if err := json.Unmarshal(definition, &members); err != nil {
		return Tool{}, fmt.Errorf("the definition is no JSON object: %w", err)
	}
	t := Tool{Definition: definition, Digest: digest}
	if kind, inner := Unwrap(definition); kind != ATool {
		return parseOther(server, kind, t, inner)
	}
	if json.Unmarshal(members["name"], &t.Name) != nil || !toolName.MatchString(t.Name) {
		return Tool{}, fmt.Errorf("the tool's name %.80q is missing or not within %s", members["name"], toolName)
	}
	t.ID = NewID(server, t.Name)
	for name, into := range map[string]*string{"title": &t.Title, "description": &t.Description} {
		if raw, ok := members[name]; ok && json.Unmarshal(raw, into) != nil {
			return Tool{}, fmt.Errorf("tool %s: member %q is not a string", t.Name, name)
		}
	}
	schema, err := object(members["inputSchema"])
	if err != nil {
		return Tool{}, fmt.Errorf("tool %s: inputSchema %w", t.Name, err)
	}
	t.Params, t.Untyped = params(schema), string(schema["type"]) != `"object"`
	t.Gist = GistOf(t)
	t.Effect = Judge(t, members["annotations"])
	return t, nil
}

func object(raw json.RawMessage) (map[string]json.RawMessage, error) {
	if len(raw) == 0 {
		return nil, nil // 2 of 4,345 crawled tools have none; they take no arguments
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(raw, &m); err != nil || m == nil {
		return nil, fmt.Errorf("is not an object")
	}
	return m, nil
}

func params(schema map[string]json.RawMessage) []Param {
	var properties map[string]json.RawMessage
	var required []string
	_ = json.Unmarshal(schema["properties"], &properties) // a schema of another shape simply names no parameters
	_ = json.Unmarshal(schema["required"], &required)
	out := make([]Param, 0, len(properties))
	for name, raw := range properties {
		var p struct {
			Description string `json:"description"`
		}
		_ = json.Unmarshal(raw, &p)
		out = append(out, Param{Name: name, Description: p.Description, Required: slices.Contains(required, name)})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}
