package web

import (
	"encoding/json"
	"slices"

	"remit/catalog"
	"remit/composer"
	"remit/persona"
)

// card is one tool as every page shows it.
type card struct {
	Number      int // on the page, from 1; 0 where tools are not numbered
	ID          catalog.ID
	Server      string
	Tool        string
	Called      string // by the agent, where that is another name
	Title       string
	Description string
	Judgement   catalog.Judgement
	Digest      catalog.Digest
	Definition  string // indented
	Hidden      int    // characters that people cannot see
	Tokens      int    // 0 when they are not known
	Params      []catalog.Param
	Untyped     bool // see catalog.Tool

	Quotes     []string // the words of the job that ask for it
	Whole      bool     // the job as a whole asks for it
	Reason     string
	Percent    int // confidence
	AddedBy    string
	Rules      []rule // of the policy, in words
	Form       policyForm
	Removed    bool // ticked in a form that was not saved
	Gone       bool // no upstream offers it now
	Drifted    bool // the catalog's definition is another one
	Difference []line
	Changes    []catalog.Change    // of Difference, in words
	Found      []catalog.Finding   // what a scan of the definition found, but for hidden characters
	Suspended  *persona.Suspension // of it or its server, where the page says so
	Frozen     *frozenPin          // although it is what was approved, where the page says so
}

// rule is a rule of a policy, and the words of the job that it was drafted from; none for one that a person wrote.
type rule struct {
	Text string
	From []string
}

// card shows a definition; the catalog knows its tokens if it still is the one that is offered.
func (s *site) card(id catalog.ID, digest catalog.Digest, definition json.RawMessage) card {
	server, name := id.Split()
	c := card{ID: id, Server: server, Tool: name, Digest: digest, Definition: pretty(definition), Hidden: countHidden(definition)}
	if t, err := catalog.Parse(server, definition); err == nil {
		c.Title, c.Description, c.Judgement, c.Params, c.Untyped = t.Title, t.Description, t.Effect, t.Params, t.Untyped
	}
	for _, f := range catalog.Scan(definition) {
		if f.Kind != "concealed" { // which Hidden counts
			c.Found = append(c.Found, f)
		}
	}
	now, ok := s.Catalog.Tool(id)
	switch {
	case !ok:
		c.Gone = true
	case now.Digest != digest:
		c.Drifted, c.Difference = true, difference(c.Definition, pretty(now.Definition))
		c.Changes = catalog.Changes(server, definition, now.Definition)
	default:
		c.Tokens = now.Tokens
	}
	return c
}

// grantCards are the tools of a revision, numbered in its order.
func (s *site) grantCards(r persona.Revision) []card {
	out, drafted := make([]card, len(r.Grants)), draftedRules(r)
	for i, g := range r.Grants {
		c := s.card(g.Tool, g.Digest, g.Definition)
		c.Number, c.Reason, c.Percent, c.AddedBy = i+1, g.Reason, int(g.Confidence*100+0.5), g.AddedBy
		c.Whole = slices.ContainsFunc(g.Words, func(w persona.Span) bool { return allOf(r.Job, w) })
		if !c.Whole {
			c.Quotes = quoted(r.Job, g.Words)
		}
		for _, text := range g.Policy.Words() {
			c.Rules = append(c.Rules, rule{text, drafted[g.Tool][text]})
		}
		if g.Effect != "" {
			c.Judgement.Effect = g.Effect
		}
		if g.Name != c.Tool {
			c.Called = g.Name
		}
		out[i] = c
	}
	return out
}

// draftedRules are the rules that the composer drafted, with the words of the job.
func draftedRules(r persona.Revision) map[catalog.ID]map[string][]string {
	d := notesOf(r).Draft
	out := map[catalog.ID]map[string][]string{}
	for _, c := range d.Choices {
		out[c.Tool] = map[string][]string{}
		for _, rule := range c.Rules {
			out[c.Tool][rule.Text] = append(out[c.Tool][rule.Text], quoted(r.Job, rule.Words)...)
		}
	}
	return out
}

// sumTokens adds what is known and counts what is not.
func sumTokens(cards []card) (tokens, unknown int) {
	for _, c := range cards {
		tokens += c.Tokens
		if c.Tokens == 0 {
			unknown++
		}
	}
	return tokens, unknown
}

// miss is a near miss or a search result that can be added.
type miss struct {
	card
	Why   string
	Words []string
	Of    persona.ID // whose page explains it; empty for none
}

// findings are what the composer noted beside the grants.
type findings struct {
	Misses   []miss
	Gaps     []gap
	Spans    []persona.Span // of the gaps
	Open     []openPoint
	Warnings []composer.Warning
	Degraded string
	Composer string
	Model    *composer.ModelUse // nil when no language model was asked
}

type gap struct{ Words, Reason string }

// openPoint is something that the job says and no drafted rule does.
type openPoint struct {
	Words, Reason string
	Tools         []catalog.ID
}

// findings reads a revision's notes.
func (s *site) findings(r persona.Revision) findings {
	d := notesOf(r).Draft
	granted := r.Digests()
	f := findings{Warnings: d.Warnings, Degraded: d.Degraded, Composer: d.Composer, Model: d.Model}
	for _, m := range d.NearMisses {
		t, offered := s.Catalog.Tool(m.Tool)
		if _, in := granted[m.Tool]; in || !offered {
			continue
		}
		f.Misses = append(f.Misses, miss{card: s.card(t.ID, t.Digest, t.Definition), Why: m.Reason, Words: quoted(r.Job, m.Words)})
	}
	for _, g := range d.Gaps {
		words := quoted(r.Job, []persona.Span{g.Words})
		if len(words) == 1 {
			f.Gaps = append(f.Gaps, gap{Words: words[0], Reason: g.Reason})
			f.Spans = append(f.Spans, g.Words)
		}
	}
	for _, o := range d.Open {
		tools := slices.DeleteFunc(o.Tools, func(id catalog.ID) bool { _, in := granted[id]; return !in })
		if words := quoted(r.Job, []persona.Span{o.Words}); len(words) == 1 && len(tools) > 0 {
			f.Open = append(f.Open, openPoint{words[0], o.Reason, tools})
		}
	}
	return f
}

// grants turns a draft's choices into what a revision asks for.
func grants(d composer.Draft) []persona.Grant {
	out := make([]persona.Grant, len(d.Choices))
	for i, c := range d.Choices {
		out[i] = persona.Grant{Pin: persona.Pin{Tool: c.Tool}, Words: c.Words, Reason: c.Reason, Confidence: c.Confidence, Policy: c.Policy}
	}
	return out
}
