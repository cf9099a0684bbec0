package evals

import (
	"context"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"remit/catalog"
	"remit/policy"
)

// EnforceCase is one request to a gateway whose outcome is known exactly. The gateway serves one persona, "desk", whose
// revision grants Grants; a second persona, "other", grants every tool that is offered.
//
// In Path, Headers and Body, $KEY is the caller's key, $OTHER_KEY that of the other persona, $SESSION the session's id,
// and $META the _meta member that a request of the stateless era (2026-07-28) needs.
type EnforceCase struct {
	ID     string        `json:"id"`
	Why    string        `json:"why" jsonschema:"description=What is attempted and why it must end as expected"`
	Tags   []string      `json:"tags,omitempty"`
	Offers []EnforceTool `json:"offers" jsonschema:"description=Tools that the upstream servers offer when the persona is approved"`
	Grants []catalog.ID  `json:"grants" jsonschema:"description=Tools that the persona's revision grants"`
	// Policies of granted tools. They hold for the approved revision, not for what a move narrows it to.
	Policies map[catalog.ID]stdjson.RawMessage `json:"policies,omitempty" jsonschema:"description=What the calls of a granted tool need beside the grant"`

	Caller  string        `json:"caller,omitempty" jsonschema:"enum=key,enum=revoked,enum=expired,enum=wrong,enum=other,enum=none,description=Whose key is sent as bearer token: the persona's (default); one that was revoked; one that expired; one with a mistyped end; the other persona's; none"`
	Session string        `json:"session,omitempty" jsonschema:"description=Open a session of this protocol version first: $SESSION"`
	Owner   string        `json:"session_owner,omitempty" jsonschema:"enum=desk,enum=other,description=Persona whose key opens the session (default desk)"`
	Before  []EnforceMove `json:"before,omitempty" jsonschema:"description=What people and servers do before the request"`

	Method    string   `json:"method,omitempty" jsonschema:"description=Default POST"`
	Path      string   `json:"path,omitempty" jsonschema:"description=Default /k/desk/mcp"`
	Stateless string   `json:"stateless,omitempty" jsonschema:"description=Send the stateless era's headers for this method and name: tools/call find_customer"`
	Headers   []string `json:"headers,omitempty" jsonschema:"description=Further headers as Name: value; one may occur twice"`
	Body      string   `json:"body,omitempty"`
	Pad       int      `json:"pad,omitempty" jsonschema:"minimum=0,maximum=16777216,description=Lengthen the body to so many bytes with spaces"`
	Chunked   bool     `json:"chunked,omitempty" jsonschema:"description=Send the body without its length"`

	Expect EnforceOutcome `json:"expect"`
	Hidden []string       `json:"hidden,omitempty" jsonschema:"description=Texts that neither the upstream nor the record may see; the caller's key is always one"`
}

// EnforceTool is a tool of an upstream server.
type EnforceTool struct {
	Server     string             `json:"server"`
	Definition stdjson.RawMessage `json:"definition"`
}

// EnforceMove is something that happens between the approval and the request.
type EnforceMove struct {
	// Do is revoke (the caller's key), retire (the persona), narrow (to Grants, reviewed and approved), draft (a newer
	// revision with Grants that nobody approved), change (Tool now has Definition), remove (Tool is gone), stop (Tool's
	// server does not answer any more), call (the case's own request was sent before), approve or deny (a person decides on
	// all calls that wait) or close-store (the database fails).
	Do         string             `json:"do" jsonschema:"enum=revoke,enum=retire,enum=narrow,enum=draft,enum=change,enum=remove,enum=stop,enum=call,enum=approve,enum=deny,enum=close-store"`
	Tool       catalog.ID         `json:"tool,omitempty"`
	Definition stdjson.RawMessage `json:"definition,omitempty"`
	Grants     []catalog.ID       `json:"grants,omitempty"`
}

// EnforceOutcome is what came of the request, or what must.
type EnforceOutcome struct {
	Status int `json:"status" jsonschema:"description=HTTP status"`
	// Answer is "result", "tool_error" (a result with isError), "error CODE" (JSON-RPC), "none" (an empty body) or
	// "text" (anything else).
	Answer   string   `json:"answer"`
	Tools    []string `json:"tools,omitempty" jsonschema:"description=Names that a tools/list answered in their order"`
	Upstream int      `json:"upstream" jsonschema:"description=Calls that reached the upstream servers"`
	// Record is what the gateway wrote since the moves, as "KIND DECISION POLICY", oldest first.
	Record []string `json:"record,omitempty"`
	// Leaks are hidden texts that were found, and where. Nothing may be expected to leak.
	Leaks []string `json:"leaks,omitempty" jsonschema:"maxItems=0"`
}

var (
	enforceCallers = []string{"", "key", "revoked", "expired", "wrong", "other", "none"}
	enforceMoves   = []string{"revoke", "retire", "narrow", "draft", "change", "remove", "stop", "call", "approve", "deny", "close-store"}
)

