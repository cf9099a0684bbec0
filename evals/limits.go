package evals

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ErrMissed means that a suite was run and is not as good as was asked for.
var ErrMissed = errors.New("a minimum or maximum was missed")

// Limit is what a metric has to reach. It is held against every suite that has the metric, in its main variant (plain or
// hybrid); with Macro against the macro average of hybrid search over the retrieve suites.
type Limit struct {
	Metric string
	Macro  bool
	Max    bool
	Value  float64
}

// Limits makes limits of values by metric; the prefix macro_ means the macro average.
func Limits(minimums, maximums map[string]float64) ([]Limit, error) {
	var out []Limit
	for _, side := range []struct {
		max    bool
		values map[string]float64
	}{{false, minimums}, {true, maximums}} {
		for _, name := range slices.Sorted(maps.Keys(side.values)) {
			metric, isMacro := strings.CutPrefix(name, "macro_")
			d, ok := Define(metric)
			if !ok || isMacro && d.Kind != Retrieve {
				return nil, fmt.Errorf("there is no metric %q; there are %s, and those of retrieve suites with macro_ before them", name, strings.Join(metricNames(), ", "))
			}
			out = append(out, Limit{Metric: metric, Macro: isMacro, Max: side.max, Value: side.values[name]})
		}
	}
	return out, nil
}

func metricNames() (names []string) {
	for _, d := range Definitions {
		names = append(names, d.Name)
	}
	return names
}

// Outcome is a limit held against one suite or the macro average.
type Outcome struct {
	Limit
	Suite string // empty for the macro average
	Got   float64
}

// Missed says that the limit does not hold.
func (o Outcome) Missed() bool { return o.Max && o.Got > o.Value || !o.Max && o.Got < o.Value }

// String names the metric, what it is and what it should be.
func (o Outcome) String() string {
	of, least := o.Suite, "at least"
	if o.Macro {
		of = "macro average"
	}
	if o.Max {
		least = "at most"
	}
	return fmt.Sprintf("%s: %s: got %.4g, want %s %g", of, o.Metric, o.Got, least, o.Value)
}

// Hold holds the limits against the run. A limit on what the run does not have is an error.
func (r Run) Hold(limits []Limit) ([]Outcome, error) {
	var out []Outcome
	for _, l := range limits {
		before := len(out)
		if l.Macro {
			for _, m := range r.Macro {
				if v, ok := find(m.Metrics, l.Metric); ok && m.Variant == "hybrid" {
					out = append(out, Outcome{Limit: l, Got: v.Value})
				}
			}
		} else {
			for _, report := range r.Reports {
				if v, ok := report.Metric(l.Metric); ok && report.Main() {
					out = append(out, Outcome{Limit: l, Suite: report.Suite, Got: v.Value})
				}
			}
		}
		if len(out) == before {
			return nil, fmt.Errorf("no suite that was run has the metric %q: leave its limit out, or run a suite and a mode that have it", l.Metric)
		}
	}
	return out, nil
}
