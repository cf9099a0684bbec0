package evals

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"remit/catalog"
	"remit/composer"
	"remit/persona"
)

// Exported makes a compose case of a revision that a person approved; false when nobody did. What people approved is what a
// draft for the same job has to hold:
//
//   - every granted tool is a need, called by the words of the job that ask for it, or by the tool where none are known;
//   - a tool that the composer had drafted and a person took out is forbidden;
//   - a gap of the draft stays one: the reviewer approved the persona without a tool for it.
//
// Tags say who was right: "added" where a person added a tool, "removed" where one was taken out, "as-drafted" otherwise.
func Exported(p persona.Persona, r persona.Revision) (ComposeCase, bool) {
	if r.State != persona.Live && r.State != persona.Approved {
		return ComposeCase{}, false
	}
	c := ComposeCase{ID: fmt.Sprintf("%s-%d", p.ID, r.Number), Job: r.Job,
		Why: fmt.Sprintf("%s, revision %d, approved by %s", p.Title, r.Number, r.ReviewedBy)}
	granted := r.Digests()
	for _, g := range r.Grants {
		need := quoted(r.Job, g.Words)
		if need == "" {
			need = string(g.Tool)
		}
		c.Needs = append(c.Needs, ComposeNeed{Need: need, AnyOf: []string{string(g.Tool)}})
		if g.AddedBy != "" && !slices.Contains(c.Tags, "added") {
			c.Tags = append(c.Tags, "added")
		}
	}
	var draft composer.Draft
	if json.Unmarshal(r.Notes, &draft) == nil { // notes that are no draft say nothing
		for _, choice := range draft.Choices {
			if _, kept := granted[choice.Tool]; !kept {
				c.Forbidden = append(c.Forbidden, string(choice.Tool))
			}
		}
		for _, g := range draft.Gaps {
			if gap := quoted(r.Job, []persona.Span{g.Words}); gap != "" {
				c.Gaps = append(c.Gaps, gap)
			}
		}
	}
	if len(c.Forbidden) > 0 {
		c.Tags = append(c.Tags, "removed")
	}
	if len(c.Tags) == 0 {
		c.Tags = []string{"as-drafted"}
	}
	return c, true
}

// quoted is the words of a job, in their order; spans that lie outside of it are passed over.
func quoted(job string, spans []persona.Span) string {
	var parts []string
	for _, s := range spans {
		if s.Start >= 0 && s.Start < s.End && s.End <= len(job) {
			parts = append(parts, strings.Join(strings.Fields(job[s.Start:s.End]), " "))
		}
	}
	return strings.Join(parts, " … ")
}

// ToolLine is a tool as a line of a catalog file, without the line's end: what [LoadTools] reads.
func ToolLine(t catalog.Tool) ([]byte, error) {
	line, err := captureTool(t.Server(), t.Definition)
	return line.Line, err
}
