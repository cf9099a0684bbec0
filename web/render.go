package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"mime"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"remit/approval"
	"remit/catalog"
	"remit/identity"
	"remit/internal/visible"
	"remit/policy"
)

// frame is what every page has around its content.
type frame struct {
	Title  string
	By     identity.Principal
	Active string // of the navigation
	Notice string // what the last form did
	Admin  bool
	Author bool
	Member bool
	Record bool // may be read

	Decider bool // may decide on calls
	Held    int  // how many wait for that

	Reviews int // revisions that wait for the review of who looks

	Connects bool // there are servers that are called with people's accounts
}

const frameKey = "by"

// notices are what a redirect may say; anything else in the address says nothing.
var notices = map[string]string{
	"saved":         "The draft is saved.",
	"composed":      "The draft was composed anew.",
	"refined":       "The next draft. What changed is below.",
	"said":          "Your comment is kept. Authors and reviewers see it.",
	"taken":         "This draft is taken. The one before is kept beside it.",
	"submitted":     "Submitted. A reviewer sees it now.",
	"approved":      "Approved. The gateway serves this revision from the next request on.",
	"again":         "Live again. The gateway serves this revision from the next request on.",
	"let-in":        "Set. It holds from the next request on.",
	"owned":         "Set. Whose it is holds from the next request on.",
	"crawled":       "Listed. How that went is below.",
	"narrowed":      "Removed. The gateway refuses what was removed from the next request on.",
	"proposed":      "A draft without the unused tools was started. Edit and submit it; the live revision goes on until it is approved.",
	"dated":         "The dates are set. They hold from the next request on.",
	"recertified":   "Confirmed. The next date is set.",
	"thawed":        "Confirmed as it was approved: it may be called again from the next request on.",
	"beside":        "It runs beside the live revision from the next call on.",
	"not-beside":    "It runs beside the live revision no more.",
	"first":         "Your approval is noted. A second reviewer must approve it before anything is served.",
	"returned":      "Sent back to its author.",
	"revoked":       "The key is revoked: its next call is refused.",
	"token-revoked": "The token is revoked: its next request is refused.",
	"retired":       "Retired: the gateway refuses every call from now on.",
	"suspended":     "Suspended: the gateway refuses from the next request on.",
	"resumed":       "Resumed: the gateway goes on from the next request on, as it was approved.",
	"revised":       "A new draft was started.",
	"changed":       "Changed.",
	"password":      "Your password is changed.",
	"ended":         "Ended: whoever has that session must sign in again.",
	"out":           "You are signed out.",
	"call-approved": "Approved: the call may be made once, if everything else still allows it.",
	"call-denied":   "Denied: the call is refused.",
	"connected":     "Your account is connected.",
	"allowed":       "Saved. It holds from the next call on.",
	"disconnected":  "Disconnected. The access is ended at the server that gave it, too.",
	"dropped":       "Disconnected: no call uses your account any more. The server that gave the access could not be told to end it; look at your account there.",
}

func (s *site) frame(c echo.Context, by identity.Principal, title, active string) frame {
	f := frame{Title: title, By: by, Active: active, Notice: notices[c.QueryParam("did")],
		Admin: by.Has(identity.Admin), Author: by.Has(identity.Author), Member: len(by.Roles) > 0, Record: readsRecord(by), Connects: s.Connections.Any()}
	if f.Decider = s.Approvals != nil && approval.MayDecide(by); f.Decider {
		pending, err := s.waiting(c.Request().Context(), by)
		if err != nil {
			s.Log.Error("how many calls wait for a person could not be read", "err", err) // the page itself is whole
		}
		f.Held = len(pending)
	}
	if s.Submissions != nil && by.Has(identity.Reviewer) {
		waiting, err := s.Submissions.Submitted(c.Request().Context())
		if err != nil {
			s.Log.Error("how many revisions wait for a review could not be read", "err", err)
		}
		for _, p := range waiting {
			if s.mayApprove(by, p) {
				f.Reviews++
			}
		}
	}
	return f
}

// pages are the templates by name, each with the layout and the parts that pages share, parsed when first shown: who only serves agents
// keeps none in memory.
type pages struct {
	byName map[string]func() (*template.Template, error)
	assets map[string]string // name → digest of the content
}

func newPages() (*pages, error) {
	p := &pages{byName: map[string]func() (*template.Template, error){}, assets: map[string]string{}}
	static, err := fs.ReadDir(files, "static")
	if err != nil {
		return nil, err
	}
	for _, f := range static {
		content, err := files.ReadFile("static/" + f.Name())
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(content)
		p.assets[f.Name()] = hex.EncodeToString(sum[:6])
	}
	names, err := fs.Glob(files, "templates/*.html")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		page := strings.TrimSuffix(path.Base(name), ".html")
		if page == "layout" || page == "parts" {
			continue
		}
		p.byName[page] = sync.OnceValues(func() (*template.Template, error) {
			return template.New("").Funcs(p.funcs()).ParseFS(files, "templates/layout.html", "templates/parts.html", name)
		})
	}
	return p, nil
}

// execute writes a page with what it shows.
func (p *pages) execute(to io.Writer, name string, page any) error {
	t, err := p.byName[name]()
	if err != nil {
		return err
	}
	return t.ExecuteTemplate(to, "layout", page)
}

func (p *pages) funcs() template.FuncMap {
	return template.FuncMap{
		"show":      visible.HTML,
		"count":     count,
		"time":      clock,
		"day":       func(t time.Time) string { return t.UTC().Format("2 Jan 2006") },
		"asset":     func(name string) string { return "/static/" + name + "?v=" + p.assets[name] },
		"short":     catalog.Digest.Short,
		"digest":    func(s string) catalog.Digest { return catalog.Digest(s) },
		"has":       func(list []identity.Role, r identity.Role) bool { return slices.Contains(list, r) },
		"plural":    plural,
		"percent":   percent,
		"groupings": func() []string { return groupings },
		"detectors": func() []policy.Detector { return policy.Detectors },
	}
}

// percent is a part of a whole in words; empty where there is no whole.
func percent(n, of int) string {
	switch {
	case of <= 0 || n < 0:
		return ""
	case n*200 < of && n > 0:
		return "under 1 %"
	}
	return strconv.Itoa((n*100+of/2)/of) + " %"
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}

// count is n with thousands separated: 812,000.
func count(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// clock marks a time up for people and machines.
func clock(t time.Time) template.HTML {
	if t.IsZero() {
		return "never"
	}
	t = t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s">%s</time>`, t.Format(time.RFC3339), t.Format("2 Jan 2006, 15:04 UTC")))
}

// render writes a page once it is whole.
func (s *site) render(c echo.Context, status int, name string, page any) error {
	var b bytes.Buffer
	if err := s.pages.execute(&b, name, page); err != nil {
		return fmt.Errorf("page %s: %w", name, err)
	}
	return c.HTMLBlob(status, b.Bytes())
}

func (s *site) static(c echo.Context, _ identity.Principal) error {
	name := c.Param("name")
	sum, ok := s.pages.assets[name]
	if !ok {
		return echo.ErrNotFound
	}
	content, err := files.ReadFile("static/" + name)
	if err != nil {
		return err
	}
	if c.QueryParam("v") == sum {
		c.Response().Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	return c.Blob(200, mime.TypeByExtension(path.Ext(name)), content)
}

func (s *site) favicon(c echo.Context, _ identity.Principal) error {
	return c.Redirect(301, "/static/logo.svg")
}