// Validate says what is wrong with the case, without its file and line.
func (c EnforceCase) Validate() error {
	switch {
	case c.ID == "" || strings.TrimSpace(c.Why) == "":
		return errors.New("a case needs an id and a why")
	case len(c.Offers) == 0 || len(c.Grants) == 0:
		return fmt.Errorf("case %s needs at least one tool in offers and one in grants", c.ID)
	case !slices.Contains(enforceCallers, c.Caller):
		return fmt.Errorf("case %s: caller %q is none of key, revoked, expired, wrong, other, none", c.ID, c.Caller)
	case c.Owner != "" && c.Owner != "desk" && c.Owner != "other":
		return fmt.Errorf("case %s: session_owner is desk or other, not %q", c.ID, c.Owner)
	case c.Expect.Status == 0 || c.Expect.Answer == "":
		return fmt.Errorf("case %s: expect needs a status and an answer", c.ID)
	case len(c.Expect.Leaks) > 0:
		return fmt.Errorf("case %s: nothing may be expected to leak", c.ID)
	case c.Pad < 0 || c.Pad > 16<<20:
		return fmt.Errorf("case %s: pad is 0 to %d bytes", c.ID, 16<<20)
	}
	offered := map[catalog.ID]bool{}
	for _, t := range c.Offers {
		tool, err := catalog.Parse(t.Server, t.Definition)
		if err != nil {
			return fmt.Errorf("case %s offers: %w", c.ID, err)
		}
		offered[tool.ID] = true
	}
	for _, id := range c.Grants {
		if !offered[id] {
			return fmt.Errorf("case %s grants %s, which no server offers", c.ID, id)
		}
	}
	for id, text := range c.Policies {
		if !slices.Contains(c.Grants, id) {
			return fmt.Errorf("case %s has a policy for %s, which it does not grant", c.ID, id)
		}
		if _, err := policy.Parse(text); err != nil {
			return fmt.Errorf("case %s: policy of %s: %w", c.ID, id, err)
		}
	}
	for _, m := range c.Before {
		if err := m.validate(offered); err != nil {
			return fmt.Errorf("case %s: %w", c.ID, err)
		}
	}
	for _, h := range c.Headers {
		if name, _, ok := strings.Cut(h, ": "); !ok || name == "" {
			return fmt.Errorf("case %s: header %q is not written as Name: value", c.ID, h)
		}
	}
	return nil
}

func (m EnforceMove) validate(offered map[catalog.ID]bool) error {
	if !slices.Contains(enforceMoves, m.Do) {
		return fmt.Errorf("nobody can do %q: it is one of %s", m.Do, strings.Join(enforceMoves, ", "))
	}
	switch m.Do {
	case "change", "remove", "stop":
		if !offered[m.Tool] {
			return fmt.Errorf("the move %s needs a tool that is offered, not %q", m.Do, m.Tool)
		}
	case "narrow", "draft":
		if len(m.Grants) == 0 {
			return fmt.Errorf("the move %s needs grants", m.Do)
		}
	}
	if m.Do == "change" && len(m.Definition) == 0 {
		return errors.New("the move change needs a definition")
	}
	return nil
}

// Checks compares what came with what the case expects.
func (c EnforceCase) Checks(got EnforceOutcome) []Check {
	want := c.Expect
	check := func(name string, want, got any) Check {
		return Check{Name: name, Want: fmt.Sprint(want), Got: fmt.Sprint(got)}
	}
	list := func(texts []string) string {
		if len(texts) == 0 {
			return "nothing"
		}
		return strings.Join(texts, ", ")
	}
	checks := []Check{check("http_status", want.Status, got.Status), check("answer", want.Answer, got.Answer),
		check("upstream_calls", want.Upstream, got.Upstream), check("record", list(want.Record), list(got.Record)),
		check("leaks", list(nil), list(got.Leaks))}
	if len(want.Tools)+len(got.Tools) > 0 {
		checks = append(checks, check("tools", list(want.Tools), list(got.Tools)))
	}
	return checks
}

// Result is the case's in a report.
func (c EnforceCase) Result(got EnforceOutcome, took time.Duration) CaseResult {
	r := CaseResult{ID: c.ID, Text: c.Why, Tags: c.Tags, LatencyMS: milliseconds(took), Checks: c.Checks(got)}
	var failed []string
	for _, check := range r.Checks {
		if check.Got != check.Want {
			failed = append(failed, fmt.Sprintf("%s: got %s, want %s", check.Name, check.Got, check.Want))
		}
	}
	r.Failed = strings.Join(failed, "; ")
	r.Scores = map[string]float64{"exact": yes(r.Failed == "")}
	return r
}

// EnforceWith makes of what plays a case a [Runner]'s Enforce.
func EnforceWith(play func(context.Context, EnforceCase) (EnforceOutcome, error)) func(context.Context, RawCase) (CaseResult, error) {
	return func(ctx context.Context, raw RawCase) (CaseResult, error) {
		c, err := enforceCase(raw.JSON)
		if err != nil {
			return CaseResult{}, err
		}
		start := time.Now()
		got, err := play(ctx, c)
		return c.Result(got, time.Since(start)), err
	}
}

func enforceCase(raw []byte) (c EnforceCase, err error) {
	if err := json.Unmarshal(raw, &c, json.RejectUnknownMembers(true)); err != nil {
		return c, said(err)
	}
	return c, c.Validate()
}
