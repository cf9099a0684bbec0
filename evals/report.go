// Package evals owns how good the parts of Remit are: suites of cases, what is measured on them, runs, and what differs between runs.
package evals

import (
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// Kind is what a suite measures.
type Kind string

// The kinds of suites.
const (
	Retrieve Kind = "retrieve" // query → ranked tools
	Compose  Kind = "compose"  // job → draft
	Enforce  Kind = "enforce"  // request → what the gateway does with it
)

// Format is the version of the JSON form of a [Run]. It changes when a member is renamed, goes or means something else; new
// members may come without a change.
const Format = 1

// Run is what one remit eval run found: a report for each suite and way of running it, in the order of the command line.
type Run struct {
	Format  int      `json:"format"`
	Reports []Report `json:"reports"`
	// Macro averages over suites, each counting the same however many cases it has; only for retrieve suites, when there is
	// more than one.
	Macro []Macro `json:"macro,omitempty"`
}

// Macro is the average of several suites of one kind that were run in one way.
type Macro struct {
	Kind    Kind     `json:"kind"`
	Variant string   `json:"variant"`
	Suites  []string `json:"suites"`
	Metrics []Metric `json:"metrics"`
}

// Report is the outcome of one suite in one variant. Everything in it except times is the same for the same setup.
type Report struct {
	Suite string `json:"suite"` // its name
	Kind  Kind   `json:"kind"`
	// Variant is the way of running: for retrieve "hybrid", "words" or "meaning"; for compose "plain", "search10" (the first
	// ten results of one search: common practice), "poisoned", "poisoned-unseen", "paraphrased" or "haystack", all without a language
	// model, and "model:NAME" or "model:NAME poisoned" and so on with one; for enforce "plain".
	Variant  string       `json:"variant"`
	Started  time.Time    `json:"started"`
	TookMS   float64      `json:"took_ms"` // wall time of the whole
	Setup    Setup        `json:"setup"`
	Metrics  []Metric     `json:"metrics"`
	Tags     []TagResult  `json:"tags,omitempty"` // by tag, in alphabetical order
	Cases    []CaseResult `json:"cases"`
	Confused []Confusion  `json:"confused,omitempty"` // most frequent first
	Changes  *Changes     `json:"changes,omitempty"`  // against the plain variant, of the same model if the variant has one
	Verdict  string       `json:"verdict,omitempty"`  // of a language model against the composer without one: see [Compare]
	Notes    []string     `json:"notes,omitempty"`    // what a reader has to know, in words
}

// Metric returns the metric of that name.
func (r Report) Metric(name string) (Metric, bool) { return find(r.Metrics, name) }

// Main says that this is the variant that minimums and trends are about: plain, hybrid, and words where there is no model.
func (r Report) Main() bool {
	return r.Variant == "plain" || r.Variant == "hybrid" || r.Variant == "words" && r.Setup.Model == ""
}

// Metric is a mean over cases or another number of the whole; [Definitions] says what each name stands for.
type Metric struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Cases int     `json:"cases"` // that it is taken over
	// Interval is the 95 % bootstrap confidence interval; nil for times and where cases repeat one job.
	Interval *Interval `json:"interval,omitempty"`
}

// Interval holds a value with the confidence that is said beside it.
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// TagResult holds the metrics of the cases with a tag.
type TagResult struct {
	Tag     string   `json:"tag"`
	Cases   int      `json:"cases"`
	Metrics []Metric `json:"metrics"`
}

// CaseResult is what became of one case. Which of Ranking, Draft and Checks is set follows from the kind.
type CaseResult struct {
	ID   string   `json:"id"`
	Of   string   `json:"of,omitempty"` // the case that this one repeats in another way
	Text string   `json:"text"`         // the job, the query, or the request in words
	Tags []string `json:"tags,omitempty"`
	// Scores by name of metric, those that are means over cases. A score that the case says nothing about is not there:
	// gap_recall only where the case has a gap, gaps_invented only where it has none.
	Scores    map[string]float64 `json:"scores"`
	LatencyMS float64            `json:"latency_ms"`
	Failed    string             `json:"failed,omitempty"`   // why the case counts as failed, in words; a low score alone is no failure
	Degraded  string             `json:"degraded,omitempty"` // why only a part of the search was used
	Ranking   *RankingResult     `json:"ranking,omitempty"`
	Draft     *DraftResult       `json:"draft,omitempty"`
	Model     *ModelResult       `json:"model,omitempty"` // of a draft that a language model was asked for
	Checks    []Check            `json:"checks,omitempty"`
}

// RankingResult is a retrieve case: slots, each covered by any one of its tools, and the first tools that were found.
type RankingResult struct {
	Wanted [][]string `json:"wanted"`
	Found  []string   `json:"found"` // best first, at most 20
}

// DraftResult is a compose case. Tools have the ids of the catalog's file.
type DraftResult struct {
	Tools     []GrantResult `json:"tools"`
	Needs     []NeedResult  `json:"needs"`
	GapsReal  []string      `json:"gaps_real,omitempty"`  // what no tool does, by the suite
	GapsFound []string      `json:"gaps_found,omitempty"` // by the draft, in words of the job
	Tokens    int           `json:"tokens"`               // of the granted definitions
}

