package web

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"remit/catalog"
	"remit/persona"
	"remit/policy"
)

// policyForm is the policy of a grant as fields of the draft's form: as it is stored, or as somebody typed it, with what is wrong.
type policyForm struct {
	Tool     catalog.ID
	Number   int    // of the card
	Action   string // of the buttons that add and take away
	Sections []ruleSection
	Totals   []formField // numbers that stand alone
	AskName  string
	Asks     []formOption // what the server may ask for, and that it may answer with a task
	Params   []string     // JSON Pointers to the tool's arguments
	Text     string       // the policy as JSON
	Problem  string       // of the whole
	Open     bool         // it is shown opened
}

// ruleSection is the rules of one kind.
type ruleSection struct {
	Key, Title, Add string
	Rows            []ruleRow
}

type ruleRow struct {
	Index     int
	Action    string
	Fields    []formField
	Label     string // of the group, for who cannot see it
	Drop      string // what the button says that takes the rule away
	DropValue string
	Problem   string
	ID        string // of the element that says the problem
}

// formField is one field, ready to be written.
type formField struct {
	Name, ID, Label, Kind, Value, Hint, List string
	Options                                  []formOption
	Bad                                      string // the id of what says the problem; empty when the field is right
}

type formOption struct {
	Value, Label string
	On           bool
}

// tasksOption is the box of policy.Policy.Tasks, which stands with those of what a server may ask for.
const tasksOption = "tasks"

// maxRows is how many rows of a kind a form may have; the policy says how many of them it takes.
const maxRows = 64

// fieldName is the name of a field of a tool's rule.
func fieldName(key string, index int, field string, tool catalog.ID) string {
	return fmt.Sprintf("%s:%d:%s:%s", key, index, field, tool)
}

// Names of fields that are of a tool and of no rule.
func textField(tool catalog.ID) string { return "policy:" + string(tool) } // the policy as JSON
func asksField(tool catalog.ID) string { return "asks:" + string(tool) }
func formMark(tool catalog.ID) string  { return "form:" + string(tool) } // says that the fields are there

// policyText is a policy as people edit it; empty for one that asks for nothing.
func policyText(p policy.Policy) string {
	if p.IsZero() {
		return ""
	}
	raw, _ := json.MarshalIndent(p, "", "  ") // a policy has nothing that cannot be written
	return string(raw)
}

// newPolicyForm shows the stored policy of a grant.
func newPolicyForm(of persona.ID, number int, g persona.Grant) policyForm {
	f := emptyPolicyForm(of, number, g)
	f.Text = policyText(g.Policy)
	for i, k := range ruleKinds {
		for at, v := range k.rows(g.Policy, argumentsOf(g)) {
			v.Set("was", strconv.Itoa(at))
			f.Sections[i].Rows = append(f.Sections[i].Rows, f.row(k, at, v))
		}
	}
	for i, t := range totals {
		if n := *t.of(&g.Policy); n != 0 {
			f.Totals[i].Value = strconv.Itoa(n)
		}
	}
	f.tick(g.Policy)
	return f
}

