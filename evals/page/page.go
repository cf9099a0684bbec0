// Package page owns how an evaluation run looks to a person: one HTML file that holds everything it needs, with plots as
// SVG made here. It runs no script and refers to nothing outside of itself. All text of catalogs, jobs and suites is
// hostile: it is escaped, spelt out where it would not be seen, and cut.
package page

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"remit/evals"
	"remit/internal/visible"
)

// Bounds on what is shown; the JSON form of a run has everything.
const (
	maxCases   = 200  // of a suite, worst first
	maxGrants  = 100  // tools, and needs, of a case
	maxText    = 4000 // bytes of a job
	maxShort   = 300  // bytes of any other text
	maxListed  = 12   // tools of one list
	maxConfuse = 20   // rows of the confusion table
	maxChanges = 100  // rows of a table of changes
)

//go:embed page.html
var source string

//go:embed page.css
var style string

var document = template.Must(template.New("page").Funcs(template.FuncMap{
	"show":  func(s string) template.HTML { return shown(s, maxShort) },
	"long":  func(s string) template.HTML { return shown(s, maxText) },
	"plain": func(s string) string { return cut(visible.Text(cut(s, maxShort)), maxShort) },
	"short": func(s string) string { return visible.Text(cut(strings.TrimPrefix(s, "sha256:"), 12)) },
	"day":   func(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") },
	"count": count, "percent": percent,
	"style": func() template.CSS { return template.CSS(style) },
}).Parse(source))

// Style is the style sheet inside of every page, for a policy that allows it by its hash.
func Style() string { return style }

// Write writes the page of a run.
func Write(w io.Writer, run evals.Run) error {
	var b bytes.Buffer
	if err := document.Execute(&b, newView(run)); err != nil {
		return fmt.Errorf("the report page: %w", err)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// view is what the template shows.
type view struct {
	Title    string
	Started  time.Time
	Remit    string
	Compose  []composeView
	Retrieve *retrieveView
	Enforce  []enforceView
	Terms    []evals.Definition // of the metrics that occur
}

func newView(run evals.Run) view {
	v := view{Title: "Evaluation"}
	var names []string
	ranked := []evals.Report{}
	for _, group := range suites(run.Reports) {
		main := group[0]
		if v.Started.IsZero() || main.Started.Before(v.Started) {
			v.Started = main.Started
		}
		v.Remit = main.Setup.Remit
		names = append(names, main.Suite)
		switch main.Kind {
		case evals.Compose:
			v.Compose = append(v.Compose, newCompose(len(v.Compose), group))
		case evals.Enforce:
			v.Enforce = append(v.Enforce, newEnforce(main))
		case evals.Retrieve:
			ranked = append(ranked, group...)
		}
	}
	if len(ranked) > 0 {
		v.Retrieve = newRetrieve(ranked, run.Macro)
	}
	if len(names) > 3 {
		names = append(names[:3], fmt.Sprintf("%d more", len(names)-3))
	}
	v.Title = "Evaluation: " + strings.Join(names, ", ")
	for _, d := range evals.Definitions {
		if slices.ContainsFunc(run.Reports, func(r evals.Report) bool { _, ok := r.Metric(d.Name); return ok }) {
			v.Terms = append(v.Terms, d)
		}
	}
	return v
}

// suites groups the reports of one suite, the main variant first.
func suites(reports []evals.Report) [][]evals.Report {
	var groups [][]evals.Report
	for _, r := range reports {
		i := slices.IndexFunc(groups, func(g []evals.Report) bool { return g[0].Suite == r.Suite && g[0].Kind == r.Kind })
		switch {
		case i < 0:
			groups = append(groups, []evals.Report{r})
		case r.Main() && !groups[i][0].Main():
			groups[i] = append([]evals.Report{r}, groups[i]...)
		default:
			groups[i] = append(groups[i], r)
		}
	}
	return groups
}

// shown is text as HTML with what would not be seen spelt out, and marked unless there is so much of it that the marks would
// make a page that no browser shows.
func shown(text string, limit int) template.HTML {
	text = cut(text, limit)
	if marked := visible.HTML(text); len(marked) < 3*limit {
		return marked
	}
	return template.HTML(template.HTMLEscapeString(cut(visible.Text(text), limit)))
}

// cut shortens text to at most limit bytes at a character.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit] + "…"
}

// percent is a share as people read it.
func percent(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) }

// Number is a value in its metric's unit.
func Number(name string, value float64) string {
	d, _ := evals.Define(name)
	switch {
	case d.Unit == "share":
		return fmt.Sprintf("%.3f", value)
	case d.Unit == "price":
		return fmt.Sprintf("%.5f", value)
	case d.Unit == "tokens" || d.Unit == "cases":
		return count(int(value + 0.5))
	case d.Unit == "ms" && value >= 100:
		return count(int(value+0.5)) + " ms"
	case d.Unit == "ms":
		return fmt.Sprintf("%.1f ms", value)
	}
	return fmt.Sprintf("%.1f", value)
}

// count is n with thousands separated.
func count(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// list is the first tools of a list in words.
func list(tools []string) string {
	if len(tools) > maxListed {
		return fmt.Sprintf("%s and %d more", strings.Join(tools[:maxListed], ", "), len(tools)-maxListed)
	}
	return strings.Join(tools, ", ")
}
