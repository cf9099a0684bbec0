package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	strict "github.com/go-json-experiment/json"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"remit/internal/strictjson"
)

// conform withholds a result whose structured content is not what the approved output schema says. Servers have to conform to
// it, and clients that check it themselves refuse the same (2026-07-28, tools, output schema). Errors carry no such promise.
// It looks at what the server sent, before masks hide some of it.
func (c *call) conform(result json.RawMessage) *fault {
	if c.grant.output == nil {
		return nil
	}
	err := c.grant.output.promised(result)
	if err == nil {
		return nil
	}
	at := clean(c.grant.rules.MaskText(err.Error()), 300) // a path is made of the server's own names
	server, _ := c.grant.Tool.Split()
	f := toolFault(fmt.Sprintf("Withheld: the answer of the server %s is not what the approved output schema of this tool says: %s. The call has taken effect: check before you repeat it, and tell the operator of Remit.", server, at),
		"the result does not match the approved output schema: "+at)
	f.policy = "forward/output schema"
	return f
}

// promised says why a result does not keep the output schema. The text has the place and the rule, nothing of what stood there.
func (s *schema) promised(result json.RawMessage) error {
	var r members
	if err := strict.Unmarshal(result, &r); err != nil { // no duplicate members, at any depth: readers would differ
		return errors.New("it is no object that every reader understands alike")
	}
	for name := range r {
		for _, known := range []string{"structuredContent", "isError", "resultType"} {
			if name != known && folded(name) == folded(known) {
				return fmt.Errorf("it has %s in another case", known)
			}
		}
	}
	if kind, ok := r["resultType"]; ok && string(kind) != `"complete"` || string(r["isError"]) == "true" {
		return nil // what is not complete is refused by finished
	}
	content, ok := r["structuredContent"]
	if !ok {
		return errors.New("it has no structured content")
	}
	v, err := strictjson.Decode(content)
	if err != nil {
		return errors.New("its structured content cannot be read")
	}
	if err := smallNumbers(v); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	invalid, err := s.evaluate(v)
	if invalid == nil {
		return err
	}
	return broken(invalid)
}

// broken names the place and the keyword of the first cause that has no further cause.
func broken(e *jsonschema.ValidationError) error {
	for len(e.Causes) > 0 {
		e = e.Causes[0]
	}
	at := "its structured content"
	for i, token := range e.InstanceLocation {
		if i == 0 {
			at += " at "
		}
		at += pointer(token)
	}
	if keyword := e.ErrorKind.KeywordPath(); len(keyword) > 0 {
		return fmt.Errorf("%s does not keep %q", at, strings.Join(keyword, "/"))
	}
	return fmt.Errorf("%s is not allowed", at)
}
