package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"remit/catalog"
	"remit/composer"
	"remit/identity"
	"remit/persona"
	"remit/web/api"
)

type draftPage struct {
	frame
	head
	Revision persona.Revision
	Base     string // names the state of the draft that the form was filled from
	Editable bool   // by who looks
	Job      []piece
	Tools    []card
	Groups   []cardGroup // of Tools
	Grouped  string
	Risk     riskPicture
	findings
	Tokens, Unknown, CatalogTokens, CatalogTools int
	Refined                                      *refined   // what made it of the draft before
	Earlier                                      int        // drafts before it
	Problem                                      string     // that keeps it from being saved or submitted
	Blank                                        policyForm // rows that scripts copy

	Query          string
	Found          []miss
	SearchDegraded string
}

// errStale is returned for a form that was filled from an older state of the draft.
var errStale = errors.New("the draft was changed in another window or by somebody else since you opened it; open it again and repeat your change")

func (s *site) draft(c echo.Context, by identity.Principal) error {
	p, err := s.persona(c, by)
	if err != nil {
		return err
	}
	return s.showDraft(c, by, p, nil)
}

// showDraft shows the newest revision, or the one that is asked for. typed is the form as it was sent, when it is not saved.
func (s *site) showDraft(c echo.Context, by identity.Principal, p persona.Persona, typed *typedDraft) error {
	r := p.Latest()
	if number := c.QueryParam("revision"); number != "" {
		n, _ := strconv.Atoi(number) // what is no number is revision 0, which there never is
		var ok bool
		if r, ok = p.Revision(n); !ok {
			return persona.ErrNotFound
		}
	}
	h, err := s.newHead(c, by, p, "draft")
	if err != nil {
		return err
	}
	page := draftPage{frame: s.frame(c, by, p.Title, "personas"), head: h, Revision: r, Base: base(r),
		Editable: h.mayEdit(by, r), Tools: s.grantCards(r), findings: s.findings(r),
		CatalogTokens: s.Catalog.Tokens(), CatalogTools: len(s.Catalog.Tools())}
	mark(page.Tools, h.stopped)
	page.Job = pieces(r.Job, r.Grants, page.Spans)
	link(page.Tools, page.Job)
	page.Risk = picture(r)
	page.Tokens, page.Unknown = sumTokens(page.Tools)
	n := notesOf(r)
	page.Refined, page.Earlier = n.Refined, len(n.Earlier)
	status := http.StatusOK
	for i, g := range r.Grants {
		if page.Editable {
			page.Tools[i].Form = newPolicyForm(p.ID, i+1, g)
		}
		if typed != nil {
			page.Tools[i].Removed = typed.removed[g.Tool]
			if f, ok := typed.forms[g.Tool]; ok {
				page.Tools[i].Form = f
			}
		}
	}
	if typed != nil && typed.invalid {
		status, page.Problem = http.StatusUnprocessableEntity, "Nothing was saved: a rule below is not valid."
	}
	if page.Editable {
		page.Blank = blankForm()
	}
	for _, t := range page.Tools {
		if t.Gone && r.State == persona.Draft {
			page.Problem = fmt.Sprintf("No upstream offers %s now. Remove it, or wait until its server is back.", t.ID)
		}
	}
	if page.Query = strings.TrimSpace(c.QueryParam("q")); page.Query != "" {
		if page.Found, page.SearchDegraded, err = s.find(c.Request().Context(), page.Query, 8); err != nil {
			return err
		}
		granted := r.Digests()
		page.Found = slices.DeleteFunc(page.Found, func(f miss) bool { _, in := granted[f.ID]; return in })
	}
	withComments(page.Tools, by, p, r, "draft")
	page.Groups, page.Grouped = grouped(page.Tools, c.QueryParam("group"))
	for _, list := range [][]miss{page.Misses, page.Found} {
		for i := range list {
			list[i].Of = p.ID
		}
	}
	return s.render(c, status, "draft", page)
}

