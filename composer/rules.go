package composer

import (
	"encoding/json"
	"errors"
	"slices"

	"remit/catalog"
	"remit/persona"
	"remit/policy"
)

// Rule is a part of a choice's policy, and the words of the job that it comes from.
type Rule struct {
	Text  string // as [policy.Policy.Words] says it
	Words []persona.Span
}

// Open is something that the job says of how tools may be used and that no drafted rule says: a person decides.
type Open struct {
	Words  persona.Span
	Tools  []catalog.ID
	Reason string
}

const maxOpen = 40

// drafting makes policies out of what the job states.
type drafting struct {
	job      string
	order    []*picked
	policies map[*picked]policy.Policy
	rules    map[*picked][]Rule
	narrowed map[*picked][kinds]bool
	params   map[*tool][]param
	open     []Open
}

// draftPolicies drafts a rule only where the words say which tool they are about and a parameter plainly means what they say;
// what is left is an open point. A rule never allows more than none would.
func (s *Study) draftPolicies(order []*picked) *drafting {
	d := &drafting{job: s.reading.job, order: order, policies: map[*picked]policy.Policy{}, rules: map[*picked][]Rule{}, narrowed: map[*picked][kinds]bool{}, params: map[*tool][]param{}}
	for _, l := range s.reading.limits() {
		for _, p := range d.askedIn(l.sentence) {
			d.add(p, policy.Policy{Limits: []policy.Limit{l.Limit}}, l.span)
		}
	}
	said := s.reading.statements()
	for k := range kinds {
		of := map[*picked][]stated{}
		for _, st := range said {
			if st.kind == k && !st.ruled {
				for _, p := range d.meant(st) {
					of[p] = append(of[p], st)
				}
			}
		}
		for _, p := range order {
			if len(of[p]) > 0 {
				d.narrow(p, k, of[p])
			}
		}
		for _, st := range said {
			if st.kind == k && st.ruled {
				d.ruledOut(st)
			}
		}
	}
	d.open = d.open[:min(len(d.open), maxOpen)]
	return d
}

// askedIn are the tools that change something and that a sentence asks for, or else the sentence before.
func (d *drafting) askedIn(sentence int) []*picked {
	for _, at := range []int{sentence, sentence - 1} {
		if found := d.which(func(p *picked) bool {
			return p.tool.changes() && slices.ContainsFunc(p.asks, func(n *ask) bool { return n.sentence == at })
		}); len(found) > 0 {
			return found
		}
	}
	return nil
}

func (d *drafting) which(is func(*picked) bool) []*picked {
	return slices.DeleteFunc(slices.Clone(d.order), func(p *picked) bool { return !is(p) })
}

// meant are the tools that a statement is about: those that its clause asks for. One that says "only" and stands apart is about
// the tools of its sentence, of the one before, or of the job that can keep to it.
func (d *drafting) meant(st stated) []*picked {
	if st.kind == hours {
		return d.askedIn(st.clause.sentence)
	}
	if st.kind == statements {
		return d.which(func(p *picked) bool { return p.tool.runsCode || p.tool.params["queri"] && p.tool.nameStems["sql"] })
	}
	able := func(p *picked) bool {
		_, err := d.rule(p.tool, st.kind, st)
		return !errors.Is(err, errNone) && (st.kind != amounts || p.tool.changes())
	}
	span := st.clause.span()
	own := d.which(func(p *picked) bool { return p.askedBy(span) != nil })
	if slices.ContainsFunc(own, able) || !st.only {
		return slices.DeleteFunc(own, func(p *picked) bool { // what only looks up for the clause may look elsewhere
			same := kin(p.askedBy(span).act, p.tool.act) == 1
			return able(p) && !same && !st.only && !p.tool.changes() || !able(p) && !(same && p.tool.changes())
		})
	}
	for _, at := range []int{st.clause.sentence, st.clause.sentence - 1} {
		if found := d.which(func(p *picked) bool {
			return able(p) && slices.ContainsFunc(p.asks, func(n *ask) bool { return n.sentence == at })
		}); len(found) > 0 {
			return found
		}
	}
	if found := d.which(able); len(found) > 0 {
		return found
	}
	return slices.DeleteFunc(own, func(p *picked) bool { return !p.tool.changes() })
}

