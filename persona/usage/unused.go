package usage

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"remit/audit"
	"remit/catalog"
	"remit/persona"
)

// Unused compares what a live revision grants with what agents called.
type Unused struct {
	Persona   persona.ID `json:"persona"`
	Revision  int        `json:"revision"`
	LiveSince time.Time  `json:"live_since"`
	From      time.Time  `json:"from"` // of the window: as asked, but not before the revision was live, nor before what is left of the record
	Until     time.Time  `json:"until"`
	Short     bool       `json:"short,omitempty"` // the window is shorter than asked
	Calls     int        `json:"calls"`           // that reached a server, or may have
	Called    []Called   `json:"called"`          // granted tools, the most used first
	Never     []Tool     `json:"never"`           // granted tools that nobody tried, the most harmful first
	Refused   []Refused  `json:"refused"`         // what was tried and refused, the most frequent first
	Proposal  string     `json:"proposal"`        // in words
}

// Called is a granted tool that was used.
type Called struct {
	Tool
	Count int       `json:"count"`
	Last  time.Time `json:"last"`
}

// Refused is what agents tried in vain.
type Refused struct {
	Tool    string    `json:"tool"` // catalog id, or the name that an agent made up
	Granted bool      `json:"granted"`
	Rule    string    `json:"rule"` // that refused
	Count   int       `json:"count"`
	Last    time.Time `json:"last"`
}

// unknownName is the step of a call that refuses names which the revision does not grant. Even one that reads like a
// catalog id is a made-up name there.
const unknownName = "find"

// FindUnused looks at the calls of the last span of time, as far as the live revision was live then: an earlier one
// granted other tools, and silence about a tool that was not there says nothing.
func FindUnused(ctx context.Context, from Source, id persona.ID, span time.Duration, now time.Time) (Unused, error) {
	p, err := from.Persona(ctx, id)
	if err != nil {
		return Unused{}, err
	}
	live, ok := p.Live()
	if !ok {
		return Unused{}, fmt.Errorf("%w: persona %s has no live revision, so nothing is granted", persona.ErrState, id)
	}
	u := Unused{Persona: id, Revision: live.Number, LiveSince: live.ReviewedAt, From: now.Add(-span), Until: now,
		Called: []Called{}, Never: []Tool{}, Refused: []Refused{}}
	if live.ReviewedAt.After(u.From) {
		u.From, u.Short = live.ReviewedAt, true
	}
	oldest, err := from.Oldest(ctx)
	if err != nil {
		return Unused{}, err
	}
	if oldest.Seq > 1 && oldest.Time.After(u.From) { // what was before was removed
		u.From, u.Short = oldest.Time, true
	}
	tallies, err := from.Tallies(ctx, audit.Query{Persona: string(id), Since: u.From, Until: u.Until})
	if err != nil {
		return Unused{}, err
	}
	u.sort(live, tallies)
	u.Proposal = u.propose(len(live.Grants))
	return u, nil
}

// sort puts each granted tool where it belongs, and what was refused beside it.
func (u *Unused) sort(live persona.Revision, tallies []audit.Tally) {
	names := map[string]catalog.ID{} // a call that is refused early has the name that the agent calls
	for _, g := range live.Grants {
		names[g.Name], names[string(g.Tool)] = g.Tool, g.Tool
	}
	tried := map[catalog.ID]bool{}
	called := map[catalog.ID]Called{}
	for _, t := range tallies {
		tool, granted := names[t.Tool]
		granted = granted && t.Policy != unknownName
		tried[tool] = tried[tool] || granted
		switch {
		case !t.Forwarded():
			name := t.Tool
			if granted {
				name = string(tool)
			}
			u.Refused = append(u.Refused, Refused{name, granted, t.Policy, t.Count, t.Last})
		case granted:
			c := called[tool]
			c.Count += t.Count
			if t.Last.After(c.Last) {
				c.Last = t.Last
			}
			called[tool] = c
		}
	}
	for _, g := range live.Grants {
		if c, ok := called[g.Tool]; ok {
			c.Tool = toolOf(live.Job, g)
			u.Called, u.Calls = append(u.Called, c), u.Calls+c.Count
		} else if !tried[g.Tool] {
			u.Never = append(u.Never, toolOf(live.Job, g))
		}
	}
	slices.SortStableFunc(u.Called, func(a, b Called) int { return b.Count - a.Count })
	slices.SortStableFunc(u.Never, func(a, b Tool) int {
		return slices.Index(catalog.Effects, b.Effect) - slices.Index(catalog.Effects, a.Effect)
	})
}

// propose says in words which narrower set the window speaks for. It decides nothing: a tool for the end of the year is
// unused in November too.
func (u *Unused) propose(granted int) string {
	switch {
	case u.Calls == 0:
		return "Nothing: no call of this persona was forwarded in the window, which says that the agent did not work, and not which tools it needs."
	case len(u.Never) == 0:
		return "Nothing: every granted tool was called or tried in the window."
	}
	var drop []string
	for _, t := range u.Never {
		drop = append(drop, fmt.Sprintf("%s (%s)", t.ID, t.Effect))
	}
	return fmt.Sprintf("A revision with %d of the %d tools, without %s. Ask first whether the job needs one of them more rarely than the window is long.",
		granted-len(u.Never), granted, strings.Join(drop, ", "))
}