// base names a state of a draft: every save creates it anew.
func base(r persona.Revision) string { return api.BaseOf(r) }

// postDraft saves what the form keeps, adds a tool if a button asked for one, and submits if asked to.
func (s *site) postDraft(c echo.Context, by identity.Principal) error {
	p, err := s.openDraft(c, by)
	if err != nil {
		return err
	}
	ctx, form, r := c.Request().Context(), c.Request().PostForm, p.Latest()
	add := catalog.ID(form.Get("add"))
	kept, typed := edited(p.ID, r, form, add, by)
	if order := form.Get("row"); order != "" {
		typed.rearrange(order)
		return s.showDraft(c, by, p, typed)
	}
	if typed.invalid {
		return s.showDraft(c, by, p, typed)
	}
	if form.Get("move") == "submit" && slices.EqualFunc(kept, r.Grants, sameGrant) && !s.drifted(r) {
		if err := s.Registry.Submit(ctx, by, p.ID, r.Number); err != nil {
			return err
		}
		return redirect(c, "/personas/"+string(p.ID)+"/review", "submitted")
	}
	if err := s.Registry.Revise(ctx, by, p.ID, persona.Proposal{Job: r.Job, Grants: kept, Notes: r.Notes}); err != nil {
		return err
	}
	if form.Get("move") == "submit" {
		if s.drifted(r) {
			return fmt.Errorf("%w: the draft now has the newest definitions; read them and submit again", persona.ErrDrifted)
		}
		if err := s.Registry.Submit(ctx, by, p.ID, r.Number); err != nil {
			return err
		}
		return redirect(c, "/personas/"+string(p.ID)+"/review", "submitted")
	}
	to := "/personas/" + string(p.ID)
	if q := form.Get("q"); q != "" {
		to += "?q=" + url.QueryEscape(q)
	}
	return redirect(c, to, "saved")
}

// openDraft reads the persona whose draft a form edits, if the form was filled from its present state.
func (s *site) openDraft(c echo.Context, by identity.Principal) (persona.Persona, error) {
	p, err := s.persona(c, by)
	if err != nil {
		return p, err
	}
	if r := p.Latest(); r.State != persona.Draft || base(r) != c.Request().PostForm.Get("base") {
		return p, errStale
	}
	return p, nil
}

// typedDraft is the form of a draft as it was sent.
type typedDraft struct {
	forms   map[catalog.ID]policyForm
	removed map[catalog.ID]bool
	invalid bool // a policy of a tool that stays cannot be saved
}

// rearrange does what a button of a policy's form asks; nothing is judged by it yet.
func (t *typedDraft) rearrange(order string) {
	t.invalid = false
	for id, f := range t.forms {
		f.rearrange(order)
		t.forms[id] = f
	}
}

// edited is the grants of r without those that the form removes, with their policies as the form has them, and with the one that
// it adds.
func edited(of persona.ID, r persona.Revision, form url.Values, add catalog.ID, by identity.Principal) (kept []persona.Grant, typed *typedDraft) {
	typed = &typedDraft{forms: map[catalog.ID]policyForm{}, removed: map[catalog.ID]bool{}}
	for i, g := range r.Grants {
		removed := slices.Contains(form["remove"], string(g.Tool))
		typed.removed[g.Tool] = removed
		if form.Has(formMark(g.Tool)) || form.Has(textField(g.Tool)) {
			f, rules, ok := readPolicyForm(form, of, i+1, g)
			f.Open = !ok
			typed.forms[g.Tool] = f
			typed.invalid = typed.invalid || !ok && !removed
			g.Policy = rules
		}
		if !removed {
			kept = append(kept, g)
		}
	}
	if add != "" && !slices.ContainsFunc(kept, func(g persona.Grant) bool { return g.Tool == add }) {
		kept = append(kept, persona.Grant{Pin: persona.Pin{Tool: add}, Reason: "added by hand", Confidence: 1, AddedBy: by.Person})
	}
	return kept, typed
}

