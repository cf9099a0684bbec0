package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"remit/persona"
	"remit/policy"
)

// ruleKind is a kind of rule: its fields, and the way between them and the policy.
type ruleKind struct {
	key, title, add, one string
	about                string // the field that a problem of the rule is mostly about; empty for all
	fields               []fieldKind
	rows                 func(policy.Policy, arguments) []url.Values
	// read is one rule out of what was typed. at is its place in the stored policy, or -1: what the fields do not know of that one
	// stays. bad names the field that an error is about.
	read func(v url.Values, old policy.Policy, at int, of arguments) (rule policy.Policy, bad string, err error)
}

// fieldKind is a field of a rule. Its kind says how it is written: number, text, select, check, days, lines, code, argument.
type fieldKind struct {
	name, label, kind, hint string
	options                 []formOption
	makes                   bool // a select that makes a rule when something is chosen
	plain                   bool // spaces around what is typed mean nothing
}

// total is a number that stands alone.
type total struct {
	field, label, hint string
	of                 func(*policy.Policy) *int
}

var totals = []total{
	{"concurrent", "Calls at once", "any number", func(p *policy.Policy) *int { return &p.Concurrent }},
	{"max_result_bytes", "Largest result, in bytes", "what the server may send", func(p *policy.Policy) *int { return &p.MaxResultBytes }},
	{"timeout_seconds", "Longest call, in seconds", "the gateway's", func(p *policy.Policy) *int { return &p.TimeoutSeconds }},
}

func options(pairs ...string) (out []formOption) {
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, formOption{Value: pairs[i], Label: pairs[i+1]})
	}
	return out
}

func detectorOptions() []formOption {
	out := options("", "none")
	for _, d := range policy.Detectors {
		out = append(out, formOption{Value: d.Name, Label: d.Name})
	}
	return out
}

var weekDays = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

// ruleKinds are all that the form knows.
var ruleKinds = []ruleKind{
	{key: "limits", title: "How often", add: "Add a limit", one: "limit", about: "calls", rows: limitRows, read: readLimit, fields: []fieldKind{
		{name: "calls", label: "At most", kind: "number", plain: true, hint: "20"},
		{name: "per", label: "calls a", kind: "select", options: options("day", "day", "hour", "hour", "minute", "minute", "second", "second")},
		{name: "by", label: "counted for", kind: "select", options: options("", "the persona", "persona", "the persona, said", "key", "each access key", "tool", "all personas together")}}},
	{key: "arguments", title: "Arguments", add: "Add a rule for an argument", one: "rule", rows: argumentRows, read: readArgument, fields: []fieldKind{
		{name: "path", label: "Argument", kind: "argument", hint: "/channel"},
		{name: "values", label: "is one of (one a line)", kind: "lines"},
		{name: "minimum", label: "at least", kind: "text", plain: true},
		{name: "maximum", label: "at most", kind: "text", plain: true},
		{name: "max_length", label: "characters at most", kind: "number", plain: true},
		{name: "pattern", label: "matches, as a whole (RE2)", kind: "text"},
		{name: "given", label: "Has to be given", kind: "select", options: options("", "yes", "optional", "no, it may be left out", "forbidden", "it must be left out")}}},
	{key: "conditions", title: "Conditions", add: "Add a condition", one: "condition", about: "cel", rows: conditionRows, read: readCondition, fields: []fieldKind{
		{name: "cel", label: "Has to be true (CEL)", kind: "code", hint: "args.amount * args.count < 500.0"},
		{name: "message", label: "What the agent is told when it is not", kind: "text"}}},
	{key: "hours", title: "When", add: "Add hours", one: "stretch of time", rows: hoursRows, read: readHours, fields: []fieldKind{
		{name: "from", label: "From", kind: "text", plain: true, hint: "08:00"},
		{name: "to", label: "until", kind: "text", plain: true, hint: "18:00"},
		{name: "zone", label: "in the time zone", kind: "text", plain: true, hint: "Europe/Berlin; empty is UTC"},
		{name: "days", label: "Days (none ticked: every day)", kind: "days", options: options("mon", "Mon", "tue", "Tue", "wed", "Wed", "thu", "Thu", "fri", "Fri", "sat", "Sat", "sun", "Sun")}}},
	{key: "mask", title: "What is hidden of results", add: "Add a mask", one: "mask", rows: maskRows, read: readMask, fields: []fieldKind{
		{name: "detector", label: "What a detector finds", kind: "select", options: detectorOptions(), makes: true},
		{name: "pattern", label: "or a pattern (RE2)", kind: "text"},
		{name: "path", label: "or a member", kind: "text", hint: "/customer/iban"},
		{name: "mode", label: "is", kind: "select", options: options("redact", "hidden", "hash", "hidden, alike where it is alike", "block", "a reason to withhold the answer", "report", "left, and recorded")}}},
}

