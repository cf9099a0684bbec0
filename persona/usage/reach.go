package usage

import (
	"context"
	"slices"
	"time"

	"remit/audit"
	"remit/catalog"
	"remit/identity"
	"remit/persona"
)

// Reach is who can call some tools, and so what breaks without them.
type Reach struct {
	Personas []Holder `json:"personas"` // that are live and grant one of the tools
	Keys     []Key    `json:"keys"`     // of these personas, that are valid now and not narrowed to other tools
}

// Holder is a persona whose live revision grants some of the tools.
type Holder struct {
	Persona  persona.ID     `json:"persona"`
	Title    string         `json:"title"`
	Revision int            `json:"revision"`
	Tools    []Held         `json:"tools"`
	Others   int            `json:"others"`         // tools that it keeps without these
	Over     string         `json:"over,omitempty"` // why everything is refused
	Users    identity.Users `json:"users,omitzero"` // who can with a client of their own, by signing in
}

// Held is one of the tools as a persona holds it.
type Held struct {
	Tool
	Frozen     bool      `json:"frozen,omitempty"`    // calls are refused until a person has confirmed the tool
	Suspended  string    `json:"suspended,omitempty"` // what a person stopped, so that calls are refused
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

// Of selects grants, and the calls among which theirs are.
type Of struct {
	grants func(persona.Grant) bool
	calls  audit.Query
}

// OfTool selects one tool.
func OfTool(id catalog.ID) Of {
	return Of{func(g persona.Grant) bool { return g.Tool == id }, audit.Query{Tool: string(id)}}
}

// OfServer selects every tool of a server.
func OfServer(name string) Of {
	return Of{func(g persona.Grant) bool { server, _ := g.Tool.Split(); return server == name }, audit.Query{Server: name}}
}

// OfEffect selects tools by what they did to the world when they were approved.
func OfEffect(e catalog.Effect) Of {
	return Of{func(g persona.Grant) bool { return g.Effect == e }, audit.Query{}}
}

// lastCalls is when each persona's tools were last called, by persona and tool.
func (of Of) lastCalls(ctx context.Context, from Source) (map[[2]string]time.Time, error) {
	tallies, err := from.Tallies(ctx, of.calls)
	if err != nil {
		return nil, err
	}
	last := map[[2]string]time.Time{}
	for _, t := range tallies {
		if at := [2]string{t.Persona, t.Tool}; t.Forwarded() && t.Last.After(last[at]) {
			last[at] = t.Last
		}
	}
	return last, nil
}

// Find returns who can call what of selects.
func Find(ctx context.Context, from Source, of Of, now time.Time) (Reach, error) {
	r := Reach{Personas: []Holder{}, Keys: []Key{}}
	all, err := from.Personas(ctx)
	if err != nil {
		return r, err
	}
	last, err := of.lastCalls(ctx, from)
	if err != nil {
		return r, err
	}
	stopped, err := from.Suspensions(ctx)
	if err != nil {
		return r, err
	}
	for _, p := range all {
		live, ok := p.Live()
		if !ok {
			continue
		}
		h := Holder{Persona: p.ID, Title: p.Title, Revision: live.Number, Users: p.Users}
		h.Tools, err = held(ctx, from, p.ID, live, of, last)
		if err != nil {
			return r, err
		}
		if len(h.Tools) == 0 {
			continue
		}
		for i, t := range h.Tools {
			if s, ok := persona.Stopped(stopped, p.ID, t.ID); ok {
				h.Tools[i].Suspended = s.String()
			}
		}
		if o, over := p.Term.Over(now); over {
			h.Over = o.Reason
		}
		h.Others = len(live.Grants) - len(h.Tools)
		r.Personas = append(r.Personas, h)
		keys, err := from.Keys(ctx, string(p.ID))
		if err != nil {
			return r, err
		}
		for _, k := range keys {
			if k.Live(now) && slices.ContainsFunc(h.Tools, func(t Held) bool { return k.Bounds.Grants(string(t.ID)) }) {
				r.Keys = append(r.Keys, Key{k.ID, p.ID, k.Agent, k.User, k.Expires, k.LastUse})
			}
		}
	}
	return r, nil
}

// held is what a live revision grants of what of selects.
func held(ctx context.Context, from Source, id persona.ID, live persona.Revision, of Of, last map[[2]string]time.Time) (tools []Held, err error) {
	for _, g := range live.Grants {
		if !of.grants(g) {
			continue
		}
		h := Held{Tool: toolOf(live, g), LastCalled: last[[2]string{string(id), string(g.Tool)}]}
		if _, h.Frozen, err = from.Frozen(ctx, id, live.Number, g.Pin); err != nil {
			return nil, err
		}
		tools = append(tools, h)
	}
	return tools, nil
}
