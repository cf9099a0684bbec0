package policy

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"remit/internal/strictjson"
)

var anyLimit = rapid.Custom(func(t *rapid.T) Limit {
	return Limit{
		Calls: rapid.IntRange(1, 5).Draw(t, "calls"),
		Per:   rapid.SampledFrom([]Period{Second, Minute, Hour, Day}).Draw(t, "per"),
		By:    rapid.SampledFrom([]Scope{"", ByPersona, ByKey, ByTool}).Draw(t, "by"),
	}
})

var anySubject = rapid.Custom(func(t *rapid.T) Subject {
	return Subject{
		Persona: rapid.SampledFrom([]string{"ops", "sales"}).Draw(t, "persona"),
		Key:     rapid.SampledFrom([]string{"", "ann", "bob"}).Draw(t, "key"),
		Tool:    rapid.SampledFrom([]string{"read", "send"}).Draw(t, "tool"),
	}
})

var anyPause = rapid.OneOf(
	rapid.Just(time.Duration(0)), rapid.Map(rapid.IntRange(1, 3000), func(n int) time.Duration { return time.Duration(n) * time.Millisecond }),
	rapid.SampledFrom([]time.Duration{time.Second, time.Minute, time.Hour, 24 * time.Hour, time.Minute - 1, 5 * time.Hour}))

// allows is what limits mean, read from the record of all calls.
func (r *record) allows(ll []Limit, s Subject, now time.Time) bool {
	for _, l := range ll {
		times, _ := r.Begun(context.Background(), s.of(l.By), now.Add(-l.Per.Length()), maxCalls)
		if len(times) >= l.Calls {
			return false
		}
	}
	return true
}

// For any schedule of calls, revisions and restarts: at most Calls begin in any stretch of Per, and no call is refused without
// need. A refused one passes when its retry says so, and not before.
func TestLimiterAgreesWithTheRecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		past, now := &record{}, noon
		l := NewLimiter(past)
		policies := rapid.SliceOfN(rapid.SliceOfN(anyLimit, 0, 3), 1, 3).Draw(t, "policies")
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(anyPause.Draw(t, "pause"))
			if rapid.IntRange(0, 19).Draw(t, "restart") == 0 {
				l = NewLimiter(past)
			}
			s, ll := anySubject.Draw(t, "subject"), rapid.SampledFrom(policies).Draw(t, "policy")
			_, refused := l.Take(t.Context(), s, limits(ll...), now)
			if want := past.allows(ll, s, now); (refused == nil) != want {
				t.Fatalf("%v at %s under %v: got %+v, want %v", s, now, ll, refused, want)
			}
			if refused == nil {
				past.calls = append(past.calls, begun{s, now})
			} else if then := now.Add(refused.Retry); !past.allows(ll, s, then) || past.allows(ll, s, then.Add(-1)) {
				t.Fatalf("%v at %s under %v: the retry of %s is wrong", s, now, ll, refused.Retry)
			}
		}
	})
}

func TestAnotherLimitAllowsNoMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		past, now := &record{}, noon
		for range rapid.IntRange(0, 20).Draw(t, "calls") {
			now = now.Add(anyPause.Draw(t, "pause"))
			past.calls = append(past.calls, begun{anySubject.Draw(t, "earlier"), now})
		}
		s, ll, more := anySubject.Draw(t, "subject"), rapid.SliceOfN(anyLimit, 0, 3).Draw(t, "limits"), anyLimit.Draw(t, "more")
		_, before := NewLimiter(past).Take(t.Context(), s, limits(ll...), now)
		_, after := NewLimiter(past).Take(t.Context(), s, limits(append(ll, more)...), now)
		if before != nil && (after == nil || after.Retry < before.Retry) {
			t.Fatalf("%v turned %+v into %+v", more, before, after)
		}
	})
}