func emptyPolicyForm(of persona.ID, number int, g persona.Grant) policyForm {
	f := policyForm{Tool: g.Tool, Number: number, Action: fmt.Sprintf("/personas/%s#tool-%d", of, number), AskName: asksField(g.Tool),
		Asks: options(string(policy.AskForm), "have the person fill in a form", string(policy.AskPage), "send the person to a page", string(policy.AskModel), "prompt the agent's model", tasksOption, "work on after the call, as a task")}
	for _, k := range ruleKinds {
		f.Sections = append(f.Sections, ruleSection{Key: k.key, Title: k.title, Add: k.add})
	}
	for _, t := range totals {
		f.Totals = append(f.Totals, formField{Name: t.field + ":" + string(g.Tool), ID: fmt.Sprintf("%s-%d", t.field, number), Label: t.label, Kind: "number", Hint: t.hint})
	}
	for _, name := range argumentsOf(g).names {
		f.Params = append(f.Params, "/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(name))
	}
	return f
}

func (f *policyForm) tick(p policy.Policy) {
	for i, o := range f.Asks {
		f.Asks[i].On = slices.Contains(p.Asks, policy.Ask(o.Value)) || o.Value == tasksOption && p.Tasks
	}
}

// row writes a rule's values into its fields.
func (f policyForm) row(k ruleKind, index int, v url.Values) ruleRow {
	r := ruleRow{Index: index, Action: f.Action, DropValue: fmt.Sprintf("drop %s %d %s", k.key, index, f.Tool), Label: fmt.Sprintf("%s %d", k.one, index+1), Drop: "Remove this " + k.one, ID: fmt.Sprintf("problem-%s-%d-%d", k.key, f.Number, index)}
	for _, kind := range append([]fieldKind{{name: "was", kind: "hidden"}}, k.fields...) {
		field := formField{Name: fieldName(k.key, index, kind.name, f.Tool), ID: fmt.Sprintf("%s-%d-%d-%s", k.key, f.Number, index, kind.name),
			Label: kind.label, Kind: kind.kind, Value: v.Get(kind.name), Hint: kind.hint}
		if strings.Contains(field.Value, "\n") && kind.kind == "text" {
			field.Kind = "code" // a line of text would lose the rest
		}
		if kind.kind == "argument" {
			field.List = fmt.Sprintf("arguments-%d", f.Number)
		}
		if kind.kind == "days" {
			field.Value = ""
		}
		for _, o := range kind.options {
			o.On = slices.Contains(v[kind.name], o.Value)
			field.Options = append(field.Options, o)
		}
		if value := v.Get(kind.name); kind.kind == "select" && value != "" && !slices.ContainsFunc(field.Options, func(o formOption) bool { return o.On }) {
			field.Options = append(field.Options, formOption{value, value, true}) // typed by no browser, and not lost
		}
		r.Fields = append(r.Fields, field)
	}
	return r
}

// wrong puts a problem at a row, and at the fields that it is about: those whose value it quotes, or else the one named, or all.
func (r *ruleRow) wrong(field, problem string) {
	r.Problem = problem
	quotes := func(f formField) bool {
		return f.Value != "" && (strings.Contains(problem, strconv.Quote(f.Value)) || strings.Contains(problem, strconv.Quote(strings.TrimPrefix(f.Value, "/"))) ||
			strings.Contains(problem, "the pattern") && strings.Contains(f.Name, ":pattern:"))
	}
	quoted := slices.ContainsFunc(r.Fields, quotes)
	for i, f := range r.Fields {
		if quoted && quotes(f) || !quoted && (field == "" || strings.Contains(f.Name, ":"+field+":")) {
			r.Fields[i].Bad = r.ID
		}
	}
}

// readPolicyForm is what was typed for a grant, and the policy that it means. ok is false when it cannot be saved; the form then
// says why. What the fields do not know of the stored policy stays.
func readPolicyForm(form url.Values, of persona.ID, number int, g persona.Grant) (f policyForm, p policy.Policy, ok bool) {
	text := strings.ReplaceAll(form.Get(textField(g.Tool)), "\r\n", "\n")
	if !form.Has(formMark(g.Tool)) {
		f = newPolicyForm(of, number, g)
		f.Text = text
		p, f.Problem = readPolicyText(g, text)
		return f, p, f.Problem == ""
	}
	f = emptyPolicyForm(of, number, g)
	f.Text = text
	p, ok = f.readFields(form, g)
	if strings.TrimSpace(text) == policyText(g.Policy) || !form.Has(textField(g.Tool)) {
		if ok {
			g.Policy = p
			if _, _, err := g.Served(); err != nil {
				f.Problem, ok = inForm(err), false
			}
		}
		return f, p, ok
	}
	same := ok && policyText(p) == policyText(g.Policy)
	p, f.Problem = readPolicyText(g, text)
	if !same {
		f.Problem = "The rules were changed in the fields and as text; undo one of the two."
	}
	return f, p, f.Problem == ""
}

func readPolicyText(g persona.Grant, text string) (policy.Policy, string) {
	if strings.TrimSpace(text) == "" {
		return policy.Policy{}, ""
	}
	p, err := policy.Parse([]byte(text))
	if err == nil {
		g.Policy = p
		_, _, err = g.Served()
	}
	if err != nil {
		return p, err.Error()
	}
	return p, ""
}

// readFields reads all rows. Those without anything in them are no rules.
func (f *policyForm) readFields(form url.Values, g persona.Grant) (policy.Policy, bool) {
	p, args, ok := withoutRules(g.Policy), argumentsOf(g), true
	schema, _ := g.InputSchema() // one that cannot be read is found by Served
	for i, k := range ruleKinds {
		for index := range maxRows {
			v := k.values(form, index, g.Tool)
			if v == nil {
				continue
			}
			row := f.row(k, index, v)
			was, err := strconv.Atoi(v.Get("was"))
			if err != nil {
				was = -1
			}
			rule, bad, err := k.read(v, g.Policy, was, args)
			if err == nil {
				if _, err = rule.Compile(schema); err != nil {
					bad = k.about
				}
			}
			if err != nil && !k.blank(v) {
				row.wrong(bad, inForm(err))
				ok = false
			}
			f.Sections[i].Rows = append(f.Sections[i].Rows, row)
			if err == nil && !k.blank(v) {
				p = withRule(p, rule)
			}
		}
	}
	for i, t := range totals {
		typed := strings.TrimSpace(form.Get(f.Totals[i].Name))
		f.Totals[i].Value, *t.of(&p) = typed, 0
		if typed == "" {
			continue
		}
		var only policy.Policy
		n, err := strconv.Atoi(typed)
		if *t.of(&only) = n; err == nil {
			_, err = only.Compile(schema)
		} else {
			err = fmt.Errorf("%q is no whole number", typed)
		}
		if err != nil {
			f.Totals[i].Bad, f.Problem, ok = fmt.Sprintf("problem-%d", f.Number), inForm(err), false
		}
		*t.of(&p) = n
	}
	ticked := form[asksField(g.Tool)]
	p.Asks = slices.DeleteFunc(slices.Clone(p.Asks), func(a policy.Ask) bool { // what has no box stays
		return slices.Contains(policy.Asks, a) && !slices.Contains(ticked, string(a))
	})
	p.Tasks = slices.Contains(ticked, tasksOption)
	for _, a := range ticked {
		if a != tasksOption && !slices.Contains(p.Asks, policy.Ask(a)) {
			p.Asks = append(p.Asks, policy.Ask(a))
		}
	}
	f.tick(p)
	return p, ok
}

// values is what was typed into a row; nil when there is none.
func (k ruleKind) values(form url.Values, index int, tool catalog.ID) url.Values {
	v, there := url.Values{}, false
	for _, field := range append([]fieldKind{{name: "was"}}, k.fields...) {
		if typed, ok := form[fieldName(k.key, index, field.name, tool)]; ok {
			there = true
			for _, text := range typed {
				text = strings.ReplaceAll(text, "\r\n", "\n")
				if field.plain {
					text = strings.TrimSpace(text)
				}
				v[field.name] = append(v[field.name], text)
			}
		}
	}
	if !there {
		return nil
	}
	return v
}

// blank says that nothing was typed that makes a rule.
func (k ruleKind) blank(v url.Values) bool {
	return !slices.ContainsFunc(k.fields, func(f fieldKind) bool {
		return f.kind != "select" && strings.TrimSpace(v.Get(f.name)) != "" || f.makes && v.Get(f.name) != ""
	})
}

var ownPlace = regexp.MustCompile(`^(?:limit|hours|arguments|condition|mask) 1(?: \(.*?\))?: `)

// inForm is a problem as it is said beside the rule that has it.
func inForm(err error) string {
	_, text, found := strings.Cut(err.Error(), policy.ErrInvalid.Error()+": ")
	if !found {
		text = err.Error()
	}
	return ownPlace.ReplaceAllString(text, "")
}

// rearrange adds an empty rule, or takes one away, as a button of the form asked: "add limits TOOL", "drop limits 2 TOOL".
func (f *policyForm) rearrange(order string) {
	verb, rest, _ := strings.Cut(order, " ")
	key, rest, _ := strings.Cut(rest, " ")
	for i, k := range ruleKinds {
		s := &f.Sections[i]
		if k.key != key {
			continue
		}
		if verb == "add" && rest == string(f.Tool) && len(s.Rows) < maxRows {
			next := 0
			for _, r := range s.Rows {
				next = max(next, r.Index+1)
			}
			s.Rows = append(s.Rows, f.row(k, min(next, maxRows-1), url.Values{}))
			f.Open = true
		}
		if place, tool, _ := strings.Cut(rest, " "); verb == "drop" && tool == string(f.Tool) {
			s.Rows = slices.DeleteFunc(s.Rows, func(r ruleRow) bool { return strconv.Itoa(r.Index) == place })
			f.Open = true
		}
	}
}

// blankForm has an empty row of every kind, with marks where scripts put the tool, the number of its card and the row's own.
func blankForm() policyForm {
	f := policyForm{Tool: "TOOL-OF-ROW"}
	for _, k := range ruleKinds {
		f.Sections = append(f.Sections, ruleSection{Key: k.key, Rows: []ruleRow{f.row(k, 0, url.Values{})}})
	}
	return f
}
