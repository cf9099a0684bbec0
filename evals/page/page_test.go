package page

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"remit/evals"
)

const hostile = "\"'></a></style></title><script>alert(1)</script><img src=https://evil.example/x>{{.}}\u202e\u200b\U000E0041\x00"

func metrics(names ...string) (out []evals.Metric) {
	for i, name := range names {
		out = append(out, evals.Metric{Name: name, Value: 0.5 + float64(i)/100, Cases: 3, Interval: &evals.Interval{Low: 0.25, High: 0.75}})
	}
	return out
}

// sample is a run of every kind in which every text is text.
func sample(text string) evals.Run {
	setup := evals.Setup{Suite: text, Catalog: text, CatalogTools: 3422, CatalogTokens: 1078870, Model: text, Composer: text, Prompts: text,
		Configuration: text, Chat: text, Settings: map[string]string{text: text}, Seed: 7, Remit: text, Parallel: 2}
	draft := evals.CaseResult{ID: text, Text: text, Tags: []string{text}, Scores: map[string]float64{"need_recall": 0.5, "over_privilege": 0.25, "forbidden": 1, "tools": 4},
		LatencyMS: 12, Failed: text, Degraded: text, Draft: &evals.DraftResult{Tokens: 10, GapsReal: []string{text}, GapsFound: []string{text},
			Tools: []evals.GrantResult{{Tool: text, Verdict: evals.Forbidden, Words: []string{text}, Reason: text}, {Tool: text, Verdict: evals.Extra}},
			Needs: []evals.NeedResult{{Need: text, AnyOf: []string{text}, MetBy: []string{text}}, {Need: text, AnyOf: []string{text}}}}}
	compose := metrics("need_recall", "over_privilege", "forbidden", "tools", "tokens", "latency_p50_ms", "latency_p99_ms")
	ranked := evals.CaseResult{ID: text, Text: text, Scores: map[string]float64{"ndcg_at_10": 0}, Ranking: &evals.RankingResult{Wanted: [][]string{{text, text}}, Found: []string{text}}}
	return evals.Run{Format: evals.Format, Reports: []evals.Report{
		{Suite: text, Kind: evals.Compose, Variant: "search10", Setup: setup, Metrics: compose, Cases: []evals.CaseResult{draft}},
		{Suite: text, Kind: evals.Compose, Variant: "plain", Started: time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC), Setup: setup, Metrics: compose,
			Tags: []evals.TagResult{{Tag: text, Cases: 2, Metrics: compose}}, Cases: []evals.CaseResult{draft, draft},
			Confused: []evals.Confusion{{Took: text, For: text, Why: text, Count: 2, Cases: []string{text}}}, Notes: []string{text}},
		{Suite: text, Kind: evals.Compose, Variant: "poisoned", Setup: setup, Metrics: compose, Changes: &evals.Changes{Drafts: 1, Of: 2,
			Entered: []evals.Entered{{Case: text, Tool: text, Attack: text}}, Decisions: []evals.Decision{{Case: text, What: text, Of: text}}}},
		{Suite: text, Kind: evals.Compose, Variant: "model:" + text, Setup: setup, Metrics: append(compose, metrics("model_failed", "requests", "cost", "model_p50_ms")...), Verdict: text,
			Changes: &evals.Changes{Drafts: 1, Of: 1}, Cases: []evals.CaseResult{draft}},
		{Suite: text, Kind: evals.Retrieve, Variant: "hybrid", Setup: setup, Metrics: metrics("ndcg_at_10"), Cases: []evals.CaseResult{ranked}},
		{Suite: text, Kind: evals.Enforce, Variant: "plain", Setup: setup, Metrics: metrics("exact"), Cases: []evals.CaseResult{
			{ID: text, Text: text, Failed: text, Checks: []evals.Check{{Name: text, Want: text, Got: "x"}}}, {ID: text, Text: text, Checks: []evals.Check{{Name: text, Want: "x", Got: "x"}}}}},
	}, Macro: []evals.Macro{{Kind: evals.Retrieve, Variant: text, Suites: []string{text}, Metrics: metrics("ndcg_at_10")}}}
}

