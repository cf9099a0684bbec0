// Package composer owns the way from a job in plain words to a draft: the smallest set of tools that can do the job,
// with the words that ask for each, what was left out and why, and what no tool can do.
package composer

import (
	"time"

	"remit/catalog"
	"remit/persona"
	"remit/policy"
)

// Draft is the composer's answer to a job. It goes live only through a person's review.
type Draft struct {
	Job           string
	Needs         []Need
	Choices       []Choice // the tools, in the order of the words that ask for them
	NearMisses    []Miss   // tempting tools that were left out
	Gaps          []Gap
	Open          []Open // what the job says of how tools may be used and no rule says
	Warnings      []Warning
	Tokens        int // of the chosen definitions
	CatalogTokens int // of all definitions: what an agent with everything would read
	CatalogTools  int
	Degraded      string    // why the search used words only; empty when it did not
	Model         *ModelUse `json:",omitempty"` // nil when no language model is configured
	Composer      string    // version of this procedure
	Took          time.Duration
}

// Need is one capability that the job asks for.
type Need struct {
	Words  persona.Span   // of the job
	Text   string         // what was searched for
	Effect catalog.Effect // the most that the words ask for
}

// Choice is a tool that the draft grants.
type Choice struct {
	Tool       catalog.ID
	Effect     catalog.Effect
	Words      []persona.Span // of the job, that ask for it
	Reason     string
	Score      float64
	Confidence float64 // 0 to 1: how clearly it beat the next candidates
	Tokens     int
	Policy     policy.Policy // what the job says of how it may be used
	Rules      []Rule        // of Policy, with the words that they come from
}

// Miss is a candidate that was left out.
type Miss struct {
	Tool   catalog.ID
	Effect catalog.Effect
	Words  []persona.Span
	Reason string // e.g. "the job forbids deleting", "same purpose as github/list_issues, which fits better"
	Score  float64
}

// Gap is something the job asks for that no tool of the catalog does.
type Gap struct {
	Words  persona.Span
	Reason string
}

// Warning is something a reviewer should weigh.
type Warning struct {
	Kind  string // "combination", "asks", "size", "job"
	Text  string
	Tools []catalog.ID
}
