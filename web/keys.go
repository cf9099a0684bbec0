package web

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"remit/catalog"
	"remit/identity"
	"remit/internal/remote"
	"remit/persona"
	"remit/policy"
)

// keysPart is the part of a persona's page that is about its access keys.
type keysPart struct {
	May      bool // issue, rotate and revoke keys
	Rows     []keyRow
	Expiring int    // of the rows
	Secret   string // of the key that was just issued; shown once
	Rotated  string // the key that it takes the place of
	Filter   identity.KeyQuery
	Form     keyForm
}

// keyRow is a key as the page shows it.
type keyRow struct {
	identity.Key
	State    identity.KeyState
	DaysLeft int // of one that is expiring
}

// Working says that the key can be revoked with effect: it works now, or would if its user were not disabled.
func (r keyRow) Working() bool {
	return r.State != identity.KeyRevoked && r.State != identity.KeyExpired
}

// Rotatable says that another key can take its place.
func (r keyRow) Rotatable() bool {
	return r.State == identity.KeyLive || r.State == identity.KeyExpiring
}

// keyForm is what a person typed for a new key.
type keyForm struct {
	Agent, User string
	Expires     string // days, or never
	On          string // a day instead; empty for none
	Scope       string // "all" or "some" tools
	Tools       []string
	Limits      string // separated by commas
	Addresses   string
}

// Names says that the tool is ticked.
func (f keyForm) Names(tool catalog.ID) bool { return slices.Contains(f.Tools, string(tool)) }

// Narrowed says that something besides the persona bounds the key.
func (f keyForm) Narrowed() bool {
	return f.Scope == "some" || len(f.Tools) > 0 || f.Limits != "" || f.Addresses != ""
}

// ExpiryChoices are after how many days a key may expire.
func (keysPart) ExpiryChoices() []string { return []string{"7", "30", "90", "365", "never"} }

// States are what keys may be filtered by.
func (keysPart) States() []identity.KeyState { return identity.KeyStates }

// Filtered says that not all keys may be shown.
func (k keysPart) Filtered() bool { return k.Filter.Agent+k.Filter.User+string(k.Filter.State) != "" }

// Warning is within how many days a key is said to be expiring.
func (keysPart) Warning() int { return int(identity.KeyWarning / (24 * time.Hour)) }

// overlaps are how long a key that is rotated may go on.
var overlaps = map[string]time.Duration{"0": 0, "1h": time.Hour, "24h": identity.KeyOverlap, "7d": 7 * 24 * time.Hour}

func newKeysPart(c echo.Context, by identity.Principal, ours bool) keysPart {
	return keysPart{May: ours && identity.MayChangeKeys(by) == nil, Form: keyForm{User: by.Person, Expires: "90", Scope: "all"},
		Filter: identity.KeyQuery{Agent: strings.TrimSpace(c.QueryParam("agent")), User: strings.TrimSpace(c.QueryParam("user")),
			State: identity.KeyState(c.QueryParam("state"))}}
}

// fillKeys lists the keys as they are now.
func (s *site) fillKeys(c echo.Context, by identity.Principal, id persona.ID, part *keysPart) error {
	part.Filter.Persona = string(id)
	keys, err := s.Directory.Keys(c.Request().Context(), by, part.Filter)
	now := s.Now()
	for _, k := range keys {
		row := keyRow{Key: k, State: k.State(now)}
		if row.State == identity.KeyExpiring {
			row.DaysLeft = int(k.Expires.Sub(now).Hours()/24) + 1
			part.Expiring++
		}
		part.Rows = append(part.Rows, row)
	}
	return err
}

