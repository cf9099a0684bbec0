package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

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
	r, ok := membersOf(result) // without duplicate members, at any depth: readers would differ
	if !ok {
		return errors.New("it is no object that every reader understands alike")
	}
	for _, m := range r {
		for _, known := range []string{"structuredContent", "isError", "resultType"} {
			if m.Name != known && folded(m.Name) == folded(known) {
				return fmt.Errorf("it has %s in another case", known)
			}
		}
	}
	if kind := r.at("resultType"); kind != nil && string(kind) != `"complete"` || string(r.at("isError")) == "true" {
		return nil // what is not complete is refused by finished
	}
	content := r.at("structuredContent")
	if content == nil {
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
