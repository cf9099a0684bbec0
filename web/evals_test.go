package web_test

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"remit/evals"
	"remit/web"
)

func evaluation(recall float64, granted ...string) evals.Run {
	draft := &evals.DraftResult{Needs: []evals.NeedResult{{Need: "find the customer", AnyOf: []string{"crm/get_customer"}}}}
	for _, tool := range granted {
		draft.Tools = append(draft.Tools, evals.GrantResult{Tool: tool, Verdict: evals.Needed})
		draft.Needs[0].MetBy = []string{tool}
	}
	return evals.Run{Format: evals.Format, Reports: []evals.Report{{Suite: "office", Kind: evals.Compose, Variant: "plain", Started: time.Now(),
		Setup:   evals.Setup{Suite: "sha256:" + strings.Repeat("5", 64), Catalog: "sha256:" + strings.Repeat("c", 64), CatalogTools: 6, Remit: "v1", Seed: 1, Parallel: 2},
		Metrics: []evals.Metric{{Name: "need_recall", Value: recall, Cases: 1, Interval: &evals.Interval{Low: recall / 2, High: recall}}},
		Cases: []evals.CaseResult{{ID: "one", Text: "Find the <b>customer</b>.", Scores: map[string]float64{"need_recall": recall}, Failed: "<i>why</i>", Draft: draft},
			{ID: "two", Text: "Nothing.", Scores: map[string]float64{"need_recall": recall}, Draft: &evals.DraftResult{}}}}}}
}

// TestEvaluations: somebody reads the list, a run, its report, and what changed from one to the next.
func TestEvaluations(t *testing.T) {
	w := newWorld(t, shop())
	b := w.as(t, "ann")
	b.get("/evals")
	b.wants(200, "No runs yet")
	var ids []string
	for _, run := range []evals.Run{evaluation(0.5), evaluation(1, "crm/get_customer")} {
		id, err := w.store.SaveRun(t.Context(), run)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	b.get("/evals")
	b.wants(200, "office", "1.000 (0.500 to 1.000)", "&#43;0.500", "<polyline", `href="/evals/`+ids[0]+`"`, "cccccccccccc")
	if strings.Index(b.body, ids[1]) > strings.Index(b.body, ids[0]) {
		t.Error("the newest run is not first")
	}
	b.get("/evals/" + ids[1])
	b.wants(200, "need recall", "share of the needs", "&lt;i&gt;why&lt;/i&gt;", "/evals/compare?a="+ids[0]+"&amp;b="+ids[1])
	b.get("/evals/compare?a=" + ids[0] + "&b=" + ids[1])
	b.wants(200, "need met", "find the customer", "crm/get_customer", "0.500", `data-testid="verdict"`)
	for _, missing := range []string{"/evals/none", "/evals/none/report", "/evals/compare?a=none&b=" + ids[0], "/evals/compare"} {
		b.get(missing)
		b.wants(404, "Not found")
	}
}

// TestEvaluationReport: the policy that it is sent with allows its own style and nothing else.
func TestEvaluationReport(t *testing.T) {
	w := newWorld(t, shop())
	id, err := w.store.SaveRun(t.Context(), evaluation(0.5))
	if err != nil {
		t.Fatal(err)
	}
	b := w.as(t, "ann")
	b.get("/evals/" + id + "/report")
	b.wants(200, "2 jobs were drafted", "&lt;b&gt;customer")
	_, rest, _ := strings.Cut(b.body, "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(style))
	policy := b.header.Get("Content-Security-Policy")
	if want := "style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(policy, want) || strings.Contains(policy, "script") {
		t.Errorf("got policy %q, want one with %s and no script", policy, want)
	}
}

// TestEvaluationsNeedARole: whoever has no role sees none of it.
func TestEvaluationsNeedARole(t *testing.T) {
	w := newWorld(t, shop())
	b := w.as(t, "vic")
	for _, path := range []string{"/evals", "/evals/x", "/evals/x/report", "/evals/compare"} {
		b.get(path)
		b.wants(403, "needs a role")
	}
	b.get("/")
	b.lacks("nav-evals")
	if _, err := web.New(web.Config{}); err == nil || !strings.Contains(err.Error(), "evaluations") {
		t.Errorf("a site without evaluations: got %v, want an error", err)
	}
}