func write(t *testing.T, run evals.Run) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, run); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestSelfContained: nothing is run and nothing is fetched, whatever the texts of the run say.
func TestSelfContained(t *testing.T) {
	for _, text := range []string{"plain", hostile} {
		page := write(t, sample(text))
		tags := regexp.MustCompile(`<[a-zA-Z/!][^>]*>`).FindAllString(page, -1)
		for _, tag := range tags {
			if regexp.MustCompile(`(?i)^<(script|img|iframe|object|embed|link|base|form|image|use|foreignObject)\b`).MatchString(tag) {
				t.Errorf("got the tag %s", tag)
			}
			if regexp.MustCompile(`(?i)\s(on\w+|src|srcset|xlink:href|style)\s*=`).MatchString(tag) {
				t.Errorf("got an attribute of %s", tag)
			}
			if href := regexp.MustCompile(`href="([^"]*)"`).FindStringSubmatch(tag); href != nil && !strings.HasPrefix(href[1], "#case-") {
				t.Errorf("got a reference to %s", href[1])
			}
		}
		if got := strings.Count(page, "</style>"); got != 1 {
			t.Errorf("got %d ends of the style sheet, want 1", got)
		}
		if strings.Contains(Style(), "url(") || strings.Contains(Style(), "@import") {
			t.Error("the style sheet refers to something outside")
		}
		if strings.ContainsAny(page, "\u202e\u200b\x00") {
			t.Error("got characters that cannot be seen")
		}
	}
}

// TestSays: the page says what somebody reads who reads nothing else.
func TestSays(t *testing.T) {
	page := write(t, sample("alpha"))
	for _, want := range []string{
		"2 jobs were drafted over a catalog of 3,422 tools.",
		"A draft holds 50 % of what its job needs (95 % interval: 25 % to 75 %).",
		"common practice 50 %", "0.500  [0.250, 0.750]", "1 of 2 drafts hold other tools",
		"1 of 2 requests did not end exactly as they must.", "remit eval run alpha.jsonl --catalog catalog.jsonl --seed 7", "nDCG@10 by set",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page, "ZgotmplZ") || strings.Contains(page, "NaN") || strings.Contains(page, "Inf") {
		t.Error("the page holds a value that is none")
	}
}

// TestBounded: a run of hostile size makes a page that a browser can show.
func TestBounded(t *testing.T) {
	run := sample(strings.Repeat("x\u202e", 20_000))
	r := &run.Reports[1]
	for range 250 {
		r.Cases = append(r.Cases, r.Cases[0])
		r.Confused = append(r.Confused, r.Confused[0])
	}
	if got, want := len(write(t, run)), 12<<20; got > want {
		t.Errorf("got %d bytes, want at most %d", got, want)
	}
}

func TestEmpty(t *testing.T) {
	write(t, evals.Run{})
	write(t, evals.Run{Reports: []evals.Report{{Kind: evals.Compose, Variant: "plain", Cases: []evals.CaseResult{{}}}, {Kind: evals.Retrieve}, {Kind: evals.Enforce}}})
}

func TestBars(t *testing.T) {
	b := newBars([]float64{0, 1, 1, 4}, true, "tools")
	var got []string
	for _, bar := range b.Bars {
		got = append(got, bar.Title)
	}
	want := "[0 tools: 1 cases 1 tools: 2 cases 2 tools: 0 cases 3 tools: 0 cases 4 tools: 1 cases]"
	if fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
	for in, want := range map[float64]float64{0: 0, 0.9: 1, 1: 1, 3: 5, 21: 25, 0.0004: 0.0005} {
		if got := nice(in); got < want*0.999 || got > want*1.001 {
			t.Errorf("nice(%v): got %v, want %v", in, got, want)
		}
	}
}
