package gateway_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"remit/audit"
	"remit/catalog"
	"remit/gateway"
	"remit/persona"
	"remit/policy"
)

// A shadow saw the arguments; the judge has the record only. Where it says anything it says what the shadow said, and with
// recorded arguments without a secret it always says something.
func TestJudgeAgreesWithTheShadow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newStage(t)
		live := anyGrants(t, s, "live")
		shadow := anyGrants(t, s, "shadow")
		if rapid.Bool().Draw(t, "alike") { // so that rules of one are often rules of the other
			shadow = append([]persona.Grant{}, live...)
			for i := range shadow {
				if rapid.Bool().Draw(t, "other limits") {
					shadow[i].Policy.Limits = anyRules.Draw(t, "limits").Limits
				}
			}
		}
		s.beside(live, shadow)
		keep := rapid.Bool().Draw(t, "keep")
		g := s.gateway(func(c *gateway.Config) { c.KeepArguments = keep })
		judge := gateway.NewJudge(s.persona, s.persona.Revisions[1])
		guessed := false
		for range rapid.IntRange(1, 20).Draw(t, "calls") {
			c := anyCall.Draw(t, "call")
			s.now = s.now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "pause")) * time.Second)
			ask(g, c[0], c[1], c[2])
			e := s.last()
			want := e.Shadow
			want.Revision, e.Shadow = 0, audit.Shadow{}
			got := judge.Decide(t.Context(), e)
			if got.Decision == audit.Undecided {
				if keep && !strings.Contains(c[2], "AKIA") {
					t.Fatalf("%v: got %+v although the arguments are in the record", c, got)
				}
				guessed = true // and limits count from here on what only the shadow knows
				continue
			}
			if guessed && (strings.HasPrefix(want.Policy, "limit") || strings.HasPrefix(got.Policy, "limit") || want.Decision != got.Decision) {
				continue
			}
			if byRule := strings.HasPrefix(got.Policy, "policy/"); byRule && strings.HasPrefix(want.Policy, "policy/") || got.Policy == "arguments" ||
				byRule && want.Policy == "arguments" && !keep {
				got.Reason, want.Reason, got.Policy, want.Policy = "", "", "", "" // the first rule that refuses may be another
			}
			if got != want {
				t.Fatalf("%v: got %+v, want %+v", c, got, want)
			}
		}
	})
}

