package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"remit/evals"
	"remit/evals/page"
	"remit/identity"
)

type evalRunPage struct {
	frame
	ID      string
	Reports []reportView
	Before  string // the last run before this one that has one of its suites; empty when there is none
}

type reportView struct {
	evals.Report
	Rows  []metricRow
	Cases int
	Fails []evals.CaseResult // cases that failed, at most failsShown
	More  int                // further ones
}

type metricRow struct {
	Definition evals.Definition
	Text       string
	Cases      int
}

const failsShown = 20

func (s *site) evalRun(c echo.Context, by identity.Principal) error {
	id := c.Param("id")
	run, err := s.Evals.Run(c.Request().Context(), id)
	if err != nil {
		return err
	}
	p := evalRunPage{frame: s.frame(c, by, "Evaluation", "evals"), ID: id}
	for _, r := range run.Reports {
		v := reportView{Report: r, Cases: len(r.Cases)}
		for _, d := range evals.Definitions {
			if m, ok := r.Metric(d.Name); ok {
				v.Rows = append(v.Rows, metricRow{d, metricText(m), m.Cases})
			}
		}
		for _, one := range r.Cases {
			switch {
			case one.Failed == "":
			case len(v.Fails) < failsShown:
				v.Fails = append(v.Fails, one)
			default:
				v.More++
			}
		}
		p.Reports = append(p.Reports, v)
	}
	if p.Before, err = s.runBefore(c, id, run); err != nil {
		return err
	}
	return s.render(c, http.StatusOK, "evalrun", p)
}

func (s *site) runBefore(c echo.Context, id string, run evals.Run) (string, error) {
	runs, err := s.Evals.Runs(c.Request().Context(), listedRuns)
	if err != nil {
		return "", err
	}
	at := slices.IndexFunc(runs, func(r evals.Saved) bool { return r.ID == id })
	for _, earlier := range runs[at+1:] {
		for _, r := range earlier.Reports {
			if at >= 0 && slices.ContainsFunc(run.Reports, func(x evals.Report) bool { return x.Suite == r.Suite && x.Kind == r.Kind && x.Variant == r.Variant }) {
				return earlier.ID, nil
			}
		}
	}
	return "", nil
}

// reportPolicy allows the report's own style sheet, by its hash, and nothing else.
var reportPolicy = func() string {
	sum := sha256.Sum256([]byte(page.Style()))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
}()

// evalReport is the self-contained page, the same as remit eval run --html writes.
func (s *site) evalReport(c echo.Context, _ identity.Principal) error {
	run, err := s.Evals.Run(c.Request().Context(), c.Param("id"))
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := page.Write(&b, run); err != nil {
		return err
	}
	c.Response().Header().Set("Content-Security-Policy", reportPolicy)
	return c.HTMLBlob(http.StatusOK, b.Bytes())
}
