package composer

import (
	"fmt"
	"slices"

	"remit/catalog"
	"remit/policy"
)

// Risk is what a set of tools lets an agent do together. A tool is in each list that fits it; what only draws or counts is in none.
type Risk struct {
	Private  []catalog.ID // read what is the organisation's own
	Foreign  []catalog.ID // bring in what strangers wrote, which may carry instructions
	Changes  []catalog.ID // change what can be changed back
	Destroys []catalog.ID // delete, overwrite or run code
	Out      []catalog.ID // lead out of the organisation
	Prompts  []catalog.ID // let their server prompt the agent's model and read its answer: a way in and a way out
	Asks     []catalog.ID // let their server ask the person: what is answered goes to the server, and a page is the server's choice
	After    []catalog.ID // let their server work on after the call
}

// RiskOf judges tools as the draft's warnings do.
func RiskOf(tools []catalog.Tool) Risk {
	var r Risk
	for _, ct := range tools {
		r.add(newTool(ct, nil))
	}
	return r
}

// Lets weighs what the server of a tool may do beside answering, which is the policy's word and not the definition's.
func (r *Risk) Lets(id catalog.ID, p policy.Policy) {
	if slices.Contains(p.Asks, policy.AskModel) {
		r.Prompts = append(r.Prompts, id)
	}
	if slices.Contains(p.Asks, policy.AskForm) || slices.Contains(p.Asks, policy.AskPage) {
		r.Asks = append(r.Asks, id)
	}
	if p.Tasks {
		r.After = append(r.After, id)
	}
}

func (r *Risk) add(t *tool) {
	leads := t.effect == catalog.External || t.act == sends || t.act == publishes
	switch {
	case leads:
		r.Out = append(r.Out, t.id)
	case t.act == reads && readsForeign(t):
		r.Foreign = append(r.Foreign, t.id)
	case t.act == reads:
		r.Private = append(r.Private, t.id)
	}
	switch {
	case t.effect == catalog.Destructive:
		r.Destroys = append(r.Destroys, t.id)
	case t.changes() && !leads:
		r.Changes = append(r.Changes, t.id)
	}
}

// Leaks says that data can leave: through the tools, or through the agent's model.
func (r Risk) Leaks() bool { return r.combine() || len(r.overheard()) > 0 }

// combine says that there are a tool that reads private data, one that brings in what strangers wrote, and one that sends something
// out (the "lethal trifecta", S. Willison, 2025).
func (r Risk) combine() bool { return len(r.Private) > 0 && len(r.Foreign) > 0 && len(r.Out) > 0 }

// overheard are the tools that read private data at another server than one that may prompt the agent's model. That server writes
// what the model reads and is told what it answers; whether the model then knows what the tools read is up to the client.
func (r Risk) overheard() (ids []catalog.ID) {
	for _, id := range r.Private {
		from, _ := id.Split()
		if slices.ContainsFunc(r.Prompts, func(p catalog.ID) bool { to, _ := p.Split(); return to != from }) {
			ids = append(ids, id)
		}
	}
	return ids
}

// Warnings are what a reviewer should weigh of the set.
func (r Risk) Warnings() (out []Warning) {
	if r.combine() {
		out = append(out, Warning{Kind: "combination", Tools: slices.Concat(r.Private, r.Foreign, r.Out),
			Text: fmt.Sprintf("Together these can leak data: %s read what is yours, %s bring in what strangers wrote and may carry "+
				"instructions, %s lead out. Limit where the last may send to, or let a person approve each call.",
				names(r.Private), names(r.Foreign), names(r.Out))})
	}
	if private := r.overheard(); len(private) > 0 {
		out = append(out, Warning{Kind: "combination", Tools: slices.Concat(private, r.Prompts),
			Text: fmt.Sprintf("Together these can leak data: %s read what is yours, and the server of %s may prompt the agent's model with a text of its own "+
				"and reads what the model answers. What the model knows besides that text is up to the client. Take out sampling if the job goes without.",
				names(private), names(r.Prompts))})
	}
	if len(r.Asks) > 0 {
		out = append(out, Warning{Kind: "asks", Tools: r.Asks,
			Text: fmt.Sprintf("The server of %s may ask the person at the client in words of its own: it reads what they fill in, or chooses the page "+
				"that they open, and could ask for a password or for what belongs elsewhere. Grant it only for servers that you would let ask your people directly.",
				names(r.Asks))})
	}
	return out
}