// What the judge concludes without arguments, one step after the other.
func TestJudge(t *testing.T) {
	s := newStage(t)
	narrow := policy.Policy{Arguments: []policy.Constraint{{Path: "/n", Maximum: json.RawMessage("5")}}}
	narrower := narrow
	narrower.Conditions = []policy.Condition{{CEL: "args.n != 3"}}
	night := policy.Policy{Hours: []policy.Hours{{From: "22:00", To: "06:00"}}, Arguments: narrow.Arguments}
	asking := policy.Policy{Approval: &policy.Approval{Minutes: 5, When: "args.n > 2"}}
	other := s.grant("s/b", "b", narrow)
	other.Digest, other.Definition = "", json.RawMessage(`{"name":"b","inputSchema":{"type":"object","properties":{"n":{"type":"integer"}}}}`)
	other.Digest, _ = catalog.DigestOf(other.Definition)
	damaged := s.grant("s/c", "c", policy.Policy{})
	damaged.Definition = json.RawMessage(`{}`)
	s.persona = persona.Persona{ID: "p", Revisions: []persona.Revision{
		{Number: 1, State: persona.Live, Grants: []persona.Grant{s.grant("s/a", "a", narrow), s.grant("s/b", "b", policy.Policy{}), s.grant("s/c", "c", policy.Policy{})}},
		{Number: 2, Grants: []persona.Grant{s.grant("s/a", "a", policy.Policy{}), other, damaged}},
		{Number: 3, Grants: []persona.Grant{s.grant("s/a", "a", narrower)}},
		{Number: 4, Grants: []persona.Grant{s.grant("s/a", "a", night)}},
		{Number: 5, Grants: []persona.Grant{s.grant("s/a", "a", narrow)}},
		{Number: 6, Grants: []persona.Grant{s.grant("s/a", "a", asking)}},
	}}
	const unknown = "sha256:of what was not kept"
	at := func(tool string, d audit.Decision, rule string) audit.Entry {
		e := audit.Entry{Time: s.now, Kind: audit.ToolCall, Persona: "p", Revision: 1, Tool: tool, Decision: d, Policy: rule, Reason: "because", Call: audit.Call{ArgumentDigest: unknown}}
		if found, ok := s.tools[catalog.ID(tool)]; ok {
			e.Digest = string(found.Digest)
		}
		return e
	}
	kept := func(e audit.Entry, arguments string) audit.Entry {
		e.Arguments, e.ArgumentDigest = arguments, audit.Digest([]byte(arguments))
		return e
	}
	approved := kept(at("s/a", audit.Allowed, ""), `{"n":3}`)
	approved.Approval = "a1"
	early := at("x", audit.Refused, "identify")
	early.Revision = 0
	for name, tc := range map[string]struct {
		revision int
		e        audit.Entry
		want     audit.Decision
		rule     string
	}{
		"same rules":               {5, at("s/a", audit.Allowed, ""), audit.Allowed, ""},
		"fewer rules":              {2, at("s/a", audit.Allowed, ""), audit.Allowed, ""},
		"the server failed":        {2, at("s/a", audit.Failed, "forward/result size"), audit.Allowed, ""},
		"more rules":               {3, at("s/a", audit.Allowed, ""), audit.Undecided, ""},
		"more rules, kept, within": {3, kept(at("s/a", audit.Allowed, ""), `{"n":2}`), audit.Allowed, ""},
		"more rules, kept, beyond": {3, kept(at("s/a", audit.Allowed, ""), `{"n":3}`), audit.Refused, "policy/conditions"},
		"more rules, nothing sent": {3, kept(at("s/a", audit.Allowed, ""), `{}`), audit.Refused, "policy/arguments"},
		"kept, edited": {3, func() audit.Entry {
			e := kept(at("s/a", audit.Allowed, ""), `{"n":2}`)
			e.Arguments = `{"n":3}`
			return e
		}(), audit.Undecided, ""},
		"refused by a rule that stays": {3, at("s/a", audit.Refused, "policy/arguments"), audit.Refused, "policy/arguments"},
		"refused by a rule that goes":  {2, at("s/a", audit.Refused, "policy/arguments"), audit.Allowed, ""},
		"refused by the schema":        {2, at("s/a", audit.Refused, "arguments"), audit.Refused, "arguments"},
		"refused by a limit that goes": {2, at("s/a", audit.Refused, "limit/limits"), audit.Allowed, ""},
		"not granted then, still not":  {5, at("s/none", audit.Refused, "find"), audit.Refused, "find"},
		"not granted then, now":        {5, at("a", audit.Refused, "find"), audit.Undecided, ""},
		"not granted then, now, kept":  {5, kept(at("a", audit.Refused, "find"), `{"n":2}`), audit.Allowed, ""},
		"granted then, not now":        {5, at("s/b", audit.Allowed, ""), audit.Refused, "find"},
		"other schema":                 {2, at("s/b", audit.Allowed, ""), audit.Undecided, ""},
		"other schema, kept":           {2, kept(at("s/b", audit.Allowed, ""), `{"n":6}`), audit.Refused, "policy/arguments"},
		"drifted then":                 {5, at("s/a", audit.Refused, "pin"), audit.Refused, "pin"},
		"drifted then, pinned anew":    {2, at("s/b", audit.Refused, "pin"), audit.Undecided, ""},
		"damaged":                      {2, at("s/c", audit.Allowed, ""), audit.Undecided, ""},
		"suspended":                    {2, at("s/a", audit.Refused, "suspended"), audit.Refused, "suspended"},
		"before any revision":          {2, early, audit.Refused, "identify"},
		"a step of another kind":       {5, kept(at("s/a", audit.Refused, "approve"), `{"n":2}`), audit.Undecided, ""},
		"a person has to look":         {6, kept(at("s/a", audit.Allowed, ""), `{"n":3}`), audit.Undecided, ""},
		"a person need not look":       {6, kept(at("s/a", audit.Allowed, ""), `{"n":2}`), audit.Allowed, ""},
		"whether a person has to look": {6, at("s/a", audit.Allowed, ""), audit.Undecided, ""},
		"a person looked then":         {6, approved, audit.Allowed, ""},
		"outside the hours":            {4, at("s/a", audit.Allowed, ""), audit.Refused, "policy/hours"},
		"outside the hours, whatever":  {4, at("a", audit.Refused, "find"), audit.Refused, "policy/hours"},
	} {
		j := gateway.NewJudge(s.persona, s.persona.Revisions[tc.revision-1])
		if got := j.Decide(t.Context(), tc.e); got.Decision != tc.want || got.Policy != tc.rule {
			t.Errorf("%s: got %+v, want %s %s", name, got, tc.want, tc.rule)
		}
	}
}

// Limits are counted by the times of the entries, and a call is in flight until it ended.
func TestJudgeCounts(t *testing.T) {
	s := newStage(t)
	s.persona = persona.Persona{ID: "p", Revisions: []persona.Revision{{Number: 1, State: persona.Live, Grants: []persona.Grant{
		s.grant("s/a", "a", policy.Policy{Limits: []policy.Limit{{Calls: 2, Per: policy.Hour}}}),
		s.grant("s/b", "b", policy.Policy{Concurrent: 1}),
		s.grant("s/c", "c", policy.Policy{Limits: []policy.Limit{{Calls: 1, Per: policy.Day, By: policy.ByTool}}})}}}}
	j := gateway.NewJudge(s.persona, s.persona.Revisions[0])
	call := func(tool, of string, began, took time.Duration) audit.Entry {
		return audit.Entry{Time: s.now.Add(began + took), Micros: took.Microseconds(), Kind: audit.ToolCall, Persona: of, Revision: 1, Tool: tool,
			Digest: string(s.tools[catalog.ID(tool)].Digest), Decision: audit.Allowed, Call: audit.Call{ArgumentDigest: audit.Digest([]byte("{}"))}}
	}
	j.Count(t.Context(), call("s/c", "other", 0, 0))
	for _, tc := range []struct {
		tool        string
		began, took time.Duration
		want        string
	}{
		{"s/a", time.Minute, 0, ""}, {"s/a", 2 * time.Minute, 0, ""}, {"s/a", 3 * time.Minute, 0, "limit/limits"}, {"s/a", 61 * time.Minute, 0, ""},
		{"s/b", 62 * time.Minute, time.Minute, ""}, {"s/b", 62*time.Minute + time.Second, 0, "limit/concurrent"}, {"s/b", 63 * time.Minute, 0, ""},
		{"s/c", 64 * time.Minute, 0, "limit/limits"},
	} {
		if got := j.Decide(t.Context(), call(tc.tool, "p", tc.began, tc.took)); got.Policy != tc.want {
			t.Errorf("%s at %s: got %+v, want %q", tc.tool, tc.began, got, tc.want)
		}
	}
}
