package web

import (
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"remit/identity"
)

// tokensPage is one's management tokens, and for an admin everybody's.
type tokensPage struct {
	frame
	Tokens []tokenRow
	Roles  []identity.Role // that a token of who looks may have
	Site   string
	Secret string // of the one just made; shown once
	Error  string

	Name    string // as typed
	Chosen  []identity.Role
	Teams   []string // that it is held to, as chosen
	Expires string
}

type tokenRow struct {
	identity.Token
	Status string
}

// ExpiryChoices are after how many days a token may expire.
func (tokensPage) ExpiryChoices() []string { return []string{"7", "30", "90", "365"} }

func (s *site) tokens(c echo.Context, by identity.Principal) error {
	return s.renderTokens(c, by, http.StatusOK, tokensPage{Expires: "90"})
}

func (s *site) renderTokens(c echo.Context, by identity.Principal, status int, page tokensPage) error {
	all, err := s.Directory.Tokens(c.Request().Context(), by)
	if err != nil {
		return err
	}
	for _, t := range all {
		page.Tokens = append(page.Tokens, tokenRow{t, t.State(s.Now())})
	}
	page.frame, page.Site = s.frame(c, by, "Management tokens", "account"), s.origin(c.Request())
	for _, r := range identity.TokenRoles {
		if by.Has(r) {
			page.Roles = append(page.Roles, r)
		}
	}
	return s.render(c, status, "tokens", page)
}

// postToken answers with the page itself, not a redirect: the secret is in no address and is shown once.
func (s *site) postToken(c echo.Context, by identity.Principal) error {
	form := c.Request().PostForm
	page := tokensPage{Name: strings.TrimSpace(form.Get("name")), Chosen: roles(form["role"]), Teams: form["team"], Expires: form.Get("expires")}
	until, err := identity.ParseExpiry(page.Expires+"d", s.Now()) // tokens always end
	if err == nil {
		page.Secret, _, err = s.Directory.IssueToken(c.Request().Context(), by, identity.TokenSpec{Name: page.Name, Roles: page.Chosen, Teams: page.Teams, Expires: until})
	}
	if err != nil && !expected(err) {
		return err
	}
	if err != nil {
		status, _, text := explain(err)
		page.Error, page.Secret = text, ""
		return s.renderTokens(c, by, status, page)
	}
	return s.renderTokens(c, by, http.StatusOK, tokensPage{Secret: page.Secret, Expires: "90"})
}

func (s *site) postRevokeToken(c echo.Context, by identity.Principal) error {
	if err := s.Directory.RevokeToken(c.Request().Context(), by, c.Param("key")); err != nil {
		return err
	}
	return redirect(c, "/account/tokens", "token-revoked")
}

// Live says that the token may be used, if its creator may do anything.
func (r tokenRow) Live() bool { return r.Status == "live" }

// Has says whether a role was chosen.
func (p tokensPage) Has(r identity.Role) bool { return slices.Contains(p.Chosen, r) }

// In says whether a team was chosen.
func (p tokensPage) In(team string) bool { return slices.Contains(p.Teams, team) }

// Used says that somebody used it.
func (r tokenRow) Used() bool { return !r.LastUse.IsZero() }