// ModelResult is what a language model had to do with a draft.
type ModelResult struct {
	Failed           string   `json:"failed,omitempty"` // why the draft is the composer's alone
	Added            []string `json:"added,omitempty"`  // tools that only it chose
	Left             []string `json:"left,omitempty"`   // tools that only the composer chose
	Shown            int      `json:"shown"`            // tools that it could choose from
	Notes            []string `json:"notes,omitempty"`  // what of its answers was not taken
	Requests         int      `json:"requests"`
	PromptTokens     int      `json:"prompt_tokens"`
	CompletionTokens int      `json:"completion_tokens"`
	Cost             float64  `json:"cost"`
	WaitedMS         float64  `json:"waited_ms"` // for the endpoint; of a recorded answer as long as it took then
}

// Verdict is what the suite says of a granted tool.
type Verdict string

// The verdicts. A tool that is forbidden is never counted as needed or accepted too, unless the suite lists it so.
const (
	Needed    Verdict = "needed"   // meets a need
	Accepted  Verdict = "accepted" // harmless extra
	Extra     Verdict = "extra"    // over-privilege
	Forbidden Verdict = "forbidden"
)

// GrantResult is a tool that a draft grants.
type GrantResult struct {
	Tool       string   `json:"tool"`
	Verdict    Verdict  `json:"verdict"`
	Words      []string `json:"words,omitempty"` // of the job, that asked for it
	Reason     string   `json:"reason,omitempty"`
	Confidence float64  `json:"confidence"`
	Tokens     int      `json:"tokens"`
}

// NeedResult is a need with the granted tools that meet it; it is missed where there are none.
type NeedResult struct {
	Need  string   `json:"need"`
	AnyOf []string `json:"any_of"`
	MetBy []string `json:"met_by,omitempty"`
}

// Check is one thing that an enforce case expects. The case is exact when every check got what it wants.
type Check struct {
	Name string `json:"name"` // such as "http_status", "error_code", "upstream_reached", "audit_decision"
	Want string `json:"want"`
	Got  string `json:"got"`
}

// Confusion says that a tool was granted where another one was needed.
type Confusion struct {
	Took  string   `json:"took"`
	For   string   `json:"for"` // one of the tools that meet the missed need
	Why   string   `json:"why"` // "words": chosen for words of the need; "server": only on the same server
	Count int      `json:"count"`
	Cases []string `json:"cases"`
}

// Changes is what a variant of a compose suite changed against the plain one.
type Changes struct {
	Drafts    int        `json:"drafts"`    // that hold other tools
	Of        int        `json:"of"`        // drafts
	Entered   []Entered  `json:"entered"`   // poisoned tools in a draft that lacked them
	Decisions []Decision `json:"decisions"` // that the suite marks: needs met or missed, forbidden tools granted or not
}

// Entered is a poisoned tool that came into a draft.
type Entered struct {
	Case   string `json:"case"`
	Tool   string `json:"tool"`
	Attack string `json:"attack"`
}

// Decision is a marked decision that came out otherwise.
type Decision struct {
	Case string `json:"case"`
	What string `json:"what"` // "need met", "need missed", "forbidden granted", "forbidden left out": how it is now
	Of   string `json:"of"`   // the need or the tool
}

// Setup is what a result depends on. Two reports with equal digests and seed have equal results.
type Setup struct {
	Suite         string            `json:"suite"`   // sha256 of the suite's files
	Catalog       string            `json:"catalog"` // digest of all tools with their definitions, as package catalog makes it
	CatalogTools  int               `json:"catalog_tools"`
	CatalogTokens int               `json:"catalog_tokens"` // of all definitions: what an agent with everything would read
	Model         string            `json:"model"`          // of the vectors, with the checksum of its weights; "" is words only
	Chat          string            `json:"chat,omitempty"` // the language model of the variant, with what it is asked with
	Composer      string            `json:"composer"`       // version of the procedure
	Prompts       string            `json:"prompts"`        // sha256 of all prompts
	Configuration string            `json:"configuration"`  // sha256 of Settings
	Settings      map[string]string `json:"settings"`       // the settings that can change a result
	Seed          uint64            `json:"seed"`
	Remit         string            `json:"remit"`    // version of the program
	Parallel      int               `json:"parallel"` // cases run at a time, which latency depends on
}

func find(metrics []Metric, name string) (Metric, bool) {
	for _, m := range metrics {
		if m.Name == name {
			return m, true
		}
	}
	return Metric{}, false
}

// LoadRun reads the JSON of a run.
func LoadRun(path string) (Run, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return Run{}, fmt.Errorf("the report cannot be read: %w", err)
	}
	var run Run
	if err := json.Unmarshal(raw, &run); err != nil {
		return run, fmt.Errorf("%s is no report of remit eval run: %w", path, err)
	}
	if run.Format != Format {
		return run, fmt.Errorf("%s has format %d and %d is read: make it anew with remit eval run --json", path, run.Format, Format)
	}
	return run, nil
}