var (
	anyValue = rapid.SampledFrom([]string{`"#ops"`, `"#all"`, `"a long text"`, `5`, `5.0`, `100.5`, `1e400`, `"5"`, `true`, `null`, `["#ops"]`, `{"owner":"ann"}`, `{"owner":["ann"]}`, `{}`})
	anyPath  = rapid.SampledFrom([]string{"/channel", "/amount", "/filter", "/filter/owner", "/bcc"})
	anyRule  = rapid.SampledFrom([]string{`"const":"#ops"`, `"const":5`, `"enum":["#ops","ann",5]`, `"minimum":1`, `"maximum":100`, `"max_length":5`,
		`"pattern":"#?[a-z]+"`, `"forbidden":true`, `"const":"ann","optional":true`, `"maximum":5,"optional":true`})
	anyCondition = rapid.SampledFrom([]string{`args.amount <= 50`, `args.channel == "#ops"`, `!has(args.bcc)`, `agent == "bot"`, `user != "eve"`,
		`args.filter.owner == user`, `has(args.amount) ? args.amount > 1 : true`, `now.getHours() < 18`, `false`, `true`})
	anyHours = rapid.SampledFrom([]Hours{{From: "08:00", To: "18:00"}, {From: "22:00", To: "06:00", Zone: "Europe/Berlin"}, {Days: []string{"mon", "fri"}, From: "00:00", To: "24:00"}})
)

// rules is a policy as the rules that it is made of.
type rules struct {
	constraints []string
	conditions  []string
	hours       []Hours
	approval    *Approval
}

var anyRules = rapid.Custom(func(t *rapid.T) rules {
	return rules{
		rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
			return fmt.Sprintf(`{"path":%q,%s}`, anyPath.Draw(t, "path"), anyRule.Draw(t, "rule"))
		}), 0, 3).Draw(t, "constraints"),
		rapid.SliceOfN(anyCondition, 0, 3).Draw(t, "conditions"),
		rapid.SliceOfN(anyHours, 0, 1).Draw(t, "hours"),
		rapid.SampledFrom([]*Approval{nil, {Minutes: 5}, {Minutes: 5, When: "args.amount > 50"}, {Minutes: 5, When: "false"}}).Draw(t, "approval"),
	}
})

func (r rules) compile(t *rapid.T) *Compiled {
	p := Policy{Hours: r.hours, Approval: r.approval}
	for _, text := range r.constraints {
		var c Constraint
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			t.Fatal(err)
		}
		p.Arguments = append(p.Arguments, c)
	}
	for _, text := range r.conditions {
		p.Conditions = append(p.Conditions, Condition{CEL: text})
	}
	c, err := p.Compile(json.RawMessage(schema))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var anyCall = rapid.Custom(func(t *rapid.T) Call {
	args := map[string]json.RawMessage{}
	for name, value := range rapid.MapOfN(rapid.SampledFrom([]string{"channel", "amount", "filter", "bcc"}), anyValue, 0, 4).Draw(t, "arguments") {
		args[name] = json.RawMessage(value)
	}
	return Call{
		Agent: rapid.SampledFrom([]string{"bot", "other"}).Draw(t, "agent"), User: rapid.SampledFrom([]string{"ann", "eve"}).Draw(t, "user"),
		Arguments: strictjson.Unread(encode(args)), Now: noon.Add(time.Duration(rapid.IntRange(0, 7*24).Draw(t, "hour")) * time.Hour),
	}
})

// A policy with more rules refuses whatever one with fewer refuses, wherever the rules stand. A second stretch of hours is no
// further rule: it widens the one there is.
func TestAnotherRuleAllowsNoMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		few, more, call := anyRules.Draw(t, "few"), anyRules.Draw(t, "more"), anyCall.Draw(t, "call")
		both := rules{rapid.Permutation(append(few.constraints, more.constraints...)).Draw(t, "constraints"),
			rapid.Permutation(append(few.conditions, more.conditions...)).Draw(t, "conditions"), few.hours, few.approval}
		if len(few.hours) == 0 {
			both.hours = more.hours
		}
		if few.approval == nil {
			both.approval = more.approval
		}
		a, b, c := few.compile(t).Decide(call), more.compile(t).Decide(call), both.compile(t).Decide(call)
		if c.Allowed && !a.Allowed {
			t.Fatalf("%s: %+v became %+v", call.Arguments, a, c)
		}
		if len(few.hours) == 0 && c.Allowed != (a.Allowed && b.Allowed) {
			t.Fatalf("%s: got %+v for both, %+v and %+v alone", call.Arguments, c, a, b)
		}
		if c.Allowed && !c.Approval && (a.Approval || b.Approval && few.approval == nil) {
			t.Fatalf("%s: %+v and %+v became %+v, which nobody has to approve", call.Arguments, a, b, c)
		}
		if !c.Allowed && (c.Rule == "" || c.Reason == "") || c.Allowed && c != (Decision{Allowed: true, Approval: c.Approval}) {
			t.Fatalf("%s: got %+v", call.Arguments, c)
		}
	})
}
