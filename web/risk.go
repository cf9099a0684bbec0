package web

import (
	"slices"
	"strings"

	"remit/catalog"
	"remit/composer"
	"remit/persona"
)

// riskPicture is what the tools of a revision let an agent do together: what comes in, what it changes, and which way leads out.
type riskPicture struct {
	In, Does []riskBox
	Leaks    bool
	Warnings []composer.Warning
}

// riskBox is one kind of what tools do.
type riskBox struct {
	Kind  string // for its look
	Title string
	Tools []riskTool
}

type riskTool struct {
	Number int // of its card
	ID     catalog.ID
	Ruled  bool // its calls have rules
	Asked  bool // a person approves its calls, or some
}

// picture judges the definitions that are pinned, not those of now.
func picture(r persona.Revision) riskPicture {
	var tools []catalog.Tool
	for _, g := range r.Grants {
		server, _ := g.Tool.Split()
		if t, err := catalog.Parse(server, g.Definition); err == nil {
			tools = append(tools, t)
		}
	}
	risk := composer.RiskOf(tools)
	for _, g := range r.Grants {
		risk.Lets(g.Tool, g.Policy)
	}
	box := func(kind, title string, ids []catalog.ID) riskBox {
		b := riskBox{Kind: kind, Title: title}
		for i, g := range r.Grants {
			if slices.Contains(ids, g.Tool) {
				b.Tools = append(b.Tools, riskTool{i + 1, g.Tool, len(g.Policy.Words()) > len(g.Policy.Lets()), g.Policy.Approval != nil})
			}
		}
		return b
	}
	p := riskPicture{Leaks: risk.Leaks(), Warnings: risk.Warnings(),
		In: []riskBox{box("private", "Reads what is yours", risk.Private), box("foreign", "Reads what strangers wrote", risk.Foreign)},
		Does: []riskBox{box("write", "Changes", risk.Changes), box("destructive", "Deletes, overwrites, runs code", risk.Destroys),
			box("external", "Leads out", risk.Out)}}
	if len(risk.Prompts) > 0 {
		p.In = append(p.In, box("prompts", "Its server prompts the agent's model", risk.Prompts))
	}
	if len(risk.Asks) > 0 {
		p.Does = append(p.Does, box("asks", "Its server asks the person", risk.Asks))
	}
	if len(risk.After) > 0 {
		p.Does = append(p.Does, box("lets", "Works on after the call", risk.After))
	}
	return p
}

// cardGroup is the cards of one server or effect.
type cardGroup struct {
	Name  string // empty for all in the order of the job
	Tools []card
}

// Groupings of cards, as the address of a page names them.
var groupings = []string{"job", "server", "effect"}

// grouped puts the cards together as the address asks for: by the order of the job otherwise.
func grouped(cards []card, by string) (groups []cardGroup, how string) {
	of := map[string]func(card) string{"server": func(c card) string { return c.Server }, "effect": func(c card) string { return string(c.Judgement.Effect) }}[by]
	if of == nil {
		return []cardGroup{{Tools: cards}}, "job"
	}
	for _, c := range cards {
		i := slices.IndexFunc(groups, func(g cardGroup) bool { return g.Name == of(c) })
		if i < 0 {
			i, groups = len(groups), append(groups, cardGroup{Name: of(c)})
		}
		groups[i].Tools = append(groups[i].Tools, c)
	}
	slices.SortStableFunc(groups, func(a, b cardGroup) int {
		if by == "effect" { // the worst first
			return slices.Index(catalog.Effects, catalog.Effect(b.Name)) - slices.Index(catalog.Effects, catalog.Effect(a.Name))
		}
		return strings.Compare(a.Name, b.Name)
	})
	return groups, by
}
