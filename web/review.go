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

type reviewPage struct {
	frame
	head
	Revision persona.Revision
	Job      []piece
	Tools    []card
	Groups   []cardGroup // of Tools
	Grouped  string
	Risk     riskPicture
	findings
	Tokens, Unknown, CatalogTokens int

	Against *revisionDiff // with the live revision; nil where none is or it is this one

	MayApprove bool
	OwnWork    bool // some of it is by who looks
	Drifted    bool // approving will be refused
	Solo       bool // single-operator mode
	Two        bool // two reviewers must approve it
}

func (s *site) review(c echo.Context, by identity.Principal) error {
	p, err := s.persona(c, by)
	if err != nil {
		return err
	}
	r := p.Latest()
	h, err := s.newHead(c, by, p, "review")
	if err != nil {
		return err
	}
	page := reviewPage{frame: s.frame(c, by, "Review: "+p.Title, "personas"), head: h, Revision: r,
		Tools: s.grantCards(r), findings: s.findings(r), CatalogTokens: s.Catalog.Tokens(),
		MayApprove: s.mayApprove(by, p), OwnWork: r.WrittenBy(by.Person), Solo: s.SingleOperator,
		Two: s.Registry.TwoReviewers && r.NeedsTwo()}
	mark(page.Tools, h.stopped)
	page.Job = pieces(r.Job, r.Grants, page.Spans)
	link(page.Tools, page.Job)
	page.Risk = picture(r)
	page.Tokens, page.Unknown = sumTokens(page.Tools)
	for _, t := range page.Tools {
		page.Drifted = page.Drifted || t.Drifted || t.Gone
	}
	if live, ok := p.Live(); ok && live.Number != r.Number {
		against := s.compare(live, r)
		page.Against = &against
	}
	withComments(page.Tools, by, p, r, "review")
	page.Groups, page.Grouped = grouped(page.Tools, c.QueryParam("group"))
	return s.render(c, http.StatusOK, "review", page)
}

// postApprove passes on the digests that were on the reviewer's screen, not those of now.
func (s *site) postApprove(c echo.Context, by identity.Principal) error {
	id, form := persona.ID(c.Param("id")), c.Request().PostForm
	revision, _ := strconv.Atoi(form.Get("revision")) // what is no number is revision 0, which there never is
	seen := persona.Digests{}
	for _, field := range form["seen"] {
		digest, tool, _ := strings.Cut(field, " ")
		seen[catalog.ID(tool)] = catalog.Digest(digest)
	}
	if err := s.approve(c, by, id, revision, seen); err != nil {
		return err
	}
	p, err := s.persona(c, by)
	if err != nil {
		return err
	}
	if r, ok := p.Revision(revision); ok && r.State == persona.Submitted {
		return redirect(c, "/personas/"+string(id)+"/review", "first")
	}
	return redirect(c, "/personas/"+string(id)+"/live", "approved")
}

// approve leaves the dates as they are unless the form has them.
func (s *site) approve(c echo.Context, by identity.Principal, id persona.ID, revision int, seen persona.Digests) error {
	form := c.Request().PostForm
	if !form.Has("expires") || !by.Has(identity.Reviewer) {
		return s.Registry.Approve(c.Request().Context(), by, id, revision, seen)
	}
	until, was, err := s.readDates(form)
	if err != nil {
		return err
	}
	return s.Registry.ApproveUntil(c.Request().Context(), by, id, revision, seen, was, until)
}

func (s *site) postSendBack(c echo.Context, by identity.Principal) error {
	id, form := persona.ID(c.Param("id")), c.Request().PostForm
	revision, _ := strconv.Atoi(form.Get("revision"))
	if err := s.Registry.SendBack(c.Request().Context(), by, id, revision, jobText(form.Get("comment"))); err != nil {
		return err
	}
	return redirect(c, "/personas/"+string(id), "returned")
}
