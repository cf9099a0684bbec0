package page

import (
	"fmt"
	"math"
	"sort"

	"remit/evals"
)

// Plots are drawn in units of their viewBox, which are pixels at the width that they are made for.

// mark is a value with its interval on the axis from 0 to 1.
type mark struct {
	Class       string // of the series: s0, s1, …
	Y           float64
	X, Low, Top float64 // Low = Top where there is no interval
	Text, Title string
}

// ladder is rows of marks on one axis: metrics with their intervals.
type ladder struct {
	Width, Height, Left, Right, Bottom float64
	Ticks                              []tick
	Rows                               []rung
}

type rung struct {
	Y     float64 // of the label
	Line  float64 // above the row
	Label string
	Marks []mark
}

type tick struct {
	At    float64
	Label string
}

// series is one mark of a row: its metric, and whose.
type series struct {
	Class, Name string
	Metric      evals.Metric
}

const (
	rowPad  = 14.0
	markGap = 19.0
)

// newLadder lays rows out. Values must be shares.
func newLadder(left float64, labels []string, rows [][]series) ladder {
	l := ladder{Width: 760, Left: left, Right: 760 - 150}
	at := func(share float64) float64 { return l.Left + (l.Right-l.Left)*math.Min(1, math.Max(0, share)) }
	y := 8.0
	for i, row := range rows {
		r := rung{Line: y, Label: labels[i], Y: y + rowPad/2 + markGap*float64(len(row))/2 + 4}
		for j, s := range row {
			m := mark{Class: s.Class, Y: y + rowPad/2 + markGap*(float64(j)+0.5), X: at(s.Metric.Value), Text: fmt.Sprintf("%.3f", s.Metric.Value)}
			m.Low, m.Top = m.X, m.X
			if in := s.Metric.Interval; in != nil {
				m.Low, m.Top = at(in.Low), at(in.High)
				m.Text += fmt.Sprintf("  [%.3f, %.3f]", in.Low, in.High)
			}
			m.Title = fmt.Sprintf("%s, %s: %s, %d cases", labels[i], s.Name, m.Text, s.Metric.Cases)
			r.Marks = append(r.Marks, m)
		}
		y += rowPad + markGap*float64(len(row))
		l.Rows = append(l.Rows, r)
	}
	l.Bottom, l.Height = y+4, y+26
	for i := range 5 {
		share := float64(i) / 4
		l.Ticks = append(l.Ticks, tick{at(share), fmt.Sprintf("%.2f", share)})
	}
	return l
}

// cloud is cases by over-privilege (across) and need recall (up); cases at one place are one larger dot.
type cloud struct {
	Width, Height, Left, Right, Top, Bottom float64
	XTicks, YTicks                          []tick
	Dots                                    []dot
}

type dot struct {
	X, Y, R   float64
	Corners   string // of the diamond that stands for a forbidden tool
	Forbidden bool
	Count     int
	Title     string
}

func newCloud(cases []evals.CaseResult) cloud {
	c := cloud{Width: 460, Height: 420, Left: 52, Right: 444, Top: 24, Bottom: 372}
	type place struct {
		over, recall float64
		forbidden    bool
	}
	at := map[place][]string{}
	for _, r := range cases {
		p := place{r.Scores["over_privilege"], r.Scores["need_recall"], r.Scores["forbidden"] > 0}
		at[p] = append(at[p], r.ID)
	}
	for p, ids := range at {
		what := "no forbidden tool"
		if p.forbidden {
			what = "a forbidden tool"
		}
		x, y, r := c.Left+(c.Right-c.Left)*p.over, c.Bottom-(c.Bottom-c.Top)*p.recall, 6*math.Sqrt(float64(len(ids)))
		h := 1.25 * r
		c.Dots = append(c.Dots, dot{X: x, Y: y, R: r, Forbidden: p.forbidden, Count: len(ids),
			Corners: fmt.Sprintf("%.1f,%.1f %.1f,%.1f %.1f,%.1f %.1f,%.1f", x, y-h, x+h, y, x, y+h, x-h, y),
			Title:   fmt.Sprintf("need recall %.2f, over-privilege %.2f, %s: %s", p.recall, p.over, what, list(ids))})
	}
	sort.Slice(c.Dots, func(i, j int) bool { // large ones first, so that none hides another
		a, b := c.Dots[i], c.Dots[j]
		if a.R != b.R {
			return a.R > b.R
		}
		return a.Title < b.Title
	})
	for i := range 5 {
		share := float64(i) / 4
		c.XTicks = append(c.XTicks, tick{c.Left + (c.Right-c.Left)*share, fmt.Sprintf("%.2f", share)})
		c.YTicks = append(c.YTicks, tick{c.Bottom - (c.Bottom-c.Top)*share, fmt.Sprintf("%.2f", share)})
	}
	return c
}

