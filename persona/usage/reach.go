package usage

import (
	"context"
	"time"

	"remit/audit"
	"remit/catalog"
	"remit/persona"
)

// Reach is who can call some tools, and so what breaks without them.
type Reach struct {
	Personas []Holder `json:"personas"` // that are live and grant one of the tools
	Keys     []Key    `json:"keys"`     // of these personas, that are valid now
}

// Holder is a persona whose live revision grants some of the tools.
type Holder struct {
	Persona  persona.ID `json:"persona"`
	Title    string     `json:"title"`
	Revision int        `json:"revision"`
	Tools    []Held     `json:"tools"`
	Others   int        `json:"others"` // tools that it keeps without these
}

// Held is one of the tools as a persona holds it.
type Held struct {
	Tool
	Frozen     bool      `json:"frozen,omitempty"` // calls are refused until a person has confirmed the tool
	LastCalled time.Time `json:"last_called,omitzero"`
}

// Key is one with which an agent can call the tools.
type Key struct {
	ID      string     `json:"id"`
	Persona persona.ID `json:"persona"`
	Agent   string     `json:"agent"`
	User    string     `json:"user"`
	Expires time.Time  `json:"expires,omitzero"`
	LastUse time.Time  `json:"last_use,omitzero"`
}

// Of selects grants.
type Of func(persona.Grant) bool

// OfTool selects one tool.
func OfTool(id catalog.ID) Of { return func(g persona.Grant) bool { return g.Tool == id } }

// OfServer selects every tool of a server.
func OfServer(name string) Of {
	return func(g persona.Grant) bool { server, _ := g.Tool.Split(); return server == name }
}

// OfEffect selects tools by what they did to the world when they were approved.
func OfEffect(e catalog.Effect) Of { return func(g persona.Grant) bool { return g.Effect == e } }

// Find returns who can call what of selects.
func Find(ctx context.Context, from Source, of Of, now time.Time) (Reach, error) {
	r := Reach{Personas: []Holder{}, Keys: []Key{}}
	all, err := from.Personas(ctx)
	if err != nil {
		return r, err
	}
	for _, p := range all {
		live, ok := p.Live()
		if !ok {
			continue
		}
		h, err := holder(ctx, from, p, live, of)
		if err != nil {
			return r, err
		}
		if len(h.Tools) == 0 {
			continue
		}
		r.Personas = append(r.Personas, h)
		keys, err := from.Keys(ctx, string(p.ID))
		if err != nil {
			return r, err
		}
		for _, k := range keys {
			if k.Live(now) {
				r.Keys = append(r.Keys, Key{k.ID, p.ID, k.Agent, k.User, k.Expires, k.LastUse})
			}
		}
	}
	return r, nil
}

func holder(ctx context.Context, from Source, p persona.Persona, live persona.Revision, of Of) (Holder, error) {
	h := Holder{Persona: p.ID, Title: p.Title, Revision: live.Number}
	for _, g := range live.Grants {
		if !of(g) {
			h.Others++
			continue
		}
		held := Held{Tool: toolOf(live.Job, g)}
		var err error
		if _, held.Frozen, err = from.Frozen(ctx, p.ID, live.Number, g.Pin); err != nil {
			return h, err
		}
		tallies, err := from.Tallies(ctx, audit.Query{Persona: string(p.ID), Tool: string(g.Tool)})
		if err != nil {
			return h, err
		}
		for _, t := range tallies {
			if t.Forwarded() && t.Last.After(held.LastCalled) {
				held.LastCalled = t.Last
			}
		}
		h.Tools = append(h.Tools, held)
	}
	return h, nil
}
