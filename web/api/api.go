// Package api owns what the management API says: the JSON of its requests and answers, which the site, the command line and
// the OpenAPI document share, and a client of it.
package api

import (
	"time"

	"remit/audit"
	"remit/catalog"
	"remit/evals"
	"remit/identity"
	"remit/persona"
	"remit/policy"
)

// Base is the path below which the API answers.
const Base = "/api/v1"

// Problem is an answer that is an error (RFC 9457).
type Problem struct {
	Type   string  `json:"type"`  // stable, of the form "urn:remit:problem:CODE"
	Title  string  `json:"title"` // the same for every problem of the type
	Status int     `json:"status"`
	Detail string  `json:"detail"` // what is wrong with this request
	Code   string  `json:"code"`   // the end of the type, for programs
	Next   string  `json:"next"`   // what to do now
	Errors []Field `json:"errors,omitempty"`
}

// Field is a part of the request that is not valid.
type Field struct {
	Pointer string `json:"pointer"` // JSON Pointer into the body, or the name of a parameter
	Detail  string `json:"detail"`
}

// Error is the problem in words, with what to do.
func (p *Problem) Error() string {
	text := p.Detail
	if len(p.Errors) > 0 {
		text = p.Errors[0].Pointer + ": " + text
	}
	if p.Next != "" {
		text += "; " + p.Next
	}
	return text
}

// Me is who is asking.
type Me struct {
	Name    string          `json:"name"`
	Roles   []identity.Role `json:"roles"`
	Teams   []string        `json:"teams"`
	Machine bool            `json:"machine"`         // a management token
	Owner   string          `json:"owner,omitempty"` // who created it
}

// SignIn is a person's name and password.
type SignIn struct {
	Name     string `json:"name"`
	Password string `json:"password"`
}

// Session is what a person sends as the bearer token from then on.
type Session struct {
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"` // at the latest
}

// Summary is a persona in a list.
type Summary struct {
	ID       persona.ID    `json:"id"`
	Title    string        `json:"title"`
	Team     string        `json:"team,omitempty"` // that owns it; left out for none
	Live     int           `json:"live,omitempty"` // revision
	Tools    int           `json:"tools"`          // of the live revision, or of the latest
	Latest   int           `json:"latest"`
	State    persona.State `json:"state"` // of the latest
	Author   string        `json:"author"`
	Reminder []string      `json:"reminders,omitempty"` // of dates that come near or have come, in words
	Over     string        `json:"over,omitempty"`      // why everything is refused
	Stopped  bool          `json:"suspended,omitempty"`
}

// Dates are until when a persona may be used.
type Dates struct {
	Expires   time.Time      `json:"expires,omitzero"`   // left out: never
	Recertify time.Time      `json:"recertify,omitzero"` // left out: never
	Missed    persona.Missed `json:"missed,omitempty" jsonschema:"enum=warn,enum=refuse"`
}

// Persona is a persona with the revision that was asked for.
type Persona struct {
	ID        persona.ID `json:"id"`
	Title     string     `json:"title"`
	Team      string     `json:"team,omitempty"` // that owns it; left out for none
	Created   time.Time  `json:"created"`
	Live      int        `json:"live,omitempty"` // revision
	Basis     int        `json:"basis"`          // revision that a further one is written from
	Dates     Dates      `json:"dates"`
	Over      string     `json:"over,omitempty"` // why everything is refused
	Shadow    int        `json:"shadow,omitempty"`
	Revisions []Step     `json:"revisions"` // oldest first
	Revision  Revision   `json:"revision"`
}

// Step is a revision in the history of its persona.
type Step struct {
	Number  int           `json:"number"`
	State   persona.State `json:"state"`
	Author  string        `json:"author"`
	Created time.Time     `json:"created"`
}

// Revision is a revision with its tools.
type Revision struct {
	Step
	Base        string    `json:"base"` // names this state of it; a change that gives it is refused when there is another
	Job         string    `json:"job"`
	Authors     []string  `json:"authors"`
	SubmittedAt time.Time `json:"submitted_at,omitzero"`
	ReviewedBy  string    `json:"reviewed_by,omitempty"`
	ReviewedAt  time.Time `json:"reviewed_at,omitzero"`
	Comment     string    `json:"comment,omitempty"`
	Solo        bool      `json:"single_operator,omitempty"`
	FirstReview string    `json:"first_review,omitempty"`
	Narrowed    string    `json:"narrowed_by,omitempty"`
	Tools       []Grant   `json:"tools"`
}

// Grant is a tool of a revision.
type Grant struct {
	Tool       catalog.ID     `json:"tool"`
	Name       string         `json:"name"` // that the agent calls
	Digest     catalog.Digest `json:"digest"`
	Offered    catalog.Digest `json:"offered,omitempty"` // by its server now; left out when it is not offered
	Effect     catalog.Effect `json:"effect"`
	Reason     string         `json:"reason,omitempty"`
	Words      []string       `json:"words,omitempty"` // of the job, that ask for it
	Confidence float64        `json:"confidence"`
	AddedBy    string         `json:"added_by,omitempty"` // left out for a tool that was drafted
	Policy     policy.Policy  `json:"policy,omitzero"`
	Rules      []string       `json:"rules,omitempty"` // the policy in words
}

// Want is a tool as an author asks for it.
type Want struct {
	Tool   catalog.ID     `json:"tool"`
	Name   string         `json:"name,omitempty"`   // left out: as Remit chooses
	Digest catalog.Digest `json:"digest,omitempty"` // of the definition that was read; another one now is refused
	Reason string         `json:"reason,omitempty"`
	Policy policy.Policy  `json:"policy,omitzero"`
}

