package api

import (
	"fmt"
	"time"

	"remit/catalog"
	"remit/persona"
)

// BaseOf names a state of a draft: every save creates it anew.
func BaseOf(r persona.Revision) string { return fmt.Sprintf("%d.%d", r.Number, r.Created.UnixNano()) }

// PersonaOf is a persona with one of its revisions, at the time. offered is the catalog's tool now.
func PersonaOf(p persona.Persona, number int, offered func(catalog.ID) (catalog.Tool, bool), now time.Time) Persona {
	r, _ := p.Revision(number)
	out := Persona{ID: p.ID, Title: p.Title, Team: p.Team, Created: p.Created, Basis: p.Basis().Number, Dates: Dates(p.Term.Dates),
		Shadow: p.Shadow.Revision, Revision: revisionOf(r, offered)}
	if live, ok := p.Live(); ok {
		over, _ := p.Term.Over(now)
		out.Live, out.Over = live.Number, over.Reason
	}
	for _, r := range p.Revisions {
		out.Revisions = append(out.Revisions, stepOf(r))
	}
	return out
}

func stepOf(r persona.Revision) Step {
	return Step{Number: r.Number, State: r.State, Author: r.Author, Created: r.Created}
}

func revisionOf(r persona.Revision, offered func(catalog.ID) (catalog.Tool, bool)) Revision {
	out := Revision{Step: stepOf(r), Base: BaseOf(r), Job: r.Job, Authors: append([]string{}, r.Authors...),
		SubmittedAt: r.SubmittedAt, ReviewedBy: r.ReviewedBy, ReviewedAt: r.ReviewedAt,
		Comment: r.Comment, Solo: r.SoloReview, FirstReview: r.FirstReview, Narrowed: r.Narrowed, Tools: []Grant{}}
	for _, g := range r.Grants {
		now, _ := offered(g.Tool)
		out.Tools = append(out.Tools, Grant{Tool: g.Tool, Name: g.Name, Digest: g.Digest, Offered: now.Digest, Effect: g.Effect, Reason: g.Reason,
			Words: r.Cited(g.Words), Confidence: g.Confidence, AddedBy: g.AddedBy, Policy: g.Policy, Rules: g.Policy.Words()})
	}
	return out
}
