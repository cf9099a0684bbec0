package web

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

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

	From    persona.ID // the persona that it is started from
	Started string     // its title
	Starts  []personaRow
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
	from, err := s.startedFrom(c, by, persona.ID(c.QueryParam("from")), &page)
	if err != nil {
		return err
	}
	if from != nil {
		page.Name, page.Job = "Like "+from.Title, from.Basis().Job
	}
	if page.Started == "" {
		all, err := s.Registry.Personas(c.Request().Context(), by)
		if err != nil {
			return err
		}
		for _, p := range all[:min(len(all), maxStarts)] {
			page.Starts = append(page.Starts, personaRow{ID: p.ID, Title: p.Title, Tools: len(p.Basis().Grants)})
		}
	}
	return s.render(c, http.StatusOK, "describe", page)
}

const maxStarts = 12 // personas to start from that a page offers

// startedFrom is the persona with the id, if by sees it; nil for no id.
func (s *site) startedFrom(c echo.Context, by identity.Principal, id persona.ID, page *describePage) (*persona.Persona, error) {
	if id == "" {
		return nil, nil
	}
	if id.Validate() != nil {
		return nil, persona.ErrNotFound
	}
	p, err := s.Registry.Persona(c.Request().Context(), by, id)
	if err == nil && len(p.Revisions) == 0 {
		err = persona.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	page.From, page.Started = p.ID, p.Title
	return &p, nil
}

func (s *site) describePage(c echo.Context, by identity.Principal) describePage {
	return describePage{frame: s.frame(c, by, "Describe a job", "new"), Examples: examples, Tools: len(s.Catalog.Tools())}
}

func (s *site) postDescribe(c echo.Context, by identity.Principal) error {
	form := c.Request().PostForm
	page := s.describePage(c, by)
	page.Name, page.ID, page.Job, page.Team = strings.TrimSpace(form.Get("title")), strings.TrimSpace(form.Get("id")), jobText(form.Get("job")), form.Get("team")
	from, err := s.startedFrom(c, by, persona.ID(form.Get("from")), &page)
	if err == nil {
		err = checkJob(by, page.Job)
	}
	if err == nil {
		err = s.answer(c, by, s.creation(by, persona.ID(page.ID), page.Name, page.Team, page.Job, from))
	}
	if err != nil && expected(err) {
		status, _, text := explain(err)
		page.Error = text
		return s.render(c, status, "describe", page)
	}
	return err
}

// creation makes a persona of the first draft, and the model's choice its draft, unless somebody went on with the first. from is
// the persona that it is started from, if any.
func (s *site) creation(by identity.Principal, id persona.ID, title, team, job string, from *persona.Persona) drafting {
	var first time.Time
	return drafting{job: job, save: func(ctx context.Context, d composer.Draft, embedded *composer.Draft) (string, error) {
		kept, n := grants(d), notes{Draft: d}
		if from != nil {
			var err error
			if kept, n, err = s.refine(ctx, from.Basis(), d, refined{From: from.ID}); err != nil {
				return "", err
			}
			embedded = nil // it is not made of the other persona
		}
		p, err := proposal(kept, n, embeddedBefore(embedded, s.Now(), by)...)
		if err != nil {
			return "", err
		}
		if p.Onto = first; !first.IsZero() {
			return "", s.Registry.Revise(ctx, by, id, p)
		}
		p.Team = team
		if id, err = s.createAs(ctx, by, id, title, p); err != nil {
			return "", err
		}
		first, err = s.savedAt(ctx, id, p)
		return "/personas/" + string(id), err
	}}
}

// savedAt is when the draft with the notes was saved. Where somebody saved another one right after it, no draft has the time.
func (s *site) savedAt(ctx context.Context, id persona.ID, saved persona.Proposal) (time.Time, error) {
	p, err := s.Registry.Store.Persona(ctx, id)
	if err != nil {
		return time.Time{}, err
	}
	if r := p.Latest(); r.State == persona.Draft && bytes.Equal(r.Notes, saved.Notes) {
		return r.Created, nil
	}
	return time.Unix(0, 1), nil
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
	if err := checkJob(by, job); err != nil {
		return persona.Proposal{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.ComposeTimeout)
	defer cancel()
	draft, err := s.Composer.Follow(ctx, job, func(composer.Step) error { return nil })
	if err != nil {
		return persona.Proposal{}, fmt.Errorf("drafting the tools: %w", err)
	}
	return proposal(grants(draft), notes{Draft: draft})
}

// checkJob refuses what need not be composed. The registry decides it, too.
func checkJob(by identity.Principal, job string) error {
	if !by.Has(identity.Author) {
		return fmt.Errorf("%w: this needs the role %s", persona.ErrForbidden, identity.Author)
	}
	if job == "" || len(job) > persona.MaxJob {
		return invalid.At("job", fmt.Errorf("%w: describe the job in 1 to 20,000 bytes of text", persona.ErrInvalid))
	}
	return nil
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