func sameGrant(a, b persona.Grant) bool {
	return a.Tool == b.Tool && reflect.DeepEqual(a.Policy, b.Policy)
}

// drifted says that the catalog's definition of some tool of r is another one than the page showed.
func (s *site) drifted(r persona.Revision) bool {
	return slices.ContainsFunc(r.Grants, func(g persona.Grant) bool {
		now, ok := s.Catalog.Tool(g.Tool)
		return ok && now.Digest != g.Digest
	})
}

// composeAgain drafts anew for a changed job.
func (s *site) composeAgain(ctx context.Context, by identity.Principal, before persona.Revision, job string) (persona.Proposal, error) {
	next, err := s.compose(ctx, by, job)
	next.Grants = s.addedByHand(next.Grants, before)
	return next, err
}

// addedByHand adds to grants the tools that a person added to the draft before.
func (s *site) addedByHand(grants []persona.Grant, before persona.Revision) []persona.Grant {
	for _, g := range before.Grants {
		same := func(o persona.Grant) bool { return o.Tool == g.Tool }
		if _, offered := s.Catalog.Tool(g.Tool); g.AddedBy != "" && offered && !slices.ContainsFunc(grants, same) {
			g.Words = nil
			grants = append(grants, g)
		}
	}
	return grants
}

func (s *site) postCompose(c echo.Context, by identity.Principal) error {
	p, err := s.openDraft(c, by)
	if err != nil {
		return err
	}
	job := jobText(c.Request().PostForm.Get("job"))
	if err := checkJob(by, job); err != nil {
		return err
	}
	before := p.Latest()
	return s.answer(c, by, drafting{job: job, save: s.onto(by, p, "composed", func(d composer.Draft, embedded *composer.Draft) (persona.Proposal, error) {
		others := append(embeddedBefore(embedded, s.Now(), by), asEarlier(before))
		return proposal(s.addedByHand(grants(d), before), notes{Draft: d}, append(others, notesOf(before).Earlier...)...)
	})})
}

// onto saves what is made of each draft in the place of p's newest, unless somebody changed that meanwhile.
func (s *site) onto(by identity.Principal, p persona.Persona, notice string, of func(d composer.Draft, embedded *composer.Draft) (persona.Proposal, error)) func(context.Context, composer.Draft, *composer.Draft) (string, error) {
	last := p.Latest().Created
	return func(ctx context.Context, d composer.Draft, embedded *composer.Draft) (string, error) {
		next, err := of(d, embedded)
		if err != nil {
			return "", err
		}
		next.Onto = last
		if err := s.Registry.Revise(ctx, by, p.ID, next); err != nil {
			return "", err
		}
		last, err = s.savedAt(ctx, p.ID, next)
		return "/personas/" + string(p.ID) + "?did=" + notice, err
	}
}

// postRevise starts the next draft from the newest revision, without tools that are no longer offered.
func (s *site) postRevise(c echo.Context, by identity.Principal) error {
	p, err := s.persona(c, by)
	if err != nil {
		return err
	}
	r := p.Basis()
	if r.State == persona.Draft {
		return redirect(c, "/personas/"+string(p.ID), "")
	}
	var kept []persona.Grant
	for _, g := range r.Grants {
		if _, offered := s.Catalog.Tool(g.Tool); offered {
			kept = append(kept, g)
		}
	}
	n := notesOf(r)
	n.Job, n.Refined = r.Job, nil
	next, err := proposal(kept, n)
	if err != nil {
		return err
	}
	if len(r.Notes) == 0 {
		next.Notes = nil // no composer had a part in it
	}
	if err := s.Registry.Revise(c.Request().Context(), by, p.ID, next); err != nil {
		return err
	}
	return redirect(c, "/personas/"+string(p.ID), "revised")
}
