package catalog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Severity of a change, in order.
type Severity string

const (
	Minor    Severity = "minor"    // nothing that a model or a call depends on
	Material Severity = "material" // what the model reads, or what it may send
	Severe   Severity = "severe"   // it can do more harm, or holds what a reviewer should be warned of
)

// Change is one difference between two definitions of a tool.
type Change struct {
	Severity Severity
	Text     string // in words; it may hold any character
}

// Changes says in words what differs between an approved definition and another one, the severest first. None means that the
// definitions are equal but for their spelling.
func Changes(server string, approved, now json.RawMessage) []Change {
	was, err := Parse(server, approved)
	if err != nil {
		return []Change{{Severe, "the approved definition cannot be read: " + err.Error()}}
	}
	is, err := Parse(server, now)
	if err != nil {
		return []Change{{Severe, "the new definition cannot be read: " + err.Error()}}
	}
	var out []Change
	add := func(s Severity, format string, a ...any) { out = append(out, Change{s, fmt.Sprintf(format, a...)}) }
	if was.Name != is.Name {
		add(Severe, "the name is %s, it was %s", is.Name, was.Name)
	}
	if w, i := was.Effect.Effect, is.Effect.Effect; i.Exceeds(w) {
		add(Severe, "its effect is %s now, it was %s: %s", i, w, is.Effect.Why)
	} else if i != w {
		add(Material, "its effect is %s now, it was %s: %s", i, w, is.Effect.Why)
	}
	known := Scan(approved)
	for _, f := range Scan(now) {
		if !slices.Contains(known, f) {
			add(Severe, "%s", f.Text)
		}
	}
	if was.Title != is.Title {
		add(Material, "the title is %q, it was %q", is.Title, was.Title)
	}
	if was.Description != is.Description {
		add(Material, "the description: %s", wordsDiffer(was.Description, is.Description))
	}
	members := func(raw json.RawMessage) (m map[string]json.RawMessage) {
		_ = json.Unmarshal(raw, &m) // it was parsed before
		return m
	}
	_, approved = Unwrap(approved)
	_, now = Unwrap(now)
	old, fresh := members(approved), members(now)
	out = append(out, schemaChanges(old["inputSchema"], fresh["inputSchema"])...)
	for _, name := range memberNames(old, fresh) {
		switch name {
		case "name", "title", "description", "inputSchema":
			continue
		}
		if same(old[name], fresh[name]) {
			continue
		}
		add(Material, "%s: %s", name, becomes(old[name], fresh[name]))
	}
	rank := map[Severity]int{Severe: 0, Material: 1, Minor: 2}
	slices.SortStableFunc(out, func(a, b Change) int { return rank[a.Severity] - rank[b.Severity] })
	return out
}

// schemaChanges compares input schemas: properties by name, and all other keywords as they are.
func schemaChanges(was, is json.RawMessage) []Change {
	if same(was, is) {
		return nil
	}
	var a, b map[string]json.RawMessage
	if json.Unmarshal(was, &a) != nil || json.Unmarshal(is, &b) != nil {
		return []Change{{Material, "the input schema: " + becomes(was, is)}}
	}
	var out []Change
	before, after := map[string]Param{}, map[string]Param{}
	for _, p := range params(a) {
		before[p.Name] = p
	}
	for _, p := range params(b) {
		after[p.Name] = p
	}
	var propsA, propsB map[string]json.RawMessage
	_ = json.Unmarshal(a["properties"], &propsA)
	_ = json.Unmarshal(b["properties"], &propsB)
	for _, name := range memberNames(propsA, propsB) {
		old, had := before[name]
		now, has := after[name]
		kind := "optional"
		if now.Required {
			kind = "required"
		}
		switch {
		case !had:
			out = append(out, Change{Material, fmt.Sprintf("a new %s parameter `%s`", kind, name)})
		case !has:
			out = append(out, Change{Material, fmt.Sprintf("the parameter `%s` is gone", name)})
		default:
			if old.Required != now.Required {
				out = append(out, Change{Material, fmt.Sprintf("the parameter `%s` is %s now", name, kind)})
			}
			if old.Description != now.Description {
				out = append(out, Change{Material, fmt.Sprintf("the description of `%s`: %s", name, wordsDiffer(old.Description, now.Description))})
			}
			if x, y := without(propsA[name], "description"), without(propsB[name], "description"); !same(x, y) {
				out = append(out, Change{Material, fmt.Sprintf("what `%s` may be: %s", name, becomes(x, y))})
			}
		}
	}
	for _, name := range memberNames(a, b) {
		if name != "properties" && name != "required" && !same(a[name], b[name]) {
			out = append(out, Change{Material, fmt.Sprintf("the input schema's %s: %s", name, becomes(a[name], b[name]))})
		}
	}
	if len(out) == 0 {
		out = append(out, Change{Minor, "the input schema is written otherwise"})
	}
	return out
}

func without(raw json.RawMessage, member string) json.RawMessage {
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil {
		return raw
	}
	delete(m, member)
	out, _ := json.Marshal(m)
	return out
}

// memberNames are the names of both, sorted, each once.
func memberNames(a, b map[string]json.RawMessage) []string {
	var names []string
	for _, m := range []map[string]json.RawMessage{a, b} {
		for name := range m {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// same says that two values are equal but for their spelling; a missing value is equal to none.
func same(a, b json.RawMessage) bool {
	if len(a) == 0 || len(b) == 0 {
		return len(a) == len(b)
	}
	x, errX := DigestOf(a)
	y, errY := DigestOf(b)
	if errX != nil || errY != nil {
		return bytes.Equal(a, b)
	}
	return x == y
}

const maxShown = 300 // bytes of a value in a change

func becomes(was, is json.RawMessage) string {
	shown := func(raw json.RawMessage) string {
		if len(raw) == 0 {
			return "nothing"
		}
		return cut(string(raw), maxShown)
	}
	return shown(is) + ", it was " + shown(was)
}

// wordsDiffer shows what two texts do not begin and end with alike.
func wordsDiffer(was, is string) string {
	a, b := strings.Fields(was), strings.Fields(is)
	start := 0
	for start < len(a) && start < len(b) && a[start] == b[start] {
		start++
	}
	end := 0
	for end < len(a)-start && end < len(b)-start && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	gone, come := strings.Join(a[start:len(a)-end], " "), strings.Join(b[start:len(b)-end], " ")
	switch {
	case gone == "" && come == "":
		return "only white space differs"
	case gone == "":
		return "added “" + cut(come, maxShown) + "”"
	case come == "":
		return "left out “" + cut(gone, maxShown) + "”"
	}
	return "“" + cut(come, maxShown) + "” for “" + cut(gone, maxShown) + "”"
}
