package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"remit/evals"
)

func evaluations(t *testing.T, e engine) {
	s := e.open(t)
	at := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	run := func(value float64) evals.Run {
		return evals.Run{Format: evals.Format, Reports: []evals.Report{{Suite: "dev", Kind: evals.Compose, Variant: "plain", Started: at,
			Setup:   evals.Setup{Suite: "sha256:s", Catalog: "sha256:c", Model: "m", Prompts: "sha256:p", Configuration: "sha256:f", Settings: map[string]string{"max-tools": "100"}},
			Metrics: []evals.Metric{{Name: "need_recall", Value: value, Cases: 1, Interval: &evals.Interval{Low: 0.1, High: 0.9}}},
			Cases:   []evals.CaseResult{{ID: "a", Text: "<job> & \u00e9", Scores: map[string]float64{"need_recall": value}, Draft: &evals.DraftResult{}}}}}}
	}
	var ids []string
	for _, v := range []float64{0.25, 1.0 / 3} {
		id, err := s.SaveRun(t.Context(), run(v))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	s.Close()
	s = e.open(t)
	defer s.Close()
	listed, err := s.Runs(t.Context(), 10)
	if err != nil || len(listed) != 2 || listed[0].ID != ids[1] || listed[0].At.IsZero() {
		t.Fatalf("got %+v, %v, want two runs, newest first", listed, err)
	}
	want := run(1.0 / 3)
	if diff := cmp.Diff([]evals.Report{want.Reports[0].Summary()}, listed[0].Reports); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	got, err := s.Run(t.Context(), ids[1])
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("got %v, (-want +got):\n%s", err, diff)
	}
	if listed, err := s.Runs(t.Context(), 1); err != nil || len(listed) != 1 || listed[0].ID != ids[1] {
		t.Errorf("got %+v, %v, want the newest run only", listed, err)
	}
	if _, err := s.Run(t.Context(), "none"); !errors.Is(err, evals.ErrNoRun) {
		t.Errorf("got %v, want ErrNoRun", err)
	}
}
