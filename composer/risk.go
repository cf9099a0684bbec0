package composer

import (
	"fmt"
	"slices"

	"remit/catalog"
)

// Risk is what a set of tools lets an agent do together. A tool is in each list that fits it; what only draws or counts is in none.
type Risk struct {
	Private  []catalog.ID // read what is the organisation's own
	Foreign  []catalog.ID // bring in what strangers wrote, which may carry instructions
	Changes  []catalog.ID // change what can be changed back
	Destroys []catalog.ID // delete, overwrite or run code
	Out      []catalog.ID // lead out of the organisation
}

// RiskOf judges tools as the draft's warnings do.
func RiskOf(tools []catalog.Tool) Risk {
	var r Risk
	for _, ct := range tools {
		r.add(newTool(ct, nil))
	}
	return r
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

// Leaks says that data can leave: the combination of a tool that reads private data, one that brings in what strangers wrote, and
// one that sends something out (the "lethal trifecta", S. Willison, 2025).
func (r Risk) Leaks() bool { return len(r.Private) > 0 && len(r.Foreign) > 0 && len(r.Out) > 0 }

// Warning is what a reviewer should weigh of the set, if there is something.
func (r Risk) Warning() (Warning, bool) {
	if !r.Leaks() {
		return Warning{}, false
	}
	return Warning{Kind: "combination", Tools: slices.Concat(r.Private, r.Foreign, r.Out),
		Text: fmt.Sprintf("Together these can leak data: %s read what is yours, %s bring in what strangers wrote and may carry "+
			"instructions, %s lead out. Limit where the last may send to, or let a person approve each call.",
			names(r.Private), names(r.Foreign), names(r.Out))}, true
}