func (d *drafting) rule(t *tool, k kind, said ...stated) (policy.Policy, error) {
	all, read := d.params[t]
	if !read {
		all = t.parameters()
		d.params[t] = all
	}
	return t.rule(all, k, said)
}

// askedBy is the need in a stretch of the job that the tool was chosen for.
func (p *picked) askedBy(s persona.Span) *ask {
	for _, n := range p.asks {
		if n.span.Start < s.End && s.Start < n.span.End {
			return n
		}
	}
	return nil
}

// narrow makes the statements about a tool into rules, or into an open point.
func (d *drafting) narrow(p *picked, k kind, said []stated) {
	why := func(reason string) {
		for _, st := range said {
			d.leave(st, "No rule was drafted: "+reason+".", p.tool.id)
		}
	}
	if k == statements {
		why("what a statement does cannot be told from its text; take a tool that only reads, or have its server use an account that may only read")
		return
	}
	if p.elsewhere(said) {
		why("other words ask for it too and do not say so")
		return
	}
	rule, err := d.rule(p.tool, k, said...)
	if err != nil {
		why(err.Error())
		return
	}
	var spans []persona.Span
	for _, st := range said {
		spans = append(spans, st.span)
	}
	if !d.add(p, rule, spans...) {
		why("its input schema does not go with such a rule")
		return
	}
	done := d.narrowed[p]
	done[k] = true
	d.narrowed[p] = done
	if k == hours {
		for _, st := range said {
			d.assumed(st, p.tool.id)
		}
	}
}

// elsewhere says that other words ask for the same of the tool without saying what these say.
func (p *picked) elsewhere(said []stated) bool {
	if slices.ContainsFunc(said, func(st stated) bool { return st.only }) {
		return false
	}
	return slices.ContainsFunc(p.asks, func(n *ask) bool {
		return !n.context && !n.inherits && kin(n.act, p.tool.act) == 1 && !slices.ContainsFunc(said, func(st stated) bool {
			span := st.clause.span()
			return n.span.Start < span.End && span.Start < n.span.End
		})
	})
}

// assumed says what the drafted hours take for granted.
func (d *drafting) assumed(st stated, id catalog.ID) {
	if st.value == "" {
		d.leave(st, "The job does not say which hours: Monday to Friday, 09:00 to 17:00 UTC was drafted. Set your own.", id)
	} else if st.unit == "" {
		d.leave(st, "The job does not say in which time zone: UTC was drafted. Set your own.", id)
	}
}

// ruledOut notes what the job says must not be, where nothing drafted says it by what may be.
func (d *drafting) ruledOut(st stated) {
	var ids []catalog.ID
	for _, p := range d.order {
		if _, err := d.rule(p.tool, st.kind, st); p.tool.changes() && !errors.Is(err, errNone) && !d.narrowed[p][st.kind] {
			ids = append(ids, p.tool.id)
		}
	}
	if len(ids) > 0 {
		d.leave(st, "The job rules something out, and a rule says what is allowed. No rule was drafted: say what may be instead.", ids...)
	}
}

// leave notes an open point; the same words for the same reason are one.
func (d *drafting) leave(st stated, reason string, ids ...catalog.ID) {
	for i, o := range d.open {
		if o.Words == st.span && o.Reason == reason {
			d.open[i].Tools = append(o.Tools, ids...)
			return
		}
	}
	d.open = append(d.open, Open{Words: st.span, Tools: ids, Reason: reason})
}

// add adds rules if the policy then can be used with the tool.
func (d *drafting) add(p *picked, more policy.Policy, spans ...persona.Span) bool {
	have := d.policies[p].Words()
	if !slices.ContainsFunc(more.Words(), func(text string) bool { return !slices.Contains(have, text) }) {
		return true
	}
	next, schema := joinPolicies(d.policies[p], more), p.tool.inputSchema()
	rules, err := next.Compile(schema)
	if err == nil {
		_, err = rules.Narrow(schema)
	}
	if err != nil {
		return false
	}
	d.policies[p] = next
	for _, text := range more.Words() {
		d.rules[p] = append(d.rules[p], Rule{Text: text, Words: spans})
	}
	return true
}

func (t *tool) inputSchema() json.RawMessage { return object(t.definition)["inputSchema"] }
