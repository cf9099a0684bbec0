package web

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"remit/catalog"
	"remit/identity"
	"remit/persona"
)

// revisionDiff is the difference of two revisions as a page shows it.
type revisionDiff struct {
	SameJob        bool
	Added, Removed []card
	Changed        []change
}

// change is a tool of both under another definition or policy.
type change struct {
	ID         catalog.ID
	Words      []catalog.Change // of the definition
	Difference []line           // of the definition; nil where it is the same
	Rules      []line           // of the policy, in words
}

func (s *site) compare(from, to persona.Revision) revisionDiff {
	d := persona.Compare(from, to)
	out := revisionDiff{SameJob: d.SameJob}
	for _, g := range d.Added {
		out.Added = append(out.Added, s.card(g.Tool, g.Digest, g.Definition))
	}
	for _, g := range d.Removed {
		out.Removed = append(out.Removed, s.card(g.Tool, g.Digest, g.Definition))
	}
	for _, c := range d.Changed {
		rules := difference(strings.Join(c.Was.Policy.Words(), "\n"), strings.Join(c.Is.Policy.Words(), "\n"))
		out.Changed = append(out.Changed, change{c.Is.Tool, c.Definition, difference(pretty(c.Was.Definition), pretty(c.Is.Definition)), rules})
	}
	return out
}

type diffPage struct {
	frame
	head
	From, To  int
	Revisions []persona.Revision
	revisionDiff
}

func (s *site) diff(c echo.Context, by identity.Principal) error {
	p, err := s.persona(c, by)
	if err != nil {
		return err
	}
	number := func(param string) int { n, _ := strconv.Atoi(c.QueryParam(param)); return n } // there never is a revision 0
	from, known := p.Revision(number("from"))
	to, also := p.Revision(number("to"))
	if !known || !also {
		return persona.ErrNotFound
	}
	h, err := s.newHead(c, by, p, "live")
	if err != nil {
		return err
	}
	return s.render(c, http.StatusOK, "diff", diffPage{frame: s.frame(c, by, "Compare: "+p.Title, "personas"), head: h,
		From: from.Number, To: to.Number, Revisions: p.Revisions, revisionDiff: s.compare(from, to)})
}
