package evals_test

import (
	"encoding/xml"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"remit/evals"
)

var cmpEmpty = cmpopts.EquateEmpty()

func TestLimits(t *testing.T) {
	run := evals.Run{
		Reports: []evals.Report{
			{Suite: "jobs", Kind: evals.Compose, Variant: "plain", Metrics: []evals.Metric{{Name: "need_recall", Value: 0.6}, {Name: "forbidden", Value: 0.08}},
				Cases: []evals.CaseResult{{ID: "a", Failed: "grants <x> & more"}, {ID: "b"}}},
			{Suite: "jobs", Kind: evals.Compose, Variant: "poisoned", Metrics: []evals.Metric{{Name: "need_recall", Value: 0.1}}},
		},
		Macro: []evals.Macro{{Kind: evals.Retrieve, Variant: "hybrid", Metrics: []evals.Metric{{Name: "ndcg_at_10", Value: 0.7}}},
			{Kind: evals.Retrieve, Variant: "words", Metrics: []evals.Metric{{Name: "ndcg_at_10", Value: 0.1}}}},
	}
	limits, err := evals.Limits(map[string]float64{"need_recall": 0.7, "macro_ndcg_at_10": 0.7}, map[string]float64{"forbidden": 0.1})
	if err != nil {
		t.Fatal(err)
	}
	outcomes, err := run.Hold(limits)
	if err != nil {
		t.Fatal(err)
	}
	var missed []string
	for _, o := range outcomes {
		if o.Missed() {
			missed = append(missed, o.String())
		}
	}
	if diff := cmp.Diff([]string{"jobs: need_recall: got 0.6, want at least 0.7"}, missed); diff != "" || len(outcomes) != 3 {
		t.Errorf("%d outcomes, missed (-want +got):\n%s", len(outcomes), diff)
	}

	var out strings.Builder
	if err := run.WriteJUnit(&out, outcomes); err != nil {
		t.Fatal(err)
	}
	var junit struct {
		Suites []struct {
			Name     string `xml:"name,attr"`
			Failures int    `xml:"failures,attr"`
			Cases    []struct {
				Name    string `xml:"name,attr"`
				Failure *struct {
					Message string `xml:"message,attr"`
				} `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(out.String()), &junit); err != nil {
		t.Fatal(err)
	}
	if len(junit.Suites) != 2 || junit.Suites[0].Failures != 1 || junit.Suites[1].Failures != 1 ||
		junit.Suites[0].Cases[0].Failure.Message != "grants <x> & more" || junit.Suites[0].Cases[1].Failure != nil {
		t.Errorf("got %s", out.String())
	}
}

func TestLimitsRefuse(t *testing.T) {
	for _, name := range []string{"recall", "macro_need_recall", "need recall"} {
		if _, err := evals.Limits(map[string]float64{name: 1}, nil); err == nil || !strings.Contains(err.Error(), "there is no metric") {
			t.Errorf("%s: got %v, want an error that names the metrics", name, err)
		}
	}
	limits, err := evals.Limits(nil, map[string]float64{"mrr": 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (evals.Run{}).Hold(limits); err == nil || !strings.Contains(err.Error(), "no suite that was run") {
		t.Errorf("got %v, want an error", err)
	}
}
