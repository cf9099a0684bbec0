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
	Kind        string // in words, where it is no tool
	Called      string // by the agent, where that is another name
	Title       string
	Description string
	Judgement   catalog.Judgement
	Digest      catalog.Digest
	Sent        string // the definition as it was sent
	Definition  string // the same, indented
	Hidden      int    // characters that people cannot see
	Tokens      int    // 0 when they are not known
	Params      []catalog.Param
	Untyped     bool // see catalog.Tool

	Fields []field // of the input schema, as the agent reads it
	Gives  []field // of the output schema
	Served string  // what the agent reads, byte for byte; empty where that is not known

	Quotes     []quote // the words of the job that ask for it
	Whole      bool    // the job as a whole asks for it
	Reason     string
	Percent    int // confidence
	AddedBy    string
	Lets       []string // what the policy allows beside the calls, in words
	Rules      []rule   // of the policy, in words
	Form       policyForm
	Removed    bool // ticked in a form that was not saved
	Gone       bool // no upstream offers it now
	Drifted    bool // the catalog's definition is another one
	Difference []line
	Changes    []catalog.Change    // of Difference, in words
	Found      []catalog.Finding   // what a scan of the definition found, but for hidden characters
	Suspended  *persona.Suspension // of it or its server, where the page says so
	Frozen     *frozenPin          // although it is what was approved, where the page says so
	Comments   *commentsPart       // where the page has them
}

// quote is words of the job, and the number of the stretch on the page that they begin with; 0 for none.
type quote struct {
	Text string
	At   int
}

// Long says that what the agent reads is too much to stand on a page beside the definition.
func (c card) Long() bool { return len(c.Served) > maxServed }

const maxServed = 16 << 10

// Renamed says that the agent reads other bytes than the server sent: another name or a narrower schema.
func (c card) Renamed() bool { return c.Served != "" && c.Served != c.Sent }

// rule is a rule of a policy, and the words of the job that it was drafted from; none for one that a person wrote.
type rule struct {
	Text string
	From []string
}

// kinds says what is no tool.
var kinds = map[catalog.Kind]string{
	catalog.APrompt:   "A prompt: the agent may ask its server for this text, which is meant for a model.",
	catalog.AResource: "A resource: the agent may read what its server has under this URI.",
	catalog.ATemplate: "A template of resources: the agent may read every URI that it stands for.",
}

// card shows a definition; the catalog knows its tokens if it still is the one that is offered.
func (s *site) card(id catalog.ID, digest catalog.Digest, definition json.RawMessage) card {
	server, name := id.Split()
	kind, sent := catalog.Unwrap(definition)
	c := card{ID: id, Server: server, Tool: name, Kind: kinds[kind], Digest: digest, Sent: string(sent), Definition: pretty(sent), Hidden: countHidden(sent)}
	if t, err := catalog.Parse(server, definition); err == nil {
		c.Title, c.Description, c.Judgement, c.Params, c.Untyped = t.Title, t.Description, t.Effect, t.Params, t.Untyped
	}
	c.Fields, c.Gives = schemaForm(definition, "inputSchema"), schemaForm(definition, "outputSchema")
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
		_, offered := catalog.Unwrap(now.Definition)
		c.Drifted, c.Difference = true, difference(c.Definition, pretty(offered))
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
			for _, w := range g.Words {
				for _, text := range quoted(r.Job, []persona.Span{w}) {
					c.Quotes = append(c.Quotes, quote{text, w.Start})
				}
			}
		}
		if served, _, err := g.Served(); err == nil {
			c.Served, c.Fields = string(served), schemaForm(served, "inputSchema")
		}
		c.Lets = g.Policy.Lets()
		for _, text := range g.Policy.Words()[len(c.Lets):] {
			c.Rules = append(c.Rules, rule{text, drafted[g.Tool][text]})
		}
		if g.Effect != "" {
			c.Judgement.Effect = g.Effect
		}
		if called := g.Called(); called != g.Tool.Own() {
			c.Called = called
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
	f := findings{Degraded: d.Degraded, Composer: d.Composer, Model: d.Model}
	for _, w := range d.Warnings {
		if w.Kind != "combination" { // which the picture of the tools as they are now shows
			f.Warnings = append(f.Warnings, w)
		}
	}
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