// withoutRules is p without what ruleKinds know, and withRule has one of their rules more. A new kind of rule has its place in both.
func withoutRules(p policy.Policy) policy.Policy {
	p.Limits, p.Arguments, p.Conditions, p.Hours, p.Mask = nil, nil, nil, nil, nil
	return p
}

func withRule(p, rule policy.Policy) policy.Policy {
	p.Limits, p.Arguments, p.Conditions = append(p.Limits, rule.Limits...), append(p.Arguments, rule.Arguments...), append(p.Conditions, rule.Conditions...)
	p.Hours, p.Mask = append(p.Hours, rule.Hours...), append(p.Mask, rule.Mask...)
	return p
}

// arguments are what a tool declares of its own.
type arguments struct {
	names []string
	texts map[string]bool // JSON Pointers to those that are plain texts
}

func argumentsOf(g persona.Grant) arguments {
	a := arguments{texts: map[string]bool{}}
	raw, err := g.InputSchema()
	var schema, properties map[string]json.RawMessage
	if err != nil || json.Unmarshal(raw, &schema) != nil || json.Unmarshal(schema["properties"], &properties) != nil {
		return a
	}
	a.names = slices.Sorted(maps.Keys(properties))
	for _, name := range a.names {
		var p map[string]json.RawMessage
		if json.Unmarshal(properties[name], &p) == nil && string(p["type"]) == `"string"` {
			a.texts["/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(name)] = true
		}
	}
	return a
}

// stored is the rule at a place of a stored list, or a new one.
func stored[T any](list []T, at int) (zero T) {
	if at >= 0 && at < len(list) {
		return list[at]
	}
	return zero
}

// whole reads a whole number; nothing typed is 0.
func whole(v url.Values, field string) (int, error) {
	text := v.Get(field)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%q is no whole number", text)
	}
	return n, nil
}

func limitRows(p policy.Policy, _ arguments) (out []url.Values) {
	for _, l := range p.Limits {
		out = append(out, url.Values{"calls": {strconv.Itoa(l.Calls)}, "per": {string(l.Per)}, "by": {string(l.By)}})
	}
	return out
}

func readLimit(v url.Values, old policy.Policy, at int, _ arguments) (policy.Policy, string, error) {
	l := stored(old.Limits, at)
	var err error
	if l.Calls, err = whole(v, "calls"); err != nil {
		return policy.Policy{}, "calls", err
	}
	l.Per, l.By = policy.Period(v.Get("per")), policy.Scope(v.Get("by"))
	return policy.Policy{Limits: []policy.Limit{l}}, "", nil
}

func argumentRows(p policy.Policy, of arguments) (out []url.Values) {
	for _, c := range p.Arguments {
		v := url.Values{"path": {c.Path}, "values": {valueLines(c, of)}, "minimum": {string(c.Minimum)}, "maximum": {string(c.Maximum)}, "pattern": {c.Pattern}, "given": {""}}
		if c.MaxLength != 0 {
			v.Set("max_length", strconv.Itoa(c.MaxLength))
		}
		if c.Optional {
			v.Set("given", "optional")
		}
		if c.Forbidden {
			v.Set("given", "forbidden")
		}
		out = append(out, v)
	}
	return out
}

func readArgument(v url.Values, old policy.Policy, at int, of arguments) (policy.Policy, string, error) {
	c := stored(old.Arguments, at)
	if lines := v.Get("values"); c.Path != v.Get("path") || lines != valueLines(c, of) { // else they are kept to the letter
		several := len(c.Enum) > 0
		c.Const, c.Enum = nil, linesValues(lines, of.texts[v.Get("path")])
		if len(c.Enum) == 1 && !several {
			c.Const, c.Enum = c.Enum[0], nil
		}
	}
	c.Path, c.Pattern = v.Get("path"), v.Get("pattern")
	c.Optional, c.Forbidden = v.Get("given") == "optional", v.Get("given") == "forbidden"
	var err error
	if c.MaxLength, err = whole(v, "max_length"); err != nil {
		return policy.Policy{}, "max_length", err
	}
	for field, into := range map[string]*json.RawMessage{"minimum": &c.Minimum, "maximum": &c.Maximum} {
		*into = nil
		if text := v.Get(field); text != "" {
			*into = json.RawMessage(text)
			var n json.Number
			if json.Unmarshal(*into, &n) != nil || text[0] == '"' {
				return policy.Policy{}, field, fmt.Errorf("%q is no number", text)
			}
		}
	}
	return policy.Policy{Arguments: []policy.Constraint{c}}, "", nil
}

