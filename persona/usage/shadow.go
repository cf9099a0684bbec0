package usage

import (
	"context"
	"fmt"
	"slices"
	"time"

	"remit/audit"
	"remit/persona"
)

// Shadows is where a shadow and what it would have decided are read. A store.Store is one.
type Shadows interface {
	Persona(ctx context.Context, id persona.ID) (persona.Persona, error)
	ShadowTallies(ctx context.Context, q audit.Query) ([]audit.ShadowTally, error)
}

// Shadow is what a revision would have decided while it ran beside the live one.
type Shadow struct {
	Persona     persona.ID    `json:"persona"`
	Revision    int           `json:"revision"`
	State       persona.State `json:"state"`
	Running     bool          `json:"running"`
	By          string        `json:"by,omitempty"`   // who started it
	Since       time.Time     `json:"since,omitzero"` // when; and then what is counted is of this run only
	Live        int           `json:"live,omitempty"` // revision
	Calls       int           `json:"calls"`
	Same        int           `json:"same"`
	WouldRefuse int           `json:"would_refuse"`
	WouldAllow  int           `json:"would_allow"`
	Undecided   int           `json:"undecided"`
	Rows        []ShadowRow   `json:"rows"` // what would change first, then the most frequent
}

// Changes says that some call would have come out otherwise.
func (s Shadow) Changes() bool { return s.WouldRefuse+s.WouldAllow > 0 }

// ShadowRow is the calls that have a tool and both outcomes in common.
type ShadowRow struct {
	Tool     string         `json:"tool"` // catalog id, or the name that was asked for
	Change   audit.Change   `json:"change"`
	Decision audit.Decision `json:"decision"`       // that held
	Was      string         `json:"was,omitempty"`  // the rule of the live revision that refused
	Shadow   audit.Decision `json:"shadow"`         // that did not
	Rule     string         `json:"rule,omitempty"` // of the shadow that would refuse
	Count    int            `json:"count"`
	First    time.Time      `json:"first"`
	Last     time.Time      `json:"last"`
}

var changes = []audit.Change{audit.Refuses, audit.Allows, audit.CannotTell, audit.Same}

// FindShadow counts what the shadow that runs now would have decided, or, with a revision, what that one would have whenever
// it ran. persona.ErrState if none runs.
func FindShadow(ctx context.Context, from Shadows, id persona.ID, revision int) (Shadow, error) {
	p, err := from.Persona(ctx, id)
	if err != nil {
		return Shadow{}, err
	}
	s := Shadow{Persona: id, Revision: revision, Rows: []ShadowRow{}}
	if revision == 0 || revision == p.Shadow.Revision {
		s.Revision, s.Running, s.By, s.Since = p.Shadow.Revision, p.Shadow.Revision > 0, p.Shadow.Person, p.Shadow.Since
	}
	if s.Revision == 0 {
		return s, fmt.Errorf("%w: no revision of persona %s runs as a shadow", persona.ErrState, id)
	}
	r, ok := p.Revision(s.Revision)
	if !ok {
		return s, fmt.Errorf("%w: persona %s has the revisions 1 to %d", persona.ErrNotFound, id, len(p.Revisions))
	}
	s.State = r.State
	if live, ok := p.Live(); ok {
		s.Live = live.Number
	}
	tallies, err := from.ShadowTallies(ctx, audit.Query{Persona: string(id), Shadow: s.Revision, Since: s.Since})
	if err != nil {
		return s, err
	}
	for _, t := range tallies {
		s.add(t)
	}
	slices.SortStableFunc(s.Rows, func(a, b ShadowRow) int { return slices.Index(changes, a.Change) - slices.Index(changes, b.Change) })
	return s, nil
}

func (s *Shadow) add(t audit.ShadowTally) {
	row := ShadowRow{Tool: t.Tool, Change: t.Decision.ChangeTo(t.Shadow.Decision), Decision: t.Decision, Was: t.Policy,
		Shadow: t.Shadow.Decision, Rule: t.Shadow.Policy, Count: t.Count, First: t.First, Last: t.Last}
	s.Calls += t.Count
	switch row.Change {
	case audit.Same:
		s.Same += t.Count
	case audit.Refuses:
		s.WouldRefuse += t.Count
	case audit.Allows:
		s.WouldAllow += t.Count
	default:
		s.Undecided += t.Count
	}
	s.Rows = append(s.Rows, row)
}
