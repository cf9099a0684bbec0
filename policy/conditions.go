package policy

import "errors"

// condition is compiled.
type condition struct{ Condition }

func (c Condition) compile() (condition, error) {
	return condition{}, errors.New("conditions are not supported yet")
}

func (c condition) check(Call, arguments) string { return "" }
