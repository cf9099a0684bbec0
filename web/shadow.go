package web

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/labstack/echo/v4"

	"remit/audit"
	"remit/identity"
	"remit/persona"
	"remit/persona/usage"
)

type shadowPage struct {
	frame
	head
	May     bool // start and stop
	Choices []persona.Revision
	Counted bool // Shadow says something
	Shadow  usage.Shadow
	Rows    []shadowRow
}

type shadowRow struct {
	usage.ShadowRow
	Entries string // address of them
}

// Words of the change, for a person.
func (r shadowRow) Words() string {
	return map[audit.Change]string{audit.Same: "the same", audit.Refuses: "would be refused", audit.Allows: "would be allowed", audit.CannotTell: "undecided"}[r.Change]
}

// maxShadowRows bounds what agents that make up names put on the page.
const maxShadowRows = 200

// shadow shows what the revision beside the live one would change, or one that ran before and that the address names.
func (s *site) shadow(c echo.Context, by identity.Principal) error {
	if s.Shadows == nil {
		return echo.NewHTTPError(http.StatusNotFound)
	}
	p, err := s.persona(c, by)
	if err != nil {
		return err
	}
	h, err := s.newHead(c, by, p, "live")
	if err != nil {
		return err
	}
	page := shadowPage{frame: s.frame(c, by, "Shadow: "+p.Title, "personas"), head: h, May: h.Ours && by.Has(identity.Reviewer)}
	for _, r := range p.Revisions {
		if r.Shadowable() == nil && r.Number != p.Shadow.Revision && h.Live != 0 {
			page.Choices = append(page.Choices, r)
		}
	}
	slices.Reverse(page.Choices)
	number, _ := strconv.Atoi(c.QueryParam("revision")) // what is no number is the one that runs
	if number == 0 && p.Shadow.Revision == 0 {
		return s.render(c, http.StatusOK, "shadow", page)
	}
	if page.Shadow, err = usage.FindShadow(c.Request().Context(), s.Shadows, p.ID, number); err != nil {
		return err
	}
	page.Counted = true
	for _, r := range page.Shadow.Rows[:min(len(page.Shadow.Rows), maxShadowRows)] {
		page.Rows = append(page.Rows, shadowRow{r, entriesOf(page.Shadow, r)})
	}
	return s.render(c, http.StatusOK, "shadow", page)
}

// entriesOf is the record's page with the entries of a row.
func entriesOf(of usage.Shadow, r usage.ShadowRow) string {
	q := url.Values{"persona": {string(of.Persona)}, "tool": {r.Tool}, "decision": {string(r.Decision)}, "shadow": {strconv.Itoa(of.Revision)}, "shadow_decision": {string(r.Shadow)}}
	for name, value := range map[string]string{"policy": r.Was, "shadow_policy": r.Rule} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return "/audit?" + q.Encode()
}

func (s *site) postShadow(c echo.Context, by identity.Principal) error {
	number, _ := strconv.Atoi(c.Request().PostForm.Get("revision")) // what is no number is revision 0, which there never is
	if err := s.Registry.StartShadow(c.Request().Context(), by, persona.ID(c.Param("id")), number); err != nil {
		return err
	}
	return redirect(c, "/personas/"+c.Param("id")+"/shadow", "beside")
}

func (s *site) postNoShadow(c echo.Context, by identity.Principal) error {
	if err := s.Registry.StopShadow(c.Request().Context(), by, persona.ID(c.Param("id"))); err != nil {
		return err
	}
	return redirect(c, "/personas/"+c.Param("id")+"/shadow", "not-beside")
}
