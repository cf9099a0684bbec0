package persona

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"remit/catalog"
	"remit/policy"
)

const maxName = 64 // what the strictest model APIs accept

var unusable = regexp.MustCompile(`[^A-Za-z0-9_-]`)

// NameGrants gives every grant without a name one that the agent will call: the tool's own where it is usable and free
// within the revision, else server__tool, else that cut to fit with eight hex digits of its id's hash. Names that are
// set stay if they are usable and free, so that a tool keeps its name from revision to revision. Names differ in more than case.
func NameGrants(grants []Grant) {
	taken := map[string]bool{}
	for i, g := range grants {
		if low := strings.ToLower(g.Name); len(low) > maxName || unusable.MatchString(low) || taken[low] {
			grants[i].Name = ""
		} else if low != "" {
			taken[low] = true
		}
	}
	for i := range grants {
		if grants[i].Name != "" {
			continue
		}
		server, _ := grants[i].Tool.Split()
		tool := grants[i].Tool.Own()
		if grants[i].Tool.Of() == catalog.AResource || grants[i].Tool.Of() == catalog.ATemplate { // agents call it by its URI
			tool = unusable.ReplaceAllString(tool, "_")
		}
		long := unusable.ReplaceAllString(server+"__"+tool, "_")
		sum := sha256.Sum256([]byte(grants[i].Tool))
		hash := hex.EncodeToString(sum[:4])
		for _, name := range []string{tool, long, long[:min(len(long), maxName-9)] + "_" + hash} {
			if len(name) <= maxName && !unusable.MatchString(name) && !taken[strings.ToLower(name)] {
				grants[i].Name, taken[strings.ToLower(name)] = name, true
				break
			}
		}
	}
}

// Served is the definition as the agent reads it: the pinned bytes, with the name replaced where the persona calls the tool
// otherwise, the input schema narrowed where the policy constrains arguments, and of tasks what calls through Remit can have
// (2025-11-25, execution.taskSupport): none where the policy does not let the server answer so, and no duty to ask for one. Nothing
// else is touched. With it comes the policy, ready to decide.
func (g Grant) Served() (json.RawMessage, *policy.Compiled, error) {
	schema, err := g.InputSchema()
	if err != nil {
		return nil, nil, err
	}
	rules, err := g.Policy.Compile(schema)
	if err != nil {
		return nil, nil, fmt.Errorf("tool %s: %w", g.Tool, err)
	}
	kind, definition := catalog.Unwrap(g.Definition)
	if kind == catalog.AResource || kind == catalog.ATemplate { // which agents know by the URI
		return definition, rules, nil
	}
	own, err := parts(definition)
	if err != nil {
		return nil, nil, fmt.Errorf("the definition of %s %w", g.Tool, err)
	}
	quoted, _ := json.Marshal(g.Name)
	edits := []edit{{own.name, quoted}}
	if kind == catalog.ATool {
		narrowed, err := rules.Narrow(schema)
		if err != nil {
			return nil, nil, fmt.Errorf("tool %s: %w", g.Tool, err)
		}
		edits = append(edits, edit{own.schema, narrowed})
		if own.tasks != [2]int64{} {
			edits = append(edits, edit{own.tasks, g.taskSupport(definition[own.tasks[0]:own.tasks[1]])})
		}
	}
	slices.SortFunc(edits, func(a, b edit) int { return int(a.at[0] - b.at[0]) })
	var out json.RawMessage
	done := int64(0)
	for _, e := range edits {
		out = append(append(out, definition[done:e.at[0]]...), e.with...)
		done = e.at[1]
	}
	return append(out, definition[done:]...), rules, nil
}

// taskSupport is what the agent reads in the place of a definition's own.
func (g Grant) taskSupport(own json.RawMessage) json.RawMessage {
	may, must := support(own)
	switch {
	case may && !g.Policy.Tasks:
		return json.RawMessage(`"forbidden"`)
	case must:
		return json.RawMessage(`"optional"`)
	}
	return own
}

// support reads a taskSupport; what is not known is none.
func support(own json.RawMessage) (may, must bool) {
	var text string
	_ = json.Unmarshal(own, &text)
	return text == "optional" || text == "required", text == "required"
}

// TakesTasks says whether the pinned definition says that calls may be made as tasks, and whether they have to (2025-11-25).
func (g Grant) TakesTasks() (may, must bool) {
	_, definition := catalog.Unwrap(g.Definition)
	own, err := parts(definition)
	if err != nil {
		return false, false
	}
	return support(definition[own.tasks[0]:own.tasks[1]])
}

// Called is what the agent calls it: its name, or the URI of a resource.
func (g Grant) Called() string {
	if kind := g.Tool.Of(); kind == catalog.AResource || kind == catalog.ATemplate {
		return g.Tool.Own()
	}
	return g.Name
}

// InputSchema is the JSON Schema of the arguments; empty for a tool without one.
func (g Grant) InputSchema() (json.RawMessage, error) {
	if kind, _ := catalog.Unwrap(g.Definition); kind != catalog.ATool {
		return catalog.InputSchema(g.Definition)
	}
	own, err := parts(g.Definition)
	if err != nil {
		return nil, fmt.Errorf("the definition of %s %w", g.Tool, err)
	}
	return g.Definition[own.schema[0]:own.schema[1]], nil
}

// edit puts other bytes in the place of some.
type edit struct {
	at   [2]int64
	with json.RawMessage
}

// places are where the values of a definition's members stand. A missing schema is an empty stretch, which nothing narrows. tasks is that
// of execution.taskSupport.
type places struct{ name, schema, tasks [2]int64 }

func parts(definition json.RawMessage) (p places, err error) {
	dec := jsontext.NewDecoder(strings.NewReader(string(definition)))
	if tok, err := dec.ReadToken(); err != nil || tok.Kind() != '{' {
		return p, fmt.Errorf("is no object: %v", err)
	}
	named := false
	for dec.PeekKind() == '"' {
		member, err := dec.ReadToken()
		if err != nil {
			return p, err
		}
		name := member.String()
		value, err := dec.ReadValue()
		if err != nil {
			return p, err
		}
		at := [2]int64{dec.InputOffset() - int64(len(value)), dec.InputOffset()}
		switch name {
		case "name":
			p.name, named = at, true
		case "inputSchema":
			p.schema = at
		case "execution":
			p.tasks = within(value, at[0], "taskSupport")
		}
	}
	if !named {
		return p, errors.New("has no name")
	}
	return p, nil
}

// within is where the value of an object's member stands, if the object begins at the offset; nowhere if there is none.
func within(object jsontext.Value, offset int64, name string) (at [2]int64) {
	dec := jsontext.NewDecoder(strings.NewReader(string(object)))
	if tok, err := dec.ReadToken(); err != nil || tok.Kind() != '{' {
		return at
	}
	for dec.PeekKind() == '"' {
		member, _ := dec.ReadToken() // the object was read before
		is := member.String() == name
		value, err := dec.ReadValue()
		if err != nil {
			return at
		}
		if is {
			at = [2]int64{offset + dec.InputOffset() - int64(len(value)), offset + dec.InputOffset()}
		}
	}
	return at
}
