package evals

import (
	"encoding/xml"
	"fmt"
	"io"
)

type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Time     string      `xml:"time,attr"` // seconds
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitFailure `xml:"failure,omitempty"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
}

// WriteJUnit writes the main variant of every suite as JUnit XML. A case fails when it grants a forbidden tool, cannot be
// composed, or is not exact (enforce); a query never fails. Each limit is a case of the suite "limits".
func (r Run) WriteJUnit(out io.Writer, limits []Outcome) error {
	var all junitSuites
	for _, report := range r.Reports {
		if !report.Main() {
			continue
		}
		s := junitSuite{Name: report.Suite, Time: seconds(report.TookMS)}
		for _, c := range report.Cases {
			s.add(junitCase{Class: report.Suite, Name: c.ID, Time: seconds(c.LatencyMS)}, c.Failed)
		}
		all.Suites = append(all.Suites, s)
	}
	if len(limits) > 0 {
		s := junitSuite{Name: "limits", Time: seconds(0)}
		for _, o := range limits {
			why := ""
			if o.Missed() {
				why = o.String()
			}
			s.add(junitCase{Class: "limits", Name: o.name(), Time: seconds(0)}, why)
		}
		all.Suites = append(all.Suites, s)
	}
	if _, err := io.WriteString(out, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(out)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(out, "\n")
	return err
}

func (s *junitSuite) add(c junitCase, failed string) {
	s.Tests++
	if failed != "" {
		s.Failures++
		c.Failure = &junitFailure{failed}
	}
	s.Cases = append(s.Cases, c)
}

func (o Outcome) name() string {
	if o.Macro {
		return "macro average: " + o.Metric
	}
	return o.Suite + ": " + o.Metric
}

func seconds(ms float64) string { return fmt.Sprintf("%.3f", ms/1000) }
