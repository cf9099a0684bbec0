package usage

import (
	"context"
	"slices"
	"time"

	"remit/audit"
	"remit/catalog"
	"remit/persona"
)

// goesLive are the kinds of entry by which another revision becomes the live one.
var goesLive = []string{"persona.approve", "persona.rollback", "persona.narrow"}

// grantedSince is since when each tool of the live revision is granted without a break, and since when the revision is live.
// The record says which revision was live when; where it says nothing, a tool is as old as the revision's review.
func grantedSince(ctx context.Context, from Record, p persona.Persona, live persona.Revision) (map[catalog.ID]time.Time, time.Time, error) {
	var turns []audit.Entry
	for _, kind := range goesLive {
		entries, err := from.Entries(ctx, audit.Query{Persona: string(p.ID), Kind: kind, Limit: 1000})
		if err != nil {
			return nil, time.Time{}, err
		}
		turns = append(turns, entries...)
	}
	slices.SortFunc(turns, func(a, b audit.Entry) int { return int(b.Seq - a.Seq) }) // newest first
	since := map[catalog.ID]time.Time{}
	start, holding := live.ReviewedAt, live.Digests()
	if len(turns) > 0 && turns[0].Revision == live.Number {
		start = turns[0].Time
	} else {
		turns = nil
	}
	for tool := range holding {
		since[tool] = start
	}
	for _, turn := range turns {
		r, known := p.Revision(turn.Revision)
		if !known {
			break
		}
		granted := r.Digests()
		for tool := range holding {
			if _, had := granted[tool]; !had {
				delete(holding, tool) // it was not there before, so what is noted is its beginning
				continue
			}
			since[tool] = turn.Time
		}
	}
	return since, start, nil
}