// valueLines is what an argument may be, one value a line.
func valueLines(c policy.Constraint, of arguments) string {
	var lines []string
	for _, raw := range append(slices.Clone(c.Enum), c.Const) {
		if len(raw) > 0 {
			lines = append(lines, valueLine(raw, of.texts[c.Path]))
		}
	}
	return strings.Join(lines, "\n")
}

func linesValues(lines string, text bool) (out []json.RawMessage) {
	for line := range strings.Lines(lines) {
		if strings.TrimSpace(line) != "" {
			out = append(out, lineValue(line, text))
		}
	}
	return out
}

// valueLine is a JSON value as a line of a form: as it is, but texts plainly where the argument is one.
func valueLine(raw json.RawMessage, text bool) string {
	var s string
	if text && json.Unmarshal(raw, &s) == nil && raw[0] == '"' && s != "" && s == strings.TrimSpace(s) && bytes.Equal(lineValue(s, true), raw) && !strings.ContainsAny(s, "\r\n") {
		return s
	}
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return string(raw)
	}
	return b.String()
}

// lineValue is the JSON value that a line means: JSON if it is that, else the text. Where the argument is a text, only what is quoted is
// taken for JSON.
func lineValue(line string, text bool) json.RawMessage {
	trimmed := strings.TrimSpace(line)
	if json.Valid([]byte(trimmed)) && (!text || trimmed[0] == '"') {
		return json.RawMessage(trimmed)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(trimmed) // a text can be written
	return json.RawMessage(bytes.TrimSpace(b.Bytes()))
}

func conditionRows(p policy.Policy, _ arguments) (out []url.Values) {
	for _, c := range p.Conditions {
		out = append(out, url.Values{"cel": {c.CEL}, "message": {c.Message}})
	}
	return out
}

func readCondition(v url.Values, old policy.Policy, at int, _ arguments) (policy.Policy, string, error) {
	c := stored(old.Conditions, at)
	c.CEL, c.Message = v.Get("cel"), v.Get("message")
	return policy.Policy{Conditions: []policy.Condition{c}}, "", nil
}

func hoursRows(p policy.Policy, _ arguments) (out []url.Values) {
	for _, h := range p.Hours {
		var days []string
		for _, d := range h.Days {
			days = append(days, strings.ToLower(d))
		}
		out = append(out, url.Values{"from": {h.From}, "to": {h.To}, "zone": {h.Zone}, "days": days})
	}
	return out
}

func readHours(v url.Values, old policy.Policy, at int, _ arguments) (policy.Policy, string, error) {
	h := stored(old.Hours, at)
	h.From, h.To, h.Zone = v.Get("from"), v.Get("to"), v.Get("zone")
	before := map[string]bool{}
	for _, d := range h.Days {
		before[strings.ToLower(d)] = true
	}
	days := slices.Clone(v["days"])
	slices.SortStableFunc(days, func(a, b string) int { return slices.Index(weekDays, a) - slices.Index(weekDays, b) })
	if len(before) != len(days) || slices.ContainsFunc(days, func(d string) bool { return !before[d] }) {
		h.Days = days
	}
	return policy.Policy{Hours: []policy.Hours{h}}, "", nil
}

func maskRows(p policy.Policy, _ arguments) (out []url.Values) {
	for _, m := range p.Mask {
		out = append(out, url.Values{"detector": {m.Detector}, "pattern": {m.Pattern}, "path": {m.Path}, "mode": {string(m.Mode)}})
	}
	return out
}

func readMask(v url.Values, old policy.Policy, at int, _ arguments) (policy.Policy, string, error) {
	m := stored(old.Mask, at)
	m.Detector, m.Pattern, m.Path, m.Mode = v.Get("detector"), v.Get("pattern"), v.Get("path"), policy.Mode(v.Get("mode"))
	return policy.Policy{Mask: []policy.Mask{m}}, "", nil
}
