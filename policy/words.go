package policy

import (
	"fmt"
	"strings"
)

// Words says the policy for a reviewer: first what it allows, then one rule each, in the order in which they are decided.
func (p Policy) Words() []string {
	out := p.Lets()
	for _, h := range p.Hours {
		if w, err := h.compile(); err == nil {
			out = append(out, w.text+" only")
		}
	}
	for _, a := range p.Arguments {
		out = append(out, a.words())
	}
	for _, c := range p.Conditions {
		out = append(out, "only if "+c.CEL)
	}
	if p.Approval != nil {
		out = append(out, p.Approval.words())
	}
	for _, l := range p.Limits {
		out = append(out, l.words())
	}
	if p.Concurrent > 0 {
		out = append(out, fmt.Sprintf("at most %d at once", p.Concurrent))
	}
	if p.TimeoutSeconds > 0 {
		out = append(out, fmt.Sprintf("at most %d s a call", p.TimeoutSeconds))
	}
	if p.MaxResultBytes > 0 {
		out = append(out, fmt.Sprintf("results of at most %d bytes", p.MaxResultBytes))
	}
	for _, m := range p.Mask {
		out = append(out, m.words())
	}
	return out
}

func (l Limit) words() string {
	by := map[Scope]string{ByKey: " for each key", ByTool: " for all personas together"}[l.By]
	return fmt.Sprintf("at most %d a %s%s", l.Calls, l.Per, by)
}

func (c Constraint) words() string {
	var rules []string
	if len(c.Const) > 0 || len(c.Enum) > 0 {
		rules = append(rules, "is "+constraint{Constraint: c}.choices())
	}
	if len(c.Minimum) > 0 {
		rules = append(rules, "at least "+string(c.Minimum))
	}
	if len(c.Maximum) > 0 {
		rules = append(rules, "at most "+string(c.Maximum))
	}
	if c.MaxLength > 0 {
		rules = append(rules, fmt.Sprintf("at most %d characters", c.MaxLength))
	}
	if c.Pattern != "" {
		rules = append(rules, "matches "+c.Pattern)
	}
	switch {
	case c.Forbidden:
		return c.Path + " is not given"
	case len(rules) == 0:
		return c.Path + " is given"
	case c.Optional:
		return c.Path + " " + strings.Join(rules, ", ") + ", or is left out"
	}
	return c.Path + " " + strings.Join(rules, ", ")
}

func (m Mask) words() string {
	what := m.Detector
	switch {
	case m.Pattern != "":
		what = "what matches " + m.Pattern
	case m.Path != "":
		what = m.Path
	}
	return map[Mode]string{Redact: "hides ", Hash: "hashes ", Block: "withholds answers with ", Report: "reports "}[m.Mode] + what
}
