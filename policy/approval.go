package policy

import (
	"fmt"

	"cel.dev/cel-go/common/types"
)

// Approval asks for a person who approves each call, seeing its arguments, before it is made.
type Approval struct {
	Minutes int    `json:"minutes"`        // how long a call may wait for the decision, and how long an approval may be used; 1 to 1,440
	When    string `json:"when,omitempty"` // CEL as in Condition: which calls need it; empty is all
}

// compile returns the condition under which a call needs an approval, nil for all.
func (a Approval) compile() (*condition, error) {
	if a.Minutes < 1 || a.Minutes > maxApproval {
		return nil, fmt.Errorf("minutes are 1 to %d, not %d", maxApproval, a.Minutes)
	}
	if a.When == "" {
		return nil, nil
	}
	k, err := Condition{CEL: a.When}.compile()
	if err != nil {
		return nil, fmt.Errorf("when: %v", err)
	}
	return &k, nil
}

// needsApproval says that a person has to approve the call. Whatever keeps the condition from being false asks for one: a member
// that is missing, another type, too much to look at.
func (c *Compiled) needsApproval(call Call) bool {
	if c.Approval == nil || c.approves == nil {
		return c.Approval != nil
	}
	variables, err := call.variables()
	if err != nil {
		return true
	}
	result, _, err := c.approves.program.Eval(variables)
	return err != nil || result != types.False
}

func (a Approval) words() string {
	text := fmt.Sprintf("a person approves each call, within %d min", a.Minutes)
	if a.When != "" {
		text += ", where " + a.When + " is true or cannot be told"
	}
	return text
}
