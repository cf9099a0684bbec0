package web

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"remit/catalog"
	"remit/identity"
	"remit/persona"
	"remit/persona/usage"
)

// unusedPage is what a reviewer looks at who looks again: what nobody uses, what is refused, and what drifted meanwhile.
type unusedPage struct {
	frame
	head
	Job     string
	Days    int
	Unused  *usage.Unused // nil where no revision is live
	Never   []idleRow
	Refused []usage.Refused // the first of them
	More    int             // refused ones that are not shown
	Tools   []card          // of the live revision, as they are now
	Offered []offered       // what Tools shows, for the form

	MayNarrow, MayDraft, MayConfirm, OwnWork bool
}

type idleRow struct {
	usage.Idle
	Drop bool // the proposal takes it away
}

// offered is the digest of a tool now; empty when it is gone.
type offered struct {
	Tool   catalog.ID
	Digest catalog.Digest
}

// Windows are the spans that the page offers, in days.
func (unusedPage) Windows() []int { return []int{7, 30, 90, 365} }

// Length is how long the window really is, in words.
func (p unusedPage) Length() string { return span(p.Unused.Until.Sub(p.Unused.From)) }

// Ago is how long before the end of the window a time was.
func (p unusedPage) Ago(at time.Time) string { return span(p.Unused.Until.Sub(at)) }

func span(d time.Duration) string {
	switch {
	case d < 2*time.Hour:
		return plural(max(int(d.Minutes()), 0), "minute", "minutes")
	case d < 48*time.Hour:
		return plural(int(d.Hours()), "hour", "hours")
	}
	return plural(int(d.Hours()/24), "day", "days")
}

const maxRefusedRows = 50

func (s *site) unused(c echo.Context, by identity.Principal) error {
	if s.Usage == nil {
		return echo.NewHTTPError(http.StatusNotFound)
	}
	p, err := s.persona(c, by)
	if err != nil {
		return err
	}
	h, err := s.newHead(c, by, p, "unused")
	if err != nil {
		return err
	}
	page := unusedPage{frame: s.frame(c, by, "Use: "+p.Title, "personas"), head: h, Days: windowDays(c.QueryParam("days"))}
	live, ok := p.Live()
	if !ok {
		return s.render(c, http.StatusOK, "unused", page)
	}
	u, err := s.findUnused(c, p.ID, page.Days)
	if err != nil {
		return err
	}
	page.Unused, page.Refused = &u, u.Refused[:min(len(u.Refused), maxRefusedRows)]
	page.More = len(u.Refused) - len(page.Refused)
	for _, t := range u.Never {
		page.Never = append(page.Never, idleRow{t, slices.Contains(u.Drop, t.ID)})
	}
	if !p.Term.Recertify.IsZero() {
		page.Dates.Recertify = "" // confirming sets the next one
	}
	page.Job, page.Tools = live.Job, s.grantCards(live)
	mark(page.Tools, h.stopped)
	pins, err := s.frozen(c.Request().Context(), by, p.ID)
	if err != nil {
		return err
	}
	markFrozen(page.Tools, pins)
	for _, g := range live.Grants {
		now, _ := s.Catalog.Tool(g.Tool)
		page.Offered = append(page.Offered, offered{g.Tool, now.Digest})
	}
	inProgress := p.Latest().State == persona.Draft || p.Latest().State == persona.Submitted
	page.OwnWork = live.WrittenBy(by.Person)
	page.MayConfirm = h.Ours && by.Has(identity.Reviewer) && (!page.OwnWork || s.SingleOperator)
	page.MayDraft = h.Ours && by.Has(identity.Author) && !inProgress
	page.MayNarrow = h.Ours && mayNarrow(by) == nil && !inProgress
	return s.render(c, http.StatusOK, "unused", page)
}

// mayNarrow mirrors what the registry will decide, before anything else of a form is judged.
func mayNarrow(by identity.Principal) error {
	if by.Has(identity.Author) || by.Has(identity.Reviewer) {
		return nil
	}
	return fmt.Errorf("%w: this needs the role %s or %s", persona.ErrForbidden, identity.Author, identity.Reviewer)
}

func (s *site) findUnused(c echo.Context, id persona.ID, days int) (usage.Unused, error) {
	return usage.FindUnused(c.Request().Context(), s.Usage, id, time.Duration(days)*24*time.Hour, s.Now().UTC())
}

// windowDays reads a number of days; 30 for anything else.
func windowDays(text string) int {
	if n, err := strconv.Atoi(text); err == nil && n >= 1 && n <= 3650 {
		return n
	}
	return 30
}

// postUnused takes what is ticked away at once, or makes a draft without it. The record is read again: a tool that was called
// since the page was shown stays.
func (s *site) postUnused(c echo.Context, by identity.Principal) error {
	if s.Usage == nil {
		return echo.NewHTTPError(http.StatusNotFound)
	}
	form, id := c.Request().PostForm, persona.ID(c.Param("id"))
	revision, _ := strconv.Atoi(form.Get("revision"))
	if err := mayNarrow(by); err != nil {
		return err
	}
	var remove []catalog.ID
	for _, tool := range form["remove"] {
		remove = append(remove, catalog.ID(tool))
	}
	u, err := s.findUnused(c, id, windowDays(form.Get("days")))
	if err == nil {
		err = u.Fits(remove)
	}
	if err != nil {
		return err
	}
	evidence := u.Evidence()
	evidence.Revision = revision // that was on the page; the registry compares
	if form.Get("move") == "draft" {
		if err := s.Registry.DraftWithout(c.Request().Context(), by, id, remove, evidence); err != nil {
			return err
		}
		return redirect(c, "/personas/"+string(id), "proposed")
	}
	if err := s.Registry.NarrowUnused(c.Request().Context(), by, id, remove, evidence); err != nil {
		return err
	}
	return redirect(c, "/personas/"+string(id)+"/live", "narrowed")
}

// postRecertify passes on what was on the reviewer's screen, not what is offered now.
func (s *site) postRecertify(c echo.Context, by identity.Principal) error {
	form, id := c.Request().PostForm, persona.ID(c.Param("id"))
	revision, _ := strconv.Atoi(form.Get("revision"))
	dates, was, err := s.readDates(form)
	if err != nil && by.Has(identity.Reviewer) { // others hear of their role first
		return err
	}
	seen := persona.Digests{}
	for _, field := range form["offered"] {
		digest, tool, _ := strings.Cut(field, " ")
		seen[catalog.ID(tool)] = catalog.Digest(digest)
	}
	if err := s.Registry.Recertify(c.Request().Context(), by, id, persona.Shown{Revision: revision, Dates: was}, seen, dates); err != nil {
		return err
	}
	return redirect(c, "/personas/"+string(id)+"/live", "recertified")
}
