package web

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"remit/evals"
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
	Path                    string       // through the points
	Band                    string       // corners of the area between the intervals' ends; empty with one point
}

type trendPoint struct {
	X, Y  float64
	Run   string
	Title string
	Other bool // of another suite or catalog than the latest: not to be compared without care
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
	trendPad    = 6.0
)

func (s *site) evaluations(c echo.Context, by identity.Principal) error {
	runs, err := s.Evals.Runs(c.Request().Context(), listedRuns)
	if err != nil {
		return err
	}
	page := evalsPage{frame: s.frame(c, by, "Evaluations", "evals"), Trends: trends(runs)}
	for _, run := range runs {
		for i, r := range run.Reports {
			page.Runs = append(page.Runs, evalRow{Run: run.ID, First: i == 0, At: run.At.UTC().Format("2 Jan 2006, 15:04 UTC"), Report: r,
				Measure: evals.Headline(r.Kind).Title, Value: headlineText(r)})
		}
	}
	return s.render(c, http.StatusOK, "evals", page)
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
	d, _ := evals.Define(m.Name)
	form := "%.1f"
	if d.Unit == "share" {
		form = "%.3f"
	}
	text := fmt.Sprintf(form, m.Value)
	if m.Interval != nil {
		text += fmt.Sprintf(" ("+form+" to "+form+")", m.Interval.Low, m.Interval.High)
	}
	return text
}

// trends follows the main variant of each suite; runs are newest first.
func trends(runs []evals.Saved) []trend {
	type point struct {
		run evals.Saved
		r   evals.Report
		m   evals.Metric
	}
	var names []string
	of := map[string][]point{}
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
			of[name] = append(of[name], point{run, r, m})
		}
	}
	var out []trend
	for _, name := range names {
		points := of[name]
		latest := points[0]
		d := evals.Headline(latest.r.Kind)
		t := trend{Suite: latest.r.Suite, Variant: latest.r.Variant, Measure: d.Title, Latest: metricText(latest.m)}
		if len(points) > 1 {
			by := latest.m.Value - points[1].m.Value
			t.Change, t.Better, t.Worse = fmt.Sprintf("%+.3f", by), by*float64(d.Better) > 0, by*float64(d.Better) < 0
		}
		var upper, lower []string
		for i, p := range slices.Backward(points) {
			x := trendWidth / 2
			if n := len(points); n > 1 {
				x = trendPad + (trendWidth-2*trendPad)*float64(n-1-i)/float64(n-1)
			}
			y := func(share float64) float64 {
				return trendHeight - trendPad - (trendHeight-2*trendPad)*min(1, max(0, share))
			}
			in := p.m.Interval
			if in == nil {
				in = &evals.Interval{Low: p.m.Value, High: p.m.Value}
			}
			t.Points = append(t.Points, trendPoint{X: x, Y: y(p.m.Value), Run: p.run.ID, Title: p.run.At.UTC().Format("2 Jan 2006, 15:04") + ": " + metricText(p.m),
				Other: p.r.Setup.Suite != latest.r.Setup.Suite || p.r.Setup.Catalog != latest.r.Setup.Catalog})
			t.Path += fmt.Sprintf("%.1f,%.1f ", x, y(p.m.Value))
			upper = append(upper, fmt.Sprintf("%.1f,%.1f", x, y(in.High)))
			lower = append([]string{fmt.Sprintf("%.1f,%.1f", x, y(in.Low))}, lower...)
		}
		if len(points) > 1 {
			t.Band = strings.Join(append(upper, lower...), " ")
		}
		out = append(out, t)
	}
	return out
}
