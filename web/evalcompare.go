package web

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"remit/evals"
	"remit/evals/page"
	"remit/identity"
)

type evalComparePage struct {
	frame
	A, B  string
	Pairs []comparison
}

type comparison struct {
	evals.Comparison
	Rows []differenceRow
	More int // changed cases that are not shown
}

type differenceRow struct {
	evals.Difference
	Title         string
	TextA, TextB  string
	Better, Worse bool
}

// Change is the difference with its sign.
func (d differenceRow) Change() string { return signed(d.B - d.A) }

const changesShown = 100

// compareSeed makes the page say the same each time it is opened.
const compareSeed = 1

func (s *site) evalCompare(c echo.Context, by identity.Principal) error {
	p := evalComparePage{frame: s.frame(c, by, "Compare evaluations", "evals"), A: c.QueryParam("a"), B: c.QueryParam("b")}
	a, err := s.Evals.Run(c.Request().Context(), p.A)
	if err != nil {
		return err
	}
	b, err := s.Evals.Run(c.Request().Context(), p.B)
	if err != nil {
		return err
	}
	for _, found := range evals.CompareRuns(a, b, compareSeed) {
		one := comparison{Comparison: found}
		for _, d := range found.Metrics {
			what, _ := evals.Define(d.Name)
			by := (d.B - d.A) * float64(what.Better)
			one.Rows = append(one.Rows, differenceRow{d, what.Title, page.Number(d.Name, d.A), page.Number(d.Name, d.B), by > 0, by < 0})
		}
		if len(one.Cases) > changesShown {
			one.More, one.Cases = len(one.Cases)-changesShown, one.Cases[:changesShown]
		}
		p.Pairs = append(p.Pairs, one)
	}
	return s.render(c, http.StatusOK, "evalcompare", p)
}
