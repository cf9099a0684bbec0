package composer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"remit/catalog"
	"remit/persona"
	"remit/policy"
)

// proposal is what the model wants of a choice, beside the choice.
type proposal struct {
	agreed    bool           // the embedded composer chose the tool too
	words     []persona.Span // of the needs
	why       string
	limits    []limitAnswer
	arguments []argumentAnswer
}

// merge makes a draft of the model's choice. The embedded composer keeps the last word on what may not be: see permitted and
// refuses. What the two see differently is in the draft.
func (k *consult) merge(a *choiceAnswer) Draft {
	out := &selection{chosen: map[*tool]*picked{}, refused: k.study.refused, twins: map[*tool]*tool{}, proposed: map[*tool]proposal{}}
	var misses []Miss
	slices.SortStableFunc(a.Choices, func(x, y chosenAnswer) int { return k.rank(x) - k.rank(y) }) // both agree on the first
	for _, c := range a.Choices {
		t, words := k.by[c.Tool], k.spans(c.Needs)
		if why := k.refuses(out, t, words); why != "" {
			k.note(fmt.Sprintf("It also chose %s, which was not taken: %s.", t.id, why))
			misses = append(misses, k.miss(t, words, "the model chose it; "+why))
			continue
		}
		out.proposed[t] = proposal{agreed: k.out.chosen[t] != nil, words: words, why: "the model: " + said(c.Why), limits: c.Limits, arguments: c.Arguments}
		p := k.pickedFor(t, words)
		out.chosen[t] = p
		out.order = append(out.order, p)
		if k.out.chosen[t] == nil {
			k.use.Added = append(k.use.Added, t.id)
		}
	}
	d := Draft{Job: k.Job, CatalogTools: k.CatalogTools, CatalogTokens: k.CatalogTokens, Composer: k.Composer, Degraded: k.Degraded}
	out.limit(k.study.c.config.MaxTools, &d)
	k.study.findGaps(out)
	k.gaps(out, a)
	k.study.describe(&d, out)
	for _, text := range out.dropped {
		k.note(text)
	}
	d.Needs = d.Needs[:0]
	for _, n := range k.needs {
		d.Needs = append(d.Needs, n.Need)
	}
	k.misses(&d, out, misses, a)
	return d
}

func (k *consult) rank(c chosenAnswer) int {
	if k.out.chosen[k.by[c.Tool]] != nil {
		return 0
	}
	return 1
}

// refuses says why the embedded composer does not let a choice of the model in; empty when it does.
func (k *consult) refuses(out *selection, t *tool, words []persona.Span) string {
	for _, p := range out.order {
		if k.alike(p.tool, t) {
			return "it does the same as " + string(p.tool.id)
		}
	}
	switch {
	case k.out.chosen[t] != nil:
		return ""
	case len(words) == 0:
		return "no words of the job ask for it"
	case len(t.things) == 0:
		return "its name does not say what it acts on, so that only its description speaks for it; add it by hand if the job needs it"
	case t.effect == catalog.Destructive:
		return "a tool that deletes, overwrites or runs code is not granted on a model's word alone; add it by hand if the job needs it"
	}
	return ""
}

// pickedFor is a choice with the needs, as the embedded composer reads them, that stand where the model's do.
func (k *consult) pickedFor(t *tool, words []persona.Span) *picked {
	if p := k.out.chosen[t]; p != nil {
		return p
	}
	c := &candidate{tool: t, fine: 0.5} // nothing is known of it
	if i := slices.IndexFunc(k.all, func(c *candidate) bool { return c.tool == t }); i >= 0 {
		c = k.all[i]
	}
	p := &picked{candidate: c, value: c.need}
	for _, n := range k.study.asks {
		if slices.ContainsFunc(words, func(s persona.Span) bool { return overlap(s, n.span) }) {
			p.asks = append(p.asks, n)
		}
	}
	return p
}

func overlap(a, b persona.Span) bool { return a.Start < b.End && b.Start < a.End }

// gaps adds those that the model sees, where no chosen tool serves the need.
func (k *consult) gaps(out *selection, a *choiceAnswer) {
	for _, g := range a.Gaps {
		for _, n := range k.needs {
			if n.id != g.Need {
				continue
			}
			served := slices.ContainsFunc(a.Choices, func(c chosenAnswer) bool {
				return slices.Contains(c.Needs, n.id) && out.chosen[k.by[c.Tool]] != nil
			})
			known := slices.ContainsFunc(out.gaps, func(o Gap) bool { return overlap(o.Words, n.Words) })
			if !served && !known {
				out.gaps = append(out.gaps, Gap{Words: n.Words, Reason: "the model: " + said(g.Why)})
			}
		}
	}
}