// postKey answers with the page itself, not a redirect: the secret is in no address and is shown once.
func (s *site) postKey(c echo.Context, by identity.Principal) error {
	if err := identity.MayChangeKeys(by); err != nil {
		return err
	}
	page, p, err := s.livePage(c, by)
	if err != nil {
		return err
	}
	form := c.Request().PostForm
	trimmed := func(name string) string { return strings.TrimSpace(form.Get(name)) }
	page.Keys.Form = keyForm{Agent: trimmed("agent"), User: trimmed("user"), Expires: form.Get("expires"), On: trimmed("on"),
		Scope: form.Get("scope"), Tools: form["tool"], Limits: trimmed("limits"), Addresses: trimmed("addresses")}
	spec, err := page.Keys.Form.spec(p, s.Now())
	if err == nil && p.Retired() {
		err = fmt.Errorf("%w: the persona is retired", persona.ErrState)
	}
	if err == nil {
		page.Keys.Secret, _, err = s.Directory.IssueKey(c.Request().Context(), by, spec)
	}
	return s.answerKey(c, page, err)
}

// answerKey shows the page with the new secret, or with what is wrong with what was asked for.
func (s *site) answerKey(c echo.Context, page livePage, err error) error {
	if err == nil {
		page.Keys.Form = keyForm{User: page.By.Person, Expires: "90", Scope: "all"}
		return s.renderLive(c, http.StatusOK, page)
	}
	if !expected(err) {
		return err
	}
	status, _, text := explain(err)
	page.Error = text
	return s.renderLive(c, status, page)
}

// spec reads the form.
func (f keyForm) spec(p persona.Persona, now time.Time) (identity.KeySpec, error) {
	spec := identity.KeySpec{Agent: f.Agent, User: f.User, Persona: string(p.ID)}
	when := f.Expires
	switch {
	case f.On != "":
		when = f.On
	case when != "never":
		when += "d"
	}
	var err error
	if spec.Expires, err = identity.ParseExpiry(when, now); err != nil {
		return spec, err
	}
	switch some := len(f.Tools) > 0; {
	case f.Scope == "some" && !some:
		return spec, fmt.Errorf("%w: tick the tools that the key is for, or let it have all of the persona's", identity.ErrInvalid)
	case f.Scope == "all" && some:
		return spec, fmt.Errorf("%w: tools are ticked, but the key is said to be for all of them: choose one of the two", identity.ErrInvalid)
	}
	if spec.Bounds.Tools, err = p.Granted(f.Tools); err != nil {
		return spec, err
	}
	if spec.Bounds.Limits, err = each(f.Limits, policy.ParseLimit); err != nil {
		return spec, err
	}
	spec.Bounds.Addresses, err = each(f.Addresses, remote.Network)
	return spec, err
}

// each reads what is separated by commas or white space.
func each[T any](text string, read func(string) (T, error)) ([]T, error) {
	var out []T
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\r' || r == '\t' }) {
		v, err := read(word)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", identity.ErrInvalid, err)
		}
		out = append(out, v)
	}
	return out, nil
}

// postRotateKey answers with the page itself, as postKey does.
func (s *site) postRotateKey(c echo.Context, by identity.Principal) error {
	if err := identity.MayChangeKeys(by); err != nil {
		return err
	}
	page, p, err := s.livePage(c, by)
	if err != nil {
		return err
	}
	old := c.Param("key")
	keys, err := s.Directory.Keys(c.Request().Context(), by, identity.KeyQuery{Persona: string(p.ID)})
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(keys, func(k identity.Key) bool { return k.ID == old }) {
		return identity.ErrNotFound
	}
	overlap, ok := overlaps[c.Request().PostForm.Get("overlap")]
	switch {
	case !ok:
		err = fmt.Errorf("%w: say how long the old key goes on", identity.ErrInvalid)
	case p.Retired():
		err = fmt.Errorf("%w: the persona is retired", persona.ErrState)
	default:
		page.Keys.Secret, _, err = s.Directory.RotateKey(c.Request().Context(), by, old, overlap, nil)
		page.Keys.Rotated = old
	}
	return s.answerKey(c, page, err)
}

func (s *site) postRevokeKey(c echo.Context, by identity.Principal) error {
	if err := s.Directory.RevokeKey(c.Request().Context(), by, c.Param("key")); err != nil {
		return err
	}
	return redirect(c, "/personas/"+c.Param("id")+"/live", "revoked")
}