// bars is how many values fall into each of equal steps.
type bars struct {
	Width, Height, Left, Right, Top, Bottom float64
	Bars                                    []bar
	XTicks, YTicks                          []tick
	Lines                                   []line
	Unit                                    string

	step, shift, wide float64 // from value to place
}

type bar struct {
	X, Y, Width, Height float64
	Title               string
}

// line marks a value across the bars.
type line struct {
	At    float64
	Y     float64 // of the label
	Label string
	End   bool // the label stands to the left
}

const maxBars = 30

// newBars makes a histogram of values from 0 up. Whole numbers get a bar each while that fits.
func newBars(values []float64, whole bool, unit string) bars {
	b := bars{Width: 460, Height: 250, Left: 44, Right: 444, Top: 34, Bottom: 200, Unit: unit}
	top := 0.0
	for _, v := range values {
		top = math.Max(top, v)
	}
	step, shift := nice(top/20), 0.0
	if whole {
		step = math.Max(1, math.Ceil((top+1)/maxBars))
		shift = 0.5 // a bar stands over its number
	}
	if step == 0 {
		step = 1
	}
	n := int(top/step) + 1
	counts, most := make([]int, n), 1
	for _, v := range values {
		i := min(int(v/step), n-1)
		counts[i]++
		most = max(most, counts[i])
	}
	wide := (b.Right - b.Left) / float64(n)
	for i, c := range counts {
		h := (b.Bottom - b.Top) * float64(c) / float64(most)
		from := float64(i) * step
		what := fmt.Sprintf("%g to %g %s", from, from+step, unit)
		if whole && step == 1 {
			what = fmt.Sprintf("%g %s", from, unit)
		}
		b.Bars = append(b.Bars, bar{X: b.Left + wide*float64(i) + 1, Y: b.Bottom - h, Width: math.Max(1, wide-2), Height: h, Title: fmt.Sprintf("%s: %d cases", what, c)})
	}
	every := (n + 7) / 8
	for i := 0; i < n; i += every {
		b.XTicks = append(b.XTicks, tick{b.Left + wide*(float64(i)+shift), fmt.Sprintf("%g", float64(i)*step)})
	}
	for i := 0; i <= most; i += max(1, (most+3)/4) {
		b.YTicks = append(b.YTicks, tick{b.Bottom - (b.Bottom-b.Top)*float64(i)/float64(most), fmt.Sprint(i)})
	}
	b.step, b.shift, b.wide = step, shift, wide
	return b
}

// mark draws a line at a value, with its label above the bars.
func (b *bars) mark(value float64, label string) {
	at := math.Min(b.Right, b.Left+b.wide*(value/b.step+b.shift))
	b.Lines = append(b.Lines, line{At: at, Y: b.Top - 20 + 13*float64(len(b.Lines)), Label: label, End: at > (b.Left+b.Right)/2})
}

// nice is the next of 1, 2, 2.5, 5 and their tenfolds.
func nice(v float64) float64 {
	if v <= 0 {
		return 0
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 2.5, 5, 10} {
		if v <= m*power*1.0000001 {
			return m * power
		}
	}
	return 10 * power
}
