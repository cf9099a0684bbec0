package evals_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"remit/evals"
)

// drafted is a compose case of one need that is met by tool "good", with what is granted.
func drafted(id string, tools ...string) evals.CaseResult {
	d := &evals.DraftResult{Needs: []evals.NeedResult{{Need: "n", AnyOf: []string{"good"}}}}
	scores := map[string]float64{"need_recall": 0, "over_privilege": 0, "forbidden": 0}
	for _, tool := range tools {
		verdict := evals.Extra
		switch tool {
		case "good":
			verdict, d.Needs[0].MetBy, scores["need_recall"] = evals.Needed, []string{"good"}, 1
		case "bad":
			verdict, scores["forbidden"] = evals.Forbidden, 1
		}
		d.Tools = append(d.Tools, evals.GrantResult{Tool: tool, Verdict: verdict})
	}
	return evals.CaseResult{ID: id, Scores: scores, Draft: d}
}

func report(cases ...evals.CaseResult) evals.Report {
	return evals.Report{Suite: "s", Kind: evals.Compose, Variant: "plain", Cases: cases}
}

func TestCompare(t *testing.T) {
	a := report(drafted("1", "good"), drafted("2", "other"), drafted("3", "good"), drafted("only a"))
	b := report(drafted("1", "good"), drafted("2", "good", "bad"), drafted("3"), drafted("only b"))
	b.Setup.Composer = "words-4"
	got := evals.Compare(a, b, 1)
	want := []evals.CaseChange{
		{ID: "2", Gained: []string{"good", "bad"}, Lost: []string{"other"}, NeedsMet: []string{"n"}, ForbiddenGained: []string{"bad"}, Difference: 1},
		{ID: "3", Lost: []string{"good"}, NeedsMissed: []string{"n"}, Difference: -1},
	}
	if diff := cmp.Diff(want, got.Cases, cmpEmpty); diff != "" {
		t.Errorf("cases (-want +got):\n%s", diff)
	}
	if got.Same != 1 || !cmp.Equal(got.OnlyA, []string{"only a"}) || !cmp.Equal(got.OnlyB, []string{"only b"}) {
		t.Errorf("got %d alike, %q only in A and %q only in B", got.Same, got.OnlyA, got.OnlyB)
	}
	if !cmp.Equal(got.Setup, []string{"composer:  → words-4"}) {
		t.Errorf("got setup %q, want the composer's versions", got.Setup)
	}
	if want := "No difference beyond chance in need recall, over-privilege, forbidden over 3 cases."; got.Verdict != want {
		t.Errorf("verdict: got %q, want %q", got.Verdict, want)
	}
}

// TestVerdict: what moved in all of many cases is beyond chance.
func TestVerdict(t *testing.T) {
	var none, good, bad []evals.CaseResult
	for i := range 20 {
		id := fmt.Sprint(i)
		none, good, bad = append(none, drafted(id)), append(good, drafted(id, "good")), append(bad, drafted(id, "good", "bad"))
	}
	for _, tc := range []struct {
		a, b []evals.CaseResult
		want string
	}{
		{none, good, "B is better: need recall +1.000"},
		{good, none, "B is worse: need recall -1.000"},
		{none, bad, "Mixed: B is better in need recall +1.000"},
		{good, good, "No difference beyond chance"},
		{good, nil, "no case in common"},
	} {
		if got := evals.Compare(report(tc.a...), report(tc.b...), 1).Verdict; !strings.Contains(got, tc.want) {
			t.Errorf("got %q, want %q in it", got, tc.want)
		}
	}
}

// TestCompareRuns pairs by suite, and the only reports of a kind whatever they are called.
func TestCompareRuns(t *testing.T) {
	x, y := report(drafted("1")), report(drafted("1"))
	y.Suite = "renamed"
	got := evals.CompareRuns(evals.Run{Reports: []evals.Report{x}}, evals.Run{Reports: []evals.Report{y}}, 1)
	if len(got) != 1 || got[0].Suite != "renamed" {
		t.Errorf("got %+v, want one comparison", got)
	}
	if got := evals.CompareRuns(evals.Run{Reports: []evals.Report{x, x}}, evals.Run{Reports: []evals.Report{y}}, 1); len(got) != 0 {
		t.Errorf("got %+v, want none: it is not clear which", got)
	}
}
