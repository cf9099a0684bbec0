package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/labstack/echo/v4"

	"remit/approval"
	"remit/catalog"
	"remit/identity"
	"remit/persona"
)

type approvalsPage struct {
	frame
	Pending []approvalRow
	Recent  []approval.Request
}

type approvalRow struct {
	approval.Request
	Left string
	Own  bool // the agent works for who looks
}

type approvalPage struct {
	frame
	approvalRow
	Tool      *card  // as it was approved for the persona; nil when that revision cannot be found
	Shown     string // the arguments, indented
	Hidden    int    // characters in them that people cannot see
	Alike     []string
	Why       string // who looks may not decide
	Moved     bool   // the revision is not live any more, so that approving lets nothing through
	Undecided bool
}

// MaxReason is the longest reason.
func (approvalPage) MaxReason() int { return approval.MaxReason }

const recentApprovals = 50

// decider refuses whoever may decide on nothing: nobody else sees the arguments of a call.
func (s *site) decider(by identity.Principal) error {
	if s.Approvals == nil {
		return echo.NewHTTPError(http.StatusNotFound)
	}
	return s.Approvals.May(by, approval.Request{})
}

// waiting is what nobody has decided yet, oldest first.
func (s *site) waiting(ctx context.Context, by identity.Principal) ([]approval.Request, error) {
	found, err := s.Approvals.Requests(ctx, by, []approval.State{approval.Pending}, 1000)
	found = slices.DeleteFunc(found, func(r approval.Request) bool { return !r.Open(s.Now()) })
	slices.Reverse(found)
	return found, err
}

func (s *site) approvals(c echo.Context, by identity.Principal) error {
	if err := s.decider(by); err != nil {
		return err
	}
	page := approvalsPage{frame: s.frame(c, by, "Approvals", "approvals")}
	pending, err := s.waiting(c.Request().Context(), by)
	if err != nil {
		return err
	}
	for _, r := range pending {
		page.Pending = append(page.Pending, s.approvalRow(by, r))
	}
	page.Recent, err = s.Approvals.Requests(c.Request().Context(), by,
		[]approval.State{approval.Approved, approval.Denied, approval.Used, approval.Expired}, recentApprovals)
	if err != nil {
		return err
	}
	return s.render(c, http.StatusOK, "approvals", page)
}

func (s *site) approvalRow(by identity.Principal, r approval.Request) approvalRow {
	left := r.Expires.Sub(s.Now())
	text := fmt.Sprintf("%d s left", int(left.Seconds()))
	if left > 2*time.Minute {
		text = fmt.Sprintf("%d min left", int(left.Minutes()))
	}
	return approvalRow{Request: r, Left: text, Own: r.Own(by.Person)}
}

// approval shows one call to who may decide on calls.
func (s *site) approval(c echo.Context, by identity.Principal) error {
	if err := s.decider(by); err != nil {
		return err
	}
	r, err := s.Approvals.Request(c.Request().Context(), by, c.Param("id"))
	if err != nil {
		return err
	}
	page := approvalPage{frame: s.frame(c, by, "Approve a call", "approvals"), approvalRow: s.approvalRow(by, r),
		Undecided: r.State == approval.Pending && r.Open(s.Now())}
	if err := s.Approvals.May(by, r); err != nil {
		page.Why = err.Error()
	}
	var b bytes.Buffer
	if len(r.Text) > 0 {
		if err := json.Indent(&b, r.Text, "", "  "); err != nil {
			return err
		}
		page.Shown, page.Hidden, page.Alike = b.String(), countHidden(r.Text), lookalikes(string(r.Text))
	}
	p, err := s.Registry.Persona(c.Request().Context(), by, persona.ID(r.Persona))
	if err != nil {
		return err
	}
	live, _ := p.Live()
	page.Moved = live.Number != r.Revision
	of, _ := p.Revision(r.Revision)
	for _, g := range of.Grants {
		if string(g.Tool) == r.Tool && string(g.Digest) == r.Digest {
			tool := s.card(g.Tool, catalog.Digest(r.Digest), g.Definition)
			page.Tool = &tool
		}
	}
	return s.render(c, http.StatusOK, "approval", page)
}

func (s *site) postApproveCall(c echo.Context, by identity.Principal) error {
	return s.decide(c, by, true)
}

func (s *site) postDenyCall(c echo.Context, by identity.Principal) error {
	return s.decide(c, by, false)
}

// decide passes on the digest of the arguments that were on the screen.
func (s *site) decide(c echo.Context, by identity.Principal, approve bool) error {
	if s.Approvals == nil {
		return echo.NewHTTPError(http.StatusNotFound)
	}
	form := c.Request().PostForm
	if err := s.Approvals.Decide(c.Request().Context(), by, c.Param("id"), form.Get("seen"), approve, jobText(form.Get("reason"))); err != nil {
		return err
	}
	return redirect(c, "/approvals", map[bool]string{true: "call-approved", false: "call-denied"}[approve])
}

// alikeScripts have letters that look like Latin ones.
var alikeScripts = []struct {
	name  string
	table *unicode.RangeTable
}{{"Cyrillic", unicode.Cyrillic}, {"Greek", unicode.Greek}, {"Armenian", unicode.Armenian}, {"Cherokee", unicode.Cherokee}, {"Lisu", unicode.Lisu}, {"Coptic", unicode.Coptic}}

// lookalikes are the words of a text, at most 10, with letters that can be taken for Latin ones, and which letters those are.
func lookalikes(text string) (out []string) {
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) }) {
		var odd []string
		for _, r := range word {
			if name := alikeScript(r); name != "" && len(odd) < 5 {
				odd = append(odd, fmt.Sprintf("%c is %s U+%04X", r, name, r))
			}
		}
		line := word + ": " + strings.Join(odd, ", ")
		if len(odd) > 0 && !slices.Contains(out, line) {
			out = append(out, line)
		}
		if len(out) == 10 {
			break
		}
	}
	return out
}

func alikeScript(r rune) string {
	for _, s := range alikeScripts {
		if unicode.Is(s.table, r) {
			return s.name
		}
	}
	switch {
	case r >= 0xFF01 && r <= 0xFF5E:
		return "a full-width form,"
	case r >= 0x1D400 && r <= 0x1D7FF:
		return "a mathematical letter,"
	case r == 0x0131 || r == 0x0237 || r == 0x0251 || r == 0x0261:
		return "another Latin letter,"
	}
	return ""
}
