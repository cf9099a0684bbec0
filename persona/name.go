package persona

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
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
		server, tool := grants[i].Tool.Split()
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

// Served is the definition as the agent reads it: the pinned bytes, with the name replaced where the persona calls the
// tool otherwise. Nothing else is touched.
func (g Grant) Served() (json.RawMessage, error) {
	dec := jsontext.NewDecoder(strings.NewReader(string(g.Definition)))
	if tok, err := dec.ReadToken(); err != nil || tok.Kind() != '{' {
		return nil, fmt.Errorf("the definition of %s is no object: %v", g.Tool, err)
	}
	for dec.PeekKind() == '"' {
		member, err := dec.ReadToken()
		if err != nil {
			return nil, err
		}
		isName := member.String() == "name"
		value, err := dec.ReadValue()
		if err != nil {
			return nil, err
		}
		if isName {
			end := dec.InputOffset()
			start := end - int64(len(value))
			quoted, _ := json.Marshal(g.Name)
			return append(append(append(json.RawMessage{}, g.Definition[:start]...), quoted...), g.Definition[end:]...), nil
		}
	}
	return nil, fmt.Errorf("the definition of %s has no name", g.Tool)
}
