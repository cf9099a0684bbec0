package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Validate says what a limit may look like.
func (l Limit) Validate() error {
	switch {
	case l.Calls < 1 || l.Calls > maxCalls:
		return fmt.Errorf("calls are 1 to %d, not %d", maxCalls, l.Calls)
	case l.Per.Length() == 0:
		return fmt.Errorf("per is second, minute, hour or day, not %q", l.Per)
	case l.By != "" && l.By != ByPersona && l.By != ByKey && l.By != ByTool:
		return fmt.Errorf("by is key, persona or tool, not %q", l.By)
	}
	return nil
}

// ParseLimit reads CALLS/PERIOD, such as 100/hour.
func ParseLimit(text string) (Limit, error) {
	calls, per, _ := strings.Cut(text, "/")
	n, err := strconv.Atoi(calls)
	l := Limit{Calls: n, Per: Period(per)}
	if err != nil {
		return Limit{}, fmt.Errorf("%w: %q is no limit: write CALLS/PERIOD, such as 100/hour", ErrInvalid, text)
	}
	if err := l.Validate(); err != nil {
		return Limit{}, fmt.Errorf("%w: %q is no limit: %w", ErrInvalid, text, err)
	}
	return l, nil
}

// String says the limit in words.
func (l Limit) String() string {
	article := "a"
	if l.Per == Hour {
		article = "an"
	}
	whose := map[Scope]string{ByKey: " with one key", ByTool: " by all together", byKeyAlone: ", of all its tools together"}[l.By]
	return fmt.Sprintf("at most %d %s %s%s", l.Calls, article, l.Per, whose)
}

// With adds limits that count all calls with one key together, whatever the tool. All that the policy asks for stays.
func (c *Compiled) With(limits []Limit) *Compiled {
	if len(limits) == 0 {
		return c
	}
	more := *c
	more.Limits = slices.Clone(c.Limits)
	for _, l := range limits {
		l.By = byKeyAlone
		more.Limits = append(more.Limits, l)
	}
	return &more
}
