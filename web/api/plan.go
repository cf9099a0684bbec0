package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"remit/identity"
	"remit/internal/invalid"
	"remit/persona"
	"remit/policy"
)

// ProposalOf is the proposal of exactly these tools, if it can be one.
func ProposalOf(r *persona.Registry, by identity.Principal, job string, wants []Want, basis persona.Revision) (persona.Proposal, error) {
	p, _, err := preview(r, by, job, wants, basis)
	return p, err
}

// preview refuses names that would not be kept.
func preview(r *persona.Registry, by identity.Principal, job string, wants []Want, basis persona.Revision) (persona.Proposal, persona.Revision, error) {
	p := proposal(by, job, wants, basis)
	draft, err := r.Preview(by, p)
	if err != nil {
		return p, draft, err
	}
	for i, g := range draft.Grants {
		if want := wants[i].Name; want != "" && g.Name != want {
			return p, draft, invalid.At(fmt.Sprintf("tools/%d/name", i), fmt.Errorf("%w: an agent cannot call a tool %q: a name has at most 64 letters, digits, _ and -, and no other tool has it", persona.ErrInvalid, want))
		}
	}
	return p, draft, nil
}

// proposal is what an author's wish asks of the registry. What the basis knows of a tool beside what is asked, such as the words
// of the job that ask for it, stays.
func proposal(by identity.Principal, job string, wants []Want, basis persona.Revision) persona.Proposal {
	p := persona.Proposal{Job: job, Seen: persona.Digests{}}
	if job == basis.Job {
		p.Notes = basis.Notes
	}
	for _, w := range wants {
		g := persona.Grant{Pin: persona.Pin{Tool: w.Tool}, Name: w.Name, Reason: w.Reason, Policy: w.Policy, Confidence: 1, AddedBy: by.Accountable()}
		at := slices.IndexFunc(basis.Grants, func(o persona.Grant) bool { return o.Tool == w.Tool })
		if at >= 0 {
			g.Confidence, g.AddedBy = basis.Grants[at].Confidence, basis.Grants[at].AddedBy
			if job == basis.Job {
				g.Words = basis.Grants[at].Words
			}
		}
		if w.Digest != "" {
			p.Seen[w.Tool] = w.Digest
		}
		p.Grants = append(p.Grants, g)
	}
	return p
}

// PlanOf says what a draft would change against what p's next one is written from. p has no revisions when there is none yet.
// What is as it is there needs no tool to be offered.
func PlanOf(r *persona.Registry, by identity.Principal, p persona.Persona, want Plan) (Difference, error) {
	var basis persona.Revision
	if len(p.Revisions) > 0 {
		basis = p.Basis()
		switch {
		case p.Retired():
			return Difference{}, fmt.Errorf("%w: the persona is retired", persona.ErrState)
		case want.Title != p.Title:
			return Difference{}, invalid.At("title", fmt.Errorf("%w: the title stays %q, as the persona was created", persona.ErrInvalid, p.Title))
		case same(basis, want):
			return DifferenceOf(basis, basis), nil
		}
	}
	_, draft, err := preview(r, by, want.Job, want.Tools, basis)
	if err != nil {
		return Difference{}, err
	}
	d := DifferenceOf(basis, draft)
	d.NoneYet = len(p.Revisions) == 0
	return d, nil
}

// same says that the revision is what is wanted, tool by tool.
func same(r persona.Revision, want Plan) bool {
	return r.Job == want.Job && slices.EqualFunc(r.Grants, want.Tools, func(g persona.Grant, w Want) bool {
		return g.Tool == w.Tool && g.Digest == w.Digest && g.Name == w.Name && g.Reason == w.Reason && samePolicy(g.Policy, w.Policy)
	})
}

// samePolicy compares what is stored of policies.
func samePolicy(a, b policy.Policy) bool {
	one, err := json.Marshal(a)
	other, failed := json.Marshal(b)
	return err == nil && failed == nil && bytes.Equal(one, other)
}

// DifferenceOf is what going from one revision to another changes, in a reviewer's words.
func DifferenceOf(from, to persona.Revision) Difference {
	c := persona.Compare(from, to)
	d := Difference{From: from.Number, To: to.Number, SameJob: c.SameJob, Changes: []Change{}}
	for _, g := range c.Added {
		words := []string{}
		if g.Called() != g.Tool.Own() {
			words = append(words, "the agent calls it "+g.Name)
		}
		for _, w := range g.Policy.Words() {
			words = append(words, "rule: "+w)
		}
		d.Changes = append(d.Changes, Change{"added", g.Tool, g.Effect, words})
	}
	for _, g := range c.Removed {
		d.Changes = append(d.Changes, Change{"removed", g.Tool, g.Effect, []string{}})
	}
	was := map[string]persona.Grant{}
	for _, g := range from.Grants {
		was[string(g.Tool)] = g
	}
	for _, g := range to.Grants {
		before, both := was[string(g.Tool)]
		if !both {
			continue
		}
		words := []string{}
		for _, change := range c.Changed {
			if change.Is.Tool != g.Tool {
				continue
			}
			for _, w := range change.Definition {
				words = append(words, string(w.Severity)+": "+w.Text)
			}
		}
		if words = append(words, changed(before, g)...); len(words) > 0 {
			d.Changes = append(d.Changes, Change{"changed", g.Tool, g.Effect, words})
		}
	}
	return d
}

// changed is what an author chose otherwise of a tool, in words.
func changed(was, is persona.Grant) (words []string) {
	if was.Name != is.Name {
		words = append(words, fmt.Sprintf("the agent calls it %s, no longer %s", is.Name, was.Name))
	}
	if was.Reason != is.Reason {
		words = append(words, "the reason's text differs")
	}
	gone, come := lacking(was.Policy.Words(), is.Policy.Words()), lacking(is.Policy.Words(), was.Policy.Words())
	if len(gone)+len(come) == 0 && !samePolicy(was.Policy, is.Policy) {
		words = append(words, "the order or the messages of its rules differ")
	}
	for _, w := range gone {
		words = append(words, "rule no longer: "+w)
	}
	for _, w := range come {
		words = append(words, "rule now: "+w)
	}
	return words
}

// lacking returns which of the words others do not have.
func lacking(words, others []string) []string {
	return slices.DeleteFunc(slices.Clone(words), func(w string) bool { return slices.Contains(others, w) })
}
