// Package policy owns what a granted call needs beside being granted, and what of its answer an agent sees: limits on how
// often and how many at once, constraints on the arguments, hours, size and time, and masking. A policy is a part of the
// grant that a reviewer approves. Deciding is pure: the same call at the same time gives the same decision, in words, and
// adding a rule to a policy never allows more. (Hours are one rule, and its stretches of time are alternatives. Asks and tasks are no
// rules: they allow.)
package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	strict "github.com/go-json-experiment/json"

	"remit/internal/strictjson"
)

// Policy of one grant. The zero Policy asks for nothing more than the grant.
type Policy struct {
	Limits         []Limit      `json:"limits,omitempty"`
	Concurrent     int          `json:"concurrent,omitempty"` // calls of the tool in flight at once, for the persona; 0 is any number
	Arguments      []Constraint `json:"arguments,omitempty"`
	Conditions     []Condition  `json:"conditions,omitempty"`
	Hours          []Hours      `json:"hours,omitempty"`            // none means always; of several, one suffices
	Approval       *Approval    `json:"approval,omitempty"`         // a person approves each call; nil is none
	Mask           []Mask       `json:"mask,omitempty"`             // applied in order
	MaxResultBytes int          `json:"max_result_bytes,omitempty"` // of the result; 0 is what the server may send
	TimeoutSeconds int          `json:"timeout_seconds,omitempty"`  // of the call; 0 is the gateway's
	Asks           []Ask        `json:"asks,omitempty"`             // what the server may ask of the client meanwhile; none is nothing
	Tasks          bool         `json:"tasks,omitempty"`            // the server may answer with a task, whose result is fetched later
}

// IsZero says that the policy asks for nothing.
func (p Policy) IsZero() bool {
	return len(p.Limits)+p.Concurrent+len(p.Arguments)+len(p.Conditions)+len(p.Hours)+len(p.Mask)+len(p.Asks)+p.MaxResultBytes+p.TimeoutSeconds == 0 && p.Approval == nil && !p.Tasks
}

// Limit is how many calls may begin in any stretch of time of the length. Bursts are bounded by a second limit ("100 a day and 5
// a second").
type Limit struct {
	Calls int    `json:"calls"` // 1 to 10,000
	Per   Period `json:"per"`
	By    Scope  `json:"by,omitempty"` // whose calls count together; empty means the persona's
}

// Period is the length of a limit.
type Period string

const (
	Second Period = "second"
	Minute Period = "minute"
	Hour   Period = "hour"
	Day    Period = "day"
)

// Length of the period; 0 for none that is known.
func (p Period) Length() time.Duration {
	switch p {
	case Second:
		return time.Second
	case Minute:
		return time.Minute
	case Hour:
		return time.Hour
	case Day:
		return 24 * time.Hour
	}
	return 0
}

// Scope says whose calls of a tool a limit counts together.
type Scope string

const (
	ByPersona Scope = "persona" // of all keys of the persona
	ByKey     Scope = "key"     // of one access key
	ByTool    Scope = "tool"    // of every persona

	byKeyAlone Scope = "key alone" // of one access key, whatever the tool; only what is added by [Compiled.With]
)

// Condition is an expression in CEL (https://cel.dev) that has to be true: over args (the arguments), agent, user, persona
// (strings) and now (a timestamp, in UTC). One that cannot be evaluated, because a member is missing, has another type or
// costs too much to look at, is not met. A number is an int where it is whole, in whatever spelling, and else a double. Say
// what is allowed rather than what is not: args.to != "all" is true of the list ["all"].
type Condition struct {
	CEL     string `json:"cel"`
	Message string `json:"message,omitempty"` // what the agent is told when it is not
}

// Hours is a daily stretch of time.
type Hours struct {
	Days []string `json:"days,omitempty"` // "mon" to "sun"; none means every day
	From string   `json:"from"`           // "08:00"
	To   string   `json:"to"`             // "18:00", exclusive; earlier than From means of the next day
	Zone string   `json:"zone,omitempty"` // IANA name ("Europe/Berlin"); empty means UTC
}

// Mask hides what a detector, a path or a pattern finds, in results and in what is recorded of arguments. One of the three is
// given.
type Mask struct {
	Detector string `json:"detector,omitempty"` // one of Detectors
	Pattern  string `json:"pattern,omitempty"`  // RE2
	Path     string `json:"path,omitempty"`     // JSON Pointer into the structured content or the arguments; "*" is any member
	Mode     Mode   `json:"mode"`
}

// Mode is what becomes of what a mask finds.
type Mode string

const (
	Redact Mode = "redact" // a fixed text stands for it
	Hash   Mode = "hash"   // a keyed hash stands for it, the same for the same value within the persona
	Block  Mode = "block"  // the answer is withheld; in a record, it is redacted
	Report Mode = "report" // it stays, and the record says so
)

// Parse reads a policy as a person writes it: in JSON, without members that are not known.
func Parse(text []byte) (Policy, error) {
	var p Policy
	if err := strict.Unmarshal(text, &p, strict.RejectUnknownMembers(true)); err != nil {
		return Policy{}, invalid("%v", err)
	}
	return p, nil
}

// ErrInvalid is what every problem of a policy wraps.
var ErrInvalid = errors.New("the policy is not valid")

