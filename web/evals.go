package web

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"remit/evals"
	"remit/evals/page"
	"remit/identity"
)

type evalsPage struct {
	frame
	Trends []trend
	Runs   []evalRow
}

// trend is the headline measure of one suite over its runs.
type trend struct {
	Suite, Variant, Measure string
	Latest                  string
	Change                  string // against the run before; empty for the first
	Better, Worse           bool
	Points                  []trendPoint // oldest first
	Low, High               string       // ends of the axis
	Path                    string       // through the points; empty with one
	Band                    string       // corners of the area between the intervals' ends; empty with one point
}

type trendPoint struct {
	X, Y  float64
	Run   string
	Title string
	Other bool // of another suite, catalog or number of cases than the latest: not to be compared without care
}

// evalRow is a report of a run in the list.
type evalRow struct {
	Run     string
	First   bool // of its run
	At      string
	Report  evals.Report
	Measure string
	Value   string
}

const (
	listedRuns  = 200
	trendWidth  = 260.0
	trendHeight = 64.0
	trendLeft   = 36.0 // for the axis
	trendPad    = 8.0
	leastSpan   = 0.05 // of the axis, so that noise is not drawn as a mountain
)

func (s *site) evaluations(c echo.Context, by identity.Principal) error {
	runs, err := s.Evals.Runs(c.Request().Context(), listedRuns)
	if err != nil {
		return err
	}
	p := evalsPage{frame: s.frame(c, by, "Evaluations", "evals"), Trends: trends(runs)}
	for _, run := range runs {
		for i, r := range run.Reports {
			p.Runs = append(p.Runs, evalRow{Run: run.ID, First: i == 0, At: run.At.UTC().Format("2 Jan 2006, 15:04 UTC"), Report: r,
				Measure: evals.Headline(r.Kind).Title, Value: headlineText(r)})
		}
	}
	return s.render(c, http.StatusOK, "evals", p)
}

func headlineText(r evals.Report) string {
	m, ok := r.Metric(evals.Headline(r.Kind).Name)
	if !ok {
		return "none"
	}
	return metricText(m)
}

// metricText is a value with its interval.
func metricText(m evals.Metric) string {
	text := page.Number(m.Name, m.Value)
	if m.Interval != nil {
		text += " (" + page.Number(m.Name, m.Interval.Low) + " to " + page.Number(m.Name, m.Interval.High) + ")"
	}
	return text
}

// measured is the headline measure of a report of a run.
type measured struct {
	run evals.Saved
	r   evals.Report
	m   evals.Metric
}

// comparable says that two runs measured the same: suite, catalog and number of cases.
func (a measured) comparable(b measured) bool {
	return a.r.Setup.Suite == b.r.Setup.Suite && a.r.Setup.Catalog == b.r.Setup.Catalog && a.m.Cases == b.m.Cases
}

// interval is the metric's, or the value alone.
func (a measured) interval() evals.Interval {
	if a.m.Interval == nil {
		return evals.Interval{Low: a.m.Value, High: a.m.Value}
	}
	return *a.m.Interval
}

// trends follows the main variant of each suite; runs are newest first.
func trends(runs []evals.Saved) []trend {
	var names []string
	of := map[string][]measured{}
	for _, run := range runs {
		for _, r := range run.Reports {
			m, ok := r.Metric(evals.Headline(r.Kind).Name)
			if !ok || !r.Main() {
				continue
			}
			name := string(r.Kind) + "/" + r.Suite
			if of[name] == nil {
				names = append(names, name)
			}
			of[name] = append(of[name], measured{run, r, m})
		}
	}
	var out []trend
	for _, name := range names {
		out = append(out, newTrend(of[name]))
	}
	return out
}

// newTrend draws the points, which are newest first.
func newTrend(points []measured) trend {
	latest := points[0]
	d := evals.Headline(latest.r.Kind)
	t := trend{Suite: latest.r.Suite, Variant: latest.r.Variant, Measure: d.Title, Latest: metricText(latest.m)}
	if len(points) > 1 && latest.comparable(points[1]) {
		by := latest.m.Value - points[1].m.Value
		t.Change, t.Better, t.Worse = signed(by), by*float64(d.Better) > 0, by*float64(d.Better) < 0
	}
	low, high := latest.interval().Low, latest.interval().High
	for _, p := range points {
		low, high = min(low, p.interval().Low), max(high, p.interval().High)
	}
	if high-low < leastSpan {
		low, high = max(0, high-leastSpan), max(high, leastSpan)
	}
	t.Low, t.High = page.Number(d.Name, low), page.Number(d.Name, high)
	y := func(value float64) float64 {
		return trendHeight - trendPad - (trendHeight-2*trendPad)*(value-low)/(high-low)
	}
	var path, upper, lower []string
	for i, p := range slices.Backward(points) {
		x := trendLeft + (trendWidth-trendLeft)/2
		if n := len(points); n > 1 {
			x = trendLeft + trendPad + (trendWidth-trendLeft-2*trendPad)*float64(n-1-i)/float64(n-1)
		}
		at := func(value float64) string { return fmt.Sprintf("%.1f,%.1f", x, y(value)) }
		t.Points = append(t.Points, trendPoint{X: x, Y: y(p.m.Value), Run: p.run.ID, Other: !latest.comparable(p),
			Title: p.run.At.UTC().Format("2 Jan 2006, 15:04") + ": " + metricText(p.m)})
		path, upper = append(path, at(p.m.Value)), append(upper, at(p.interval().High))
		lower = append([]string{at(p.interval().Low)}, lower...)
	}
	if len(points) > 1 {
		t.Path, t.Band = strings.Join(path, " "), strings.Join(append(upper, lower...), " ")
	}
	return t
}

// signed is a difference with its sign; none at all has none.
func signed(by float64) string {
	if by == 0 {
		return "same"
	}
	return fmt.Sprintf("%+.3f", by)
}
