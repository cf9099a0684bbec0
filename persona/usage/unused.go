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
	From      time.Time  `json:"from"` // of the window: as asked, but not before the first of these tools was granted, nor before what is left of the record
	Until     time.Time  `json:"until"`
	Short     bool       `json:"short,omitempty"` // the window is shorter than asked
	Calls     int        `json:"calls"`           // that reached a server, or may have
	Called    []Called   `json:"called"`          // granted tools, the most used first
	Never     []Idle     `json:"never"`           // granted long enough, and nobody tried them; the most harmful first
	TooNew    []Idle     `json:"too_new"`         // nobody tried them either, but they are granted, or recorded, too short to say so
	Refused   []Refused  `json:"refused"`         // what was tried and refused, the most frequent first
	Proposal  string     `json:"proposal"`        // in words
	// Drop is the tools that the proposal takes away.
	Drop []catalog.ID `json:"drop"`
}

// Evidence is what a change that follows the proposal rests on.
func (u Unused) Evidence() persona.Evidence {
	return persona.Evidence{Revision: u.Revision, From: u.From, Until: u.Until}
}

// Fits says that all of the tools are unused still: an agent may have called one since somebody read the list.
func (u Unused) Fits(remove []catalog.ID) error {
	for _, id := range remove {
		if !slices.ContainsFunc(u.Never, func(t Idle) bool { return t.ID == id }) {
			return fmt.Errorf("%w: %s is not among the unused tools now; look at the list again", persona.ErrState, id)
		}
	}
	return nil
}

// Idle is a granted tool that nobody tried.
type Idle struct {
	Tool
	Since time.Time `json:"since"` // granted without a break
}

// enough is how long a tool is granted before its silence says anything; less where less is asked for.
const enough = 7 * 24 * time.Hour

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

// FindUnused looks at the calls of the last span of time. Each tool is judged by how long it is granted, whichever revisions
// did: silence about a tool that was not there says nothing.
func FindUnused(ctx context.Context, from Source, id persona.ID, span time.Duration, now time.Time) (Unused, error) {
	p, err := from.Persona(ctx, id)
	if err != nil {
		return Unused{}, err
	}
	live, ok := p.Live()
	if !ok {
		return Unused{}, fmt.Errorf("%w: persona %s has no live revision, so nothing is granted", persona.ErrState, id)
	}
	granted, since, err := grantedSince(ctx, from, p, live)
	if err != nil {
		return Unused{}, err
	}
	u := Unused{Persona: id, Revision: live.Number, LiveSince: since, From: now.Add(-span), Until: now,
		Called: []Called{}, Never: []Idle{}, TooNew: []Idle{}, Refused: []Refused{}, Drop: []catalog.ID{}}
	first := since
	for _, at := range granted {
		if at.Before(first) {
			first = at
		}
	}
	if first.After(u.From) {
		u.From, u.Short = first, true
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
	u.sort(live, tallies, granted, now.Add(-min(span, enough)))
	u.propose(len(live.Grants))
	return u, nil
}

// sort puts each granted tool where it belongs, and what was refused beside it. Tools that are granted, or recorded,
// only after old are too new to judge.
func (u *Unused) sort(live persona.Revision, tallies []audit.Tally, since map[catalog.ID]time.Time, old time.Time) {
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
			c.Tool = toolOf(live, g)
			u.Called, u.Calls = append(u.Called, c), u.Calls+c.Count
		} else if !tried[g.Tool] {
			idle := Idle{toolOf(live, g), since[g.Tool]}
			if idle.Since.After(old) || u.From.After(old) {
				u.TooNew = append(u.TooNew, idle)
			} else {
				u.Never = append(u.Never, idle)
			}
		}
	}
	slices.SortStableFunc(u.Called, func(a, b Called) int { return b.Count - a.Count })
	harm := func(a, b Idle) int {
		return slices.Index(catalog.Effects, b.Effect) - slices.Index(catalog.Effects, a.Effect)
	}
	slices.SortStableFunc(u.Never, harm)
	slices.SortStableFunc(u.TooNew, harm)
}

// propose says which narrower set the window speaks for. It decides nothing: a tool for the end of the year is unused in
// November too.
func (u *Unused) propose(granted int) {
	switch {
	case u.Calls == 0:
		u.Proposal = "Nothing: no call of this persona was forwarded in the window, which says that the agent did not work, and not which tools it needs."
		return
	case len(u.Never) == 0 && len(u.TooNew) > 0:
		u.Proposal = "Nothing yet: what nobody called is not granted, or not recorded, long enough to say that it is unused."
		return
	case len(u.Never) == 0:
		u.Proposal = "Nothing: every granted tool was called or tried in the window."
		return
	}
	var drop []string
	for _, t := range u.Never {
		drop, u.Drop = append(drop, fmt.Sprintf("%s (%s)", t.ID, t.Effect)), append(u.Drop, t.ID)
	}
	u.Proposal = fmt.Sprintf("A revision with %d of the %d tools, without %s. Ask first whether the job needs one of them more rarely than the window is long.",
		granted-len(u.Never), granted, strings.Join(drop, ", "))
}