func invalid(format string, a ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, a...))
}

// Bounds.
const (
	maxCalls      = 10_000
	maxConcurrent = 1_000
	maxRules      = 32 // of each kind
	maxResult     = 64 << 20
	maxTimeout    = 3600
	maxApproval   = 24 * 60 // minutes
)

// Call is what is decided on.
type Call struct {
	Agent, User, Persona string
	Arguments            strictjson.Value // an object, without duplicate members
	Now                  time.Time
}

// Decision says whether a call may be made.
type Decision struct {
	Allowed bool
	// Approval says that the call, allowed by all else, may be made only once a person has approved this very call.
	Approval bool
	Rule     string // which part of the policy decided: "hours", "arguments", "conditions"; empty when allowed
	Reason   string // for the agent, without its arguments' values
}

// Compiled is a policy that was checked and is ready to decide. It is safe for concurrent use.
type Compiled struct {
	Policy
	hours       []window
	constraints []constraint
	conditions  []condition
	approves    *condition // when a call needs an approval; nil is always, where there is the rule
	masks       []mask
	patterned   bool   // a mask has a pattern, which may match short texts
	digits      int    // that what the detectors find has at least; 0 where there are other masks
	hashKey     []byte // of masks that hash
}

// Compile checks a policy against the tool's input schema. Errors wrap [ErrInvalid] and name the rule.
func (p Policy) Compile(inputSchema json.RawMessage) (*Compiled, error) {
	if err := p.bounds(); err != nil {
		return nil, err
	}
	c := &Compiled{Policy: p}
	for i, h := range p.Hours {
		w, err := h.compile()
		if err != nil {
			return nil, invalid("hours %d: %v", i+1, err)
		}
		c.hours = append(c.hours, w)
	}
	for i, a := range p.Arguments {
		k, err := a.compile(inputSchema)
		if err != nil {
			return nil, invalid("arguments %d (%s): %v", i+1, a.Path, err)
		}
		c.constraints = append(c.constraints, k)
	}
	for i, cond := range p.Conditions {
		k, err := cond.compile()
		if err != nil {
			return nil, invalid("condition %d: %v", i+1, err)
		}
		c.conditions = append(c.conditions, k)
	}
	if p.Approval != nil {
		var err error
		if c.approves, err = p.Approval.compile(); err != nil {
			return nil, invalid("approval: %v", err)
		}
	}
	c.digits = math.MaxInt
	for i, m := range p.Mask {
		k, err := m.compile(i + 1)
		if err != nil {
			return nil, invalid("mask %d: %v", i+1, err)
		}
		c.masks = append(c.masks, k)
		c.patterned = c.patterned || k.pattern != nil
		switch {
		case k.detector == nil:
			c.digits = 0
		case k.detector.digits > 0:
			c.digits = min(c.digits, k.detector.digits)
		}
	}
	return c, nil
}

func (p Policy) bounds() error {
	for name, n := range map[string]int{"limits": len(p.Limits), "arguments": len(p.Arguments), "conditions": len(p.Conditions), "hours": len(p.Hours), "masks": len(p.Mask)} {
		if n > maxRules {
			return invalid("%d %s are over the limit of %d", n, name, maxRules)
		}
	}
	for i, l := range p.Limits {
		if err := l.Validate(); err != nil {
			return fmt.Errorf("%w: limit %d: %w", ErrInvalid, i+1, err)
		}
	}
	switch {
	case p.Concurrent < 0 || p.Concurrent > maxConcurrent:
		return invalid("concurrent is 0 to %d, not %d", maxConcurrent, p.Concurrent)
	case p.MaxResultBytes < 0 || p.MaxResultBytes > maxResult:
		return invalid("max_result_bytes is 0 to %d, not %d", maxResult, p.MaxResultBytes)
	case p.TimeoutSeconds < 0 || p.TimeoutSeconds > maxTimeout:
		return invalid("timeout_seconds is 0 to %d, not %d", maxTimeout, p.TimeoutSeconds)
	}
	return p.validAsks()
}

// GoesOn says whether what an allowed call began may be asked for at the time. Its arguments were decided on when it began.
func (c *Compiled) GoesOn(now time.Time) Decision {
	if !c.open(now) {
		return Decision{Rule: "hours", Reason: "this tool may be used " + c.when() + " only"}
	}
	return Decision{Allowed: true}
}

// Decide says whether the call may be made, by hours, arguments and conditions, and whether a person has to approve it first. Limits are counted by a [Limiter], since they
// depend on other calls.
func (c *Compiled) Decide(call Call) Decision {
	if d := c.GoesOn(call.Now); !d.Allowed {
		return d
	}
	if len(c.constraints) == 0 && len(c.conditions) == 0 {
		return Decision{Allowed: true, Approval: c.needsApproval(call)}
	}
	args, err := decode(call.Arguments)
	if err != nil {
		return Decision{Rule: "arguments", Reason: "the arguments cannot be checked: " + err.Error()}
	}
	for _, k := range c.constraints {
		if why := k.check(args); why != "" {
			return Decision{Rule: "arguments", Reason: why}
		}
	}
	if why := c.meets(call); why != "" {
		return Decision{Rule: "conditions", Reason: why}
	}
	return Decision{Allowed: true, Approval: c.needsApproval(call)}
}