// Create asks for a persona with a draft. Without tools they are drafted from the job.
type Create struct {
	ID    persona.ID `json:"id,omitempty"` // left out: made of the title
	Title string     `json:"title"`
	Team  string     `json:"team,omitempty"` // that owns it, one of yours; left out: everybody with the role
	Job   string     `json:"job"`
	Tools []Want     `json:"tools,omitempty"`
}

// SetTeam says which team owns a persona.
type SetTeam struct {
	Team string `json:"team"` // empty: none
}

// Revise asks for a draft. Without tools they are drafted from the job.
type Revise struct {
	Base  string `json:"base,omitempty"` // of the latest revision that was read
	Job   string `json:"job"`
	Tools []Want `json:"tools,omitempty"`
}

// Plan is a persona as it should be, to be compared with what there is. Nothing is changed.
type Plan struct {
	Title string `json:"title"`
	Job   string `json:"job"`
	Tools []Want `json:"tools"`
}

// Number names a revision.
type Number struct {
	Revision int `json:"revision"`
}

// Approve says what a reviewer saw, and optionally sets until when the persona may be used.
type Approve struct {
	Revision int             `json:"revision"`
	Seen     persona.Digests `json:"seen"`
	Was      Dates           `json:"was,omitzero"` // as the reviewer saw them, with dates
	Dates    *Dates          `json:"dates,omitempty"`
}

// SendBack refuses a revision.
type SendBack struct {
	Revision int    `json:"revision"`
	Comment  string `json:"comment"`
}

// Narrow takes tools away.
type Narrow struct {
	Remove []catalog.ID `json:"remove"`
}

// Term sets dates.
type Term struct {
	Revision int   `json:"revision"` // that is live
	Was      Dates `json:"was,omitzero"`
	Dates    Dates `json:"dates"`
}

// Recertify says that a reviewer looked at what is live again.
type Recertify struct {
	Revision int             `json:"revision"`
	Was      Dates           `json:"was,omitzero"`
	Offered  persona.Digests `json:"offered"` // digest of each granted tool as it is offered now; empty for one that is gone
	Dates    Dates           `json:"dates"`
}

// Difference is what going from one revision to another changes, in a reviewer's words.
type Difference struct {
	From    int      `json:"from,omitempty"` // 0: there is none yet
	To      int      `json:"to,omitempty"`   // 0: of a plan
	NoneYet bool     `json:"new,omitempty"`  // there is no such persona
	SameJob bool     `json:"same_job"`
	Changes []Change `json:"changes"` // of tools
}

// None says that nothing at all differs.
func (d Difference) None() bool { return !d.NoneYet && d.SameJob && len(d.Changes) == 0 }

// Change is what becomes of a tool.
type Change struct {
	Kind   string         `json:"kind" jsonschema:"enum=added,enum=removed,enum=changed"`
	Tool   catalog.ID     `json:"tool"`
	Effect catalog.Effect `json:"effect"`
	Words  []string       `json:"words"`
}

// Tool is a tool of the catalog. Texts are its server's: hostile.
type Tool struct {
	ID          catalog.ID     `json:"id"`
	Title       string         `json:"title,omitempty"`
	Description string         `json:"description,omitempty"`
	Effect      catalog.Effect `json:"effect"`
	Tokens      int            `json:"tokens"`
	Digest      catalog.Digest `json:"digest"`
}

// Hit is a tool that a search found.
type Hit struct {
	Tool
	Score float64 `json:"score"`
	Why   []Why   `json:"why"`
}

// Why says where a tool matched.
type Why struct {
	Field string   `json:"field"`           // or "meaning"
	Terms []string `json:"terms,omitempty"` // words of the query
}

// Hits is what a search found, the best first.
type Hits struct {
	Tools    []Hit  `json:"tools"`
	Degraded string `json:"degraded,omitempty"` // why only a part of the search was used
}

// ToolDetail is a tool with its whole definition.
type ToolDetail struct {
	Tool
	Definition any       `json:"definition"`
	FirstSeen  time.Time `json:"first_seen"`
	LastSeen   time.Time `json:"last_seen"`
}

// Frozen is a pin that waits for a person.
type Frozen struct {
	Persona  persona.ID     `json:"persona"`
	Revision int            `json:"revision"`
	Tool     catalog.ID     `json:"tool"`
	Digest   catalog.Digest `json:"digest"`            // that was approved
	Offered  catalog.Digest `json:"offered,omitempty"` // now; left out when it is not offered
	Since    time.Time      `json:"since"`
}

// Thaw confirms a frozen tool.
type Thaw struct {
	Tool   catalog.ID     `json:"tool"`
	Digest catalog.Digest `json:"digest"`
}

// Record is one page of the record: sealed entries as they are, newest first.
type Record struct {
	Entries []audit.Entry `json:"entries"`
	Older   string        `json:"older,omitempty"` // address of the next page; left out at the end
}

// Evals is evaluation runs that were kept, newest first.
type Evals struct {
	Runs []Eval `json:"runs"`
}

// Eval is a run.
type Eval struct {
	ID      string         `json:"id"`
	At      time.Time      `json:"at"`
	Results []SuiteMetrics `json:"results"`
}

// SuiteMetrics is what a run measured on one suite.
type SuiteMetrics struct {
	Suite   string         `json:"suite"`
	Kind    evals.Kind     `json:"kind"`
	Variant string         `json:"variant"`
	Metrics []evals.Metric `json:"metrics"`
}

// List holds the items of a list.
type List[T any] struct {
	Items []T `json:"items"`
}

// Done says that a change was made.
type Done struct {
	Done bool `json:"done"`
}
