package main

import (
	"fmt"
	"time"

	"remit/catalog"
	"remit/persona"
	"remit/store"
)

type personaCmd struct {
	List     personaListCmd     `cmd:"" help:"List personas."`
	Show     personaShowCmd     `cmd:"" help:"Show a persona's revision: its job and its tools."`
	Diff     personaDiffCmd     `cmd:"" help:"What one revision changes against another."`
	Rollback personaRollbackCmd `cmd:"" help:"Make a revision live again that was live before, at once."`
	Narrow   personaNarrowCmd   `cmd:"" help:"Take tools away from what is live, at once."`
	Export   personaExportCmd   `cmd:"" help:"Print a persona as YAML, to be kept as code."`
	Plan     personaPlanCmd     `cmd:"" help:"What files would change. Exit code 0: nothing, 2: something, 1: it cannot be said."`
	Apply    personaApplyCmd    `cmd:"" help:"Make drafts of files, and with --submit ask for their review. Nothing is approved."`
	Unused   personaUnusedCmd   `cmd:"" help:"Which granted tools nobody calls, what is tried and refused, and a revision without them."`
	Term     personaTermCmd     `cmd:"" help:"Show or set until when a persona may be used, and when a reviewer has to look at it again."`
	Recert   personaRecertCmd   `cmd:"" name:"recertify" help:"Confirm what is live after looking at it again, and set the next date."`
	Team     personaTeamCmd     `cmd:"" help:"Say which team owns a persona."`
	Users    personaUsersCmd    `cmd:"" help:"Show or set who may use a persona with a client of their own, by signing in."`
}

type personaListCmd struct{}

// Run lists the personas.
func (c personaListCmd) Run(a *app) error {
	if a.remote != nil {
		return c.remote(a)
	}
	return a.withStore(func(s *store.Store) error {
		all, err := s.Personas(a.ctx)
		if err != nil {
			return err
		}
		var rows [][]string
		for _, p := range all {
			live := "-"
			if r, ok := p.Live(); ok {
				live = fmt.Sprintf("%d (%d tools)", r.Number, len(r.Grants))
			}
			last := p.Latest()
			rows = append(rows, []string{string(p.ID), p.Title, orDash(p.Team), live, fmt.Sprintf("%d %s", last.Number, last.State), last.Author, a.dates(p)})
		}
		return table(a.out, []string{"PERSONA", "TITLE", "TEAM", "LIVE REVISION", "LATEST", "AUTHOR", "DATES"}, rows)
	})
}

type personaShowCmd struct {
	ID       string `arg:"" help:"The persona's id."`
	Revision int    `placeholder:"N" help:"Which revision (default: the live one, or the latest)."`
	JSON     bool   `help:"Print JSON."`
}

// granted is a tool as JSON shows it.
type granted struct {
	Tool       catalog.ID     `json:"tool"`
	Name       string         `json:"name"` // that the agent calls
	Effect     catalog.Effect `json:"effect"`
	Digest     catalog.Digest `json:"digest"`
	Reason     string         `json:"reason,omitempty"`
	Confidence float64        `json:"confidence"`
	AddedBy    string         `json:"added_by,omitempty"`
}

type shown struct {
	Persona    persona.ID     `json:"persona"`
	Title      string         `json:"title"`
	Team       string         `json:"team,omitempty"` // that owns it
	Revision   int            `json:"revision"`
	State      persona.State  `json:"state"`
	Job        string         `json:"job"`
	Author     string         `json:"author"`
	ReviewedBy string         `json:"reviewed_by,omitempty"`
	ReviewedAt time.Time      `json:"reviewed_at,omitzero"`
	SoloReview bool           `json:"single_operator,omitempty"`
	Narrowed   string         `json:"narrowed_by,omitempty"` // without a review of its own
	Expires    time.Time      `json:"expires,omitzero"`
	Recertify  time.Time      `json:"recertify,omitzero"`
	Missed     persona.Missed `json:"missed,omitempty"` // what happens when nobody has looked again
	Over       string         `json:"over,omitempty"`   // why everything is refused
	Tools      []granted      `json:"tools"`
}

// Run shows the revision.
func (c personaShowCmd) Run(a *app) error {
	if a.remote != nil {
		return c.remote(a)
	}
	return a.withStore(func(db *store.Store) error {
		p, err := db.Persona(a.ctx, persona.ID(c.ID))
		if err != nil {
			return fmt.Errorf("persona %q: %w; remit persona list shows them", c.ID, err)
		}
		r, ok := p.Live()
		if c.Revision != 0 {
			if r, ok = p.Revision(c.Revision); !ok {
				return fmt.Errorf("persona %s has the revisions 1 to %d", c.ID, len(p.Revisions))
			}
		} else if !ok {
			r = p.Latest()
		}
		s := shown{p.ID, p.Title, p.Team, r.Number, r.State, r.Job, r.Author, r.ReviewedBy, r.ReviewedAt, r.SoloReview, r.Narrowed,
			p.Term.Expires, p.Term.Recertify, p.Term.Missed, "", []granted{}}
		if o, over := p.Term.Over(time.Now()); over {
			s.Over = o.Reason
		}
		for _, g := range r.Grants {
			s.Tools = append(s.Tools, granted{g.Tool, g.Name, g.Effect, g.Digest, g.Reason, g.Confidence, g.AddedBy})
		}
		if c.JSON {
			return printJSON(a.out, s)
		}
		return a.show(s)
	})
}

// show prints a revision for a person.
func (a *app) show(s shown) error {
	fmt.Fprintf(a.out, "%s: %s, revision %d, %s\n", s.Persona, plain(s.Title), s.Revision, s.State)
	fmt.Fprintf(a.out, "job: %s\n", plain(s.Job))
	if s.Team != "" {
		fmt.Fprintf(a.out, "owner: the team %s\n", s.Team)
	}
	fmt.Fprintf(a.out, "author: %s, reviewed by: %s", s.Author, orDash(s.ReviewedBy))
	if s.Narrowed != "" {
		fmt.Fprintf(a.out, ", then narrowed by: %s", s.Narrowed)
	}
	fmt.Fprintf(a.out, "\nexpires: %s, a reviewer looks again by: %s\n", dateOf(s.Expires), dateOf(s.Recertify))
	if s.Over != "" {
		fmt.Fprintf(a.out, "everything is refused: %s\n", s.Over)
	}
	fmt.Fprintln(a.out)
	var rows [][]string
	for _, g := range s.Tools {
		by := "draft"
		if g.AddedBy != "" {
			by = g.AddedBy
		}
		rows = append(rows, []string{g.Name, string(g.Tool), string(g.Effect), by, g.Reason})
	}
	return table(a.out, []string{"NAME", "TOOL", "EFFECT", "ADDED BY", "WHY"}, rows)
}
