package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/labstack/echo/v4"

	"remit/composer"
	"remit/identity"
	"remit/internal/invalid"
	"remit/persona"
)

type describePage struct {
	frame
	Name     string
	ID       string
	Job      string
	Team     string // as chosen; empty for none
	Error    string
	Examples []example
	Tools    int
}

type example struct{ Title, Job string }

// examples show that a job is told as to a new colleague, limits included.
var examples = []example{
	{"Support agent", "Look up the customer who wrote a ticket and read their latest invoices. Reply to the ticket with a clear answer and note what was done in the customer's record. Never issue refunds and never delete anything."},
	{"Meeting assistant", "Find free times in the calendars of everyone invited, create the meeting, and post the time and the agenda in the team's chat channel. Do not change or cancel meetings that already exist."},
	{"Weekly sales report", "Every Monday, read the deals that were opened, won and lost last week in the CRM, compare them with the invoices that were paid, and write a short summary. Read only: change nothing."},
}

func (s *site) describe(c echo.Context, by identity.Principal) error {
	page := s.describePage(c, by)
	if len(by.Teams) > 0 {
		page.Team = by.Teams[0]
	}
	for _, e := range examples {
		if e.Title == c.QueryParam("example") {
			page.Name, page.Job = e.Title, e.Job
		}
	}
	return s.render(c, http.StatusOK, "describe", page)
}

func (s *site) describePage(c echo.Context, by identity.Principal) describePage {
	return describePage{frame: s.frame(c, by, "Describe a job", "new"), Examples: examples, Tools: len(s.Catalog.Tools())}
}

func (s *site) postDescribe(c echo.Context, by identity.Principal) error {
	form := c.Request().PostForm
	page := s.describePage(c, by)
	page.Name, page.ID, page.Job, page.Team = strings.TrimSpace(form.Get("title")), strings.TrimSpace(form.Get("id")), jobText(form.Get("job")), form.Get("team")
	id, err := s.create(c.Request().Context(), by, persona.ID(page.ID), page.Name, page.Team, page.Job)
	if err != nil && expected(err) {
		status, _, text := explain(err)
		page.Error = text
		return s.render(c, status, "describe", page)
	}
	if err != nil {
		return err
	}
	return redirect(c, "/personas/"+string(id), "")
}

// create makes a persona whose tools are drafted from the job. Without an id it is made of the title.
func (s *site) create(ctx context.Context, by identity.Principal, id persona.ID, title, team, job string) (persona.ID, error) {
	proposal, err := s.compose(ctx, by, job)
	if err != nil {
		return "", err
	}
	proposal.Team = team
	return s.createAs(ctx, by, id, title, proposal)
}

func (s *site) createAs(ctx context.Context, by identity.Principal, id persona.ID, title string, p persona.Proposal) (persona.ID, error) {
	if id == "" {
		var err error
		if id, err = s.freeID(ctx, title); err != nil {
			return "", err
		}
	}
	return id, s.Registry.Create(ctx, by, id, title, p)
}

// compose drafts the tools for a job; the whole draft is kept in the notes.
func (s *site) compose(ctx context.Context, by identity.Principal, job string) (persona.Proposal, error) {
	if !by.Has(identity.Author) { // the registry decides it too; this spares the work
		return persona.Proposal{}, fmt.Errorf("%w: this needs the role %s", persona.ErrForbidden, identity.Author)
	}
	if job == "" || len(job) > persona.MaxJob {
		return persona.Proposal{}, invalid.At("job", fmt.Errorf("%w: describe the job in 1 to 20,000 bytes of text", persona.ErrInvalid))
	}
	ctx, cancel := context.WithTimeout(ctx, s.ComposeTimeout)
	defer cancel()
	draft, err := s.Composer.Compose(ctx, job)
	if err != nil {
		return persona.Proposal{}, fmt.Errorf("drafting the tools: %w", err)
	}
	return proposal(draft)
}

func proposal(d composer.Draft) (persona.Proposal, error) {
	notes, err := json.Marshal(d)
	return persona.Proposal{Job: d.Job, Grants: grants(d), Notes: notes}, err
}

// jobText is what was typed, with the line ends that browsers send made plain.
func jobText(text string) string {
	return strings.TrimSpace(strings.ToValidUTF8(strings.ReplaceAll(text, "\r\n", "\n"), "\uFFFD"))
}

var notInID = regexp.MustCompile(`[^a-z0-9]+`)

// freeID makes an id of a title that no persona has yet.
func (s *site) freeID(ctx context.Context, title string) (persona.ID, error) {
	base := strings.Trim(notInID.ReplaceAllString(strings.ToLower(title), "-"), "-")
	base = strings.TrimRight(base[:min(len(base), 50)], "-")
	if base == "" {
		base = "persona"
	}
	all, err := s.Registry.Store.Personas(ctx)
	if err != nil {
		return "", err
	}
	taken := map[persona.ID]bool{}
	for _, p := range all {
		taken[p.ID] = true
	}
	id := persona.ID(base)
	for n := 2; taken[id]; n++ {
		id = persona.ID(fmt.Sprintf("%s-%d", base, n))
	}
	return id, nil
}
