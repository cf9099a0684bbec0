package web

import (
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
	"remit/identity"
	"remit/persona"
	"remit/policy"
)

type draftPage struct {
	frame
	head
	Revision persona.Revision
	Base     string // names the state of the draft that the form was filled from
	Editable bool   // by who looks
	Job      []piece
	Tools    []card
	findings
	Tokens, Unknown, CatalogTokens, CatalogTools int
	Problem                                      string // that keeps it from being saved or submitted

	Query          string
	Found          []miss
	SearchDegraded string
}

// errStale is returned for a form that was filled from an older state of the draft.
var errStale = errors.New("the draft was changed in another window or by somebody else since you opened it; open it again and repeat your change")

func (s *site) draft(c echo.Context, by identity.Principal) error {
	p, err := s.persona(c)
	if err != nil {
		return err
	}
	return s.showDraft(c, by, p, nil)
}

// showDraft shows the newest revision, or the one that is asked for. problems are policies that were typed and cannot be saved.
func (s *site) showDraft(c echo.Context, by identity.Principal, p persona.Persona, problems []typed) error {
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
		Editable: r.State == persona.Draft && by.Has(identity.Author), Tools: s.grantCards(r), findings: s.findings(r),
		CatalogTokens: s.Catalog.Tokens(), CatalogTools: len(s.Catalog.Tools())}
	mark(page.Tools, h.stopped)
	page.Job = pieces(r.Job, r.Grants, page.Spans)
	page.Tokens, page.Unknown = sumTokens(page.Tools)
	status := http.StatusOK
	for _, t := range problems {
		status, page.Problem = http.StatusUnprocessableEntity, "Nothing was saved: a policy below is not valid."
		for i := range page.Tools {
			if page.Tools[i].ID == t.tool {
				page.Tools[i].Policy, page.Tools[i].PolicyProblem = t.text, t.problem
			}
		}
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
	return s.render(c, status, "draft", page)
}

// base names a state of a draft: every save creates it anew.
func base(r persona.Revision) string { return fmt.Sprintf("%d.%d", r.Number, r.Created.UnixNano()) }

// postDraft saves what the form keeps, adds a tool if a button asked for one, and submits if asked to.
func (s *site) postDraft(c echo.Context, by identity.Principal) error {
	p, err := s.openDraft(c)
	if err != nil {
		return err
	}
	ctx, form, r := c.Request().Context(), c.Request().PostForm, p.Latest()
	add := catalog.ID(form.Get("add"))
	kept, problems := edited(r, form, add, by)
	if slices.ContainsFunc(problems, func(t typed) bool { return t.problem != "" }) {
		return s.showDraft(c, by, p, problems)
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
func (s *site) openDraft(c echo.Context) (persona.Persona, error) {
	p, err := s.persona(c)
	if err != nil {
		return p, err
	}
	if r := p.Latest(); r.State != persona.Draft || base(r) != c.Request().PostForm.Get("base") {
		return p, errStale
	}
	return p, nil
}

// typed is a policy as somebody wrote it into a form.
type typed struct {
	tool    catalog.ID
	text    string
	problem string // empty when it is valid
}

// edited is the grants of r without those that the form removes, with their policies as the form has them, and with the one that
// it adds.
func edited(r persona.Revision, form url.Values, add catalog.ID, by identity.Principal) (kept []persona.Grant, policies []typed) {
	for _, g := range r.Grants {
		if slices.Contains(form["remove"], string(g.Tool)) {
			continue
		}
		if field := "policy:" + string(g.Tool); form.Has(field) {
			t := typed{tool: g.Tool, text: form.Get(field)}
			var err error
			if g.Policy, err = readPolicy(g, t.text); err != nil {
				t.problem = err.Error()
			}
			policies = append(policies, t)
		}
		kept = append(kept, g)
	}
	if add != "" && !slices.ContainsFunc(kept, func(g persona.Grant) bool { return g.Tool == add }) {
		kept = append(kept, persona.Grant{Pin: persona.Pin{Tool: add}, Reason: "added by hand", Confidence: 1, AddedBy: by.Person})
	}
	return kept, policies
}

func readPolicy(g persona.Grant, text string) (policy.Policy, error) {
	if strings.TrimSpace(text) == "" {
		return policy.Policy{}, nil
	}
	p, err := policy.Parse([]byte(text))
	if err != nil {
		return p, err
	}
	g.Policy = p
	_, _, err = g.Served()
	return p, err
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

// postCompose drafts anew for a changed job. Tools that a person added stay.
func (s *site) postCompose(c echo.Context, by identity.Principal) error {
	p, err := s.openDraft(c)
	if err != nil {
		return err
	}
	next, err := s.compose(c.Request().Context(), by, jobText(c.Request().PostForm.Get("job")))
	if err != nil {
		return err
	}
	for _, g := range p.Latest().Grants {
		same := func(o persona.Grant) bool { return o.Tool == g.Tool }
		if _, offered := s.Catalog.Tool(g.Tool); g.AddedBy != "" && offered && !slices.ContainsFunc(next.Grants, same) {
			g.Words = nil
			next.Grants = append(next.Grants, g)
		}
	}
	if err := s.Registry.Revise(c.Request().Context(), by, p.ID, next); err != nil {
		return err
	}
	return redirect(c, "/personas/"+string(p.ID), "composed")
}

// postRevise starts the next draft from the newest revision, without tools that are no longer offered.
func (s *site) postRevise(c echo.Context, by identity.Principal) error {
	p, err := s.persona(c)
	if err != nil {
		return err
	}
	r := p.Basis()
	if r.State == persona.Draft {
		return redirect(c, "/personas/"+string(p.ID), "")
	}
	next := persona.Proposal{Job: r.Job, Notes: r.Notes}
	for _, g := range r.Grants {
		if _, offered := s.Catalog.Tool(g.Tool); offered {
			next.Grants = append(next.Grants, g)
		}
	}
	if err := s.Registry.Revise(c.Request().Context(), by, p.ID, next); err != nil {
		return err
	}
	return redirect(c, "/personas/"+string(p.ID), "revised")
}