// misses puts before the embedded composer's near misses what it chose and the model did not, and what the model nearly chose.
func (k *consult) misses(d *Draft, out *selection, list []Miss, a *choiceAnswer) {
	why := map[*tool]string{}
	for _, m := range a.NearMisses {
		if t := k.by[m.Tool]; why[t] == "" {
			why[t] = said(m.Why)
		}
	}
	for _, p := range k.out.order {
		if out.chosen[p.tool] != nil {
			continue
		}
		k.use.Left = append(k.use.Left, p.tool.id)
		reason := "the embedded composer chose it (" + k.study.reason(p) + "); the model left it out"
		if why[p.tool] != "" {
			reason += ": " + why[p.tool]
		}
		var words []persona.Span
		for _, n := range p.asks {
			words = append(words, n.span)
		}
		list = append(list, k.miss(p.tool, words, reason))
	}
	for _, m := range a.NearMisses {
		if t := k.by[m.Tool]; out.chosen[t] == nil {
			list = append(list, k.miss(t, nil, "the model: "+why[t]))
		}
	}
	seen := map[catalog.ID]bool{}
	all := append(list, d.NearMisses...)
	d.NearMisses = nil
	for _, m := range all {
		if !seen[m.Tool] && len(d.NearMisses) < maxMisses {
			seen[m.Tool] = true
			d.NearMisses = append(d.NearMisses, m)
		}
	}
}

func (k *consult) miss(t *tool, words []persona.Span, reason string) Miss {
	m := Miss{Tool: t.id, Effect: t.effect, Words: words, Reason: reason}
	if i := slices.IndexFunc(k.all, func(c *candidate) bool { return c.tool == t }); i >= 0 {
		m.Score = round(k.all[i].need)
	}
	return m
}

// propose adds the rules that the model wants, as far as the job has their words and they can be used with the tool. A rule
// never allows more than none would, and none that the embedded composer drafted is taken away.
func (d *drafting) propose(p *picked, w proposal) (dropped []string) {
	drop := func(what, why string) {
		dropped = append(dropped, fmt.Sprintf("It proposed a rule for %s (%s) that was not taken: %s.", p.tool.id, shorten(what, 80), why))
	}
	for _, l := range w.limits {
		span, ok := find(d.job, l.Words)
		rule := policy.Policy{Limits: []policy.Limit{{Calls: l.Calls, Per: l.Per}}}
		switch what := fmt.Sprintf("%d a %s", l.Calls, l.Per); {
		case !ok:
			drop(what, "the job does not have its words")
		case !d.add(p, rule, span):
			drop(what, "it is not a valid limit")
		}
	}
	for _, a := range w.arguments {
		what := a.Parameter + ": " + strings.Join(a.Values, ", ")
		span, ok := find(d.job, a.Words)
		if !ok {
			drop(what, "the job does not have its words")
			continue
		}
		rule, err := d.constrain(p.tool, a, d.job[span.Start:span.End])
		switch {
		case err != nil:
			drop(what, err.Error())
		case !d.add(p, rule, span):
			drop(what, "its input schema does not go with such a rule")
		}
	}
	return dropped
}

// constrain makes the allowed values of a parameter into a rule. They have to stand in the words.
func (d *drafting) constrain(t *tool, a argumentAnswer, words string) (policy.Policy, error) {
	if len(a.Values) == 0 {
		return policy.Policy{}, fmt.Errorf("it says no value")
	}
	params := t.parameters()
	i := slices.IndexFunc(params, func(p param) bool { return p.name == a.Parameter })
	if i < 0 {
		return policy.Policy{}, fmt.Errorf("the tool has no such parameter")
	}
	c := policy.Constraint{Path: params[i].path()} // has to be given: what the server takes else is not known
	for _, v := range a.Values {
		if !strings.Contains(strings.ToLower(words), strings.ToLower(v)) || v == "" {
			return policy.Policy{}, fmt.Errorf("a value is not in its words")
		}
		raw, err := valueOf(params[i], v)
		if err != nil {
			return policy.Policy{}, err
		}
		c.Enum = append(c.Enum, raw)
	}
	return policy.Policy{Arguments: []policy.Constraint{c}}, nil
}

// valueOf is a text of the job as a value that the parameter takes.
func valueOf(p param, text string) (json.RawMessage, error) {
	switch {
	case p.text():
		return json.Marshal(text)
	case p.number():
		if n, err := strconv.Atoi(text); err == nil {
			return json.Marshal(n)
		}
	}
	return nil, fmt.Errorf("the parameter takes no such value")
}
