package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"remit/internal/strictjson"
)

func conditional(t testing.TB, expressions ...string) *Compiled {
	t.Helper()
	var p Policy
	for _, e := range expressions {
		p.Conditions = append(p.Conditions, Condition{CEL: e})
	}
	c, err := p.Compile(json.RawMessage(schema))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const (
	unmet   = "it has to be true that "
	unknown = "could not be evaluated"
	inexact = "has a number that cannot be compared exactly"
	tooMuch = "too large or too deeply nested"
)

func TestConditions(t *testing.T) {
	long := strings.Repeat("a", 300_000)
	for _, tc := range []struct{ cel, args, why string }{ // why is empty where the call is allowed
		{`args.amount <= 100`, `{"amount":100}`, ""},
		{`args.amount <= 100`, `{"amount":99.5}`, ""},
		{`args.amount <= 100`, `{"amount":1e2}`, ""},
		{`args.amount <= 100`, `{"amount":100.5}`, unmet},
		{`args.amount < 100.5`, `{"amount":100}`, ""},
		{`agent == "bot" && user == "ann" && persona == "ops"`, `{}`, ""},
		{`agent == "other"`, `{}`, unmet},
		{`now < timestamp("2026-11-24T00:00:00Z") && now.getHours("Europe/Berlin") == 13`, `{}`, ""},
		{`args.to.all(t, t.endsWith("@example.org"))`, `{"to":["a@example.org","b@example.org"]}`, ""},
		{`args.to.all(t, t.endsWith("@example.org"))`, `{"to":["a@example.org","b@example.com"]}`, unmet},
		{`args.filter.owner == user`, `{"filter":{"owner":"ann"}}`, ""},
		{`!has(args.bcc) && args["channel"] == "#ops"`, `{"channel":"#ops"}`, ""},

		// Another type is another value, and has no order.
		{`args.amount == 5`, `{"amount":"5"}`, unmet},
		{`args.amount == "5"`, `{"amount":5}`, unmet},
		{`args.amount == 1`, `{"amount":true}`, unmet},
		{`args.amount == 0`, `{"amount":null}`, unmet},
		{`args.amount <= 100`, `{"amount":"5"}`, unknown},
		{`args.amount <= 100`, `{"amount":null}`, unknown},
		{`args.amount <= 100`, `{"amount":[5]}`, unknown},
		{`args.amount <= 100`, `{"amount":{"value":5}}`, unknown},
		{`args.channel == "#ops"`, `{"channel":["#ops"]}`, unmet},
		{`args.channel.startsWith("#o")`, `{"channel":["#ops"]}`, unknown},
		{`args.to.all(t, t == "a")`, `{"to":"b"}`, unknown},
		{`args.to.all(t, t == "a")`, `{"to":{"a":"b"}}`, ""}, // all goes through the names of an object, so a type is asked for:
		{`type(args.to) == list && args.to.all(t, t == "a")`, `{"to":{"a":"b"}}`, unmet},
		{`args.filter.owner == "ann"`, `{"filter":"ann"}`, unknown},
		{`args.filter.owner == "ann"`, `{"filter":[{"owner":"ann"}]}`, unknown},
		{`args.channel == "#ops"`, `{"channel":"#\u006fps"}`, ""},
		{`args.channel == "é"`, `{"channel":"e\u0301"}`, unmet},
		{`args.channel == "#ops"`, `{"Channel":"#ops"}`, unknown},

		// What is missing is not met, negated or not.
		{`args.channel == "#ops"`, `{}`, unknown},
		{`args.channel != "#all"`, `{}`, unknown},
		{`!(args.filter.owner == "ann")`, `{"filter":{}}`, unknown},
		{`has(args.channel)`, `{"channel":null}`, ""},
		{`!has(args.bcc)`, `{"bcc":null}`, unmet},

		// Numbers are what they read, or nothing.
		{`args.amount == 9007199254740993`, `{"amount":9007199254740993}`, ""},
		{`args.amount == 9007199254740992`, `{"amount":9007199254740993}`, unmet},
		{`args.amount <= 9007199254740992`, `{"amount":9007199254740993.0}`, unmet},
		{`args.amount <= 9223372036854775807`, `{"amount":9223372036854775807}`, ""},
		{`args.amount > 0`, `{"amount":9223372036854775808}`, inexact},
		{`args.amount > 0`, `{"amount":9.223372036854776e18}`, inexact},
		{`args.amount > 0`, `{"amount":1e400}`, inexact},
		{`args.amount > 0`, `{"amount":1e999999999999}`, inexact},
		{`args.amount >= 0`, `{"amount":1e-400}`, inexact},
		{`args.amount <= 100`, `{"amount":100.0000000000000000000001}`, inexact},
		{`args.amount < 1`, `{"amount":0.99999999999999999999}`, inexact},
		{`args.amount == 0`, `{"amount":-0.0}`, ""},
		{`agent == "bot"`, `{"filter":[{"deep":1e400}]}`, inexact},
		{`args.amount + 1 > 0`, `{"amount":9223372036854775807}`, unknown},
		{`10 / args.amount > 0`, `{"amount":0}`, unknown},

		// Size, depth and cost are bounded.
		{`true`, `{"a":` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + `}`, ""},
		{`true`, `{"a":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, tooMuch},
		{`true`, `{"a":[` + strings.Repeat("0,", 10_000) + `0]}`, tooMuch},
		{`true`, `{"a":"` + strings.Repeat(long, 4) + `"}`, tooMuch},
		{`args.channel.contains("aab")`, `{"channel":"` + long[:100_000] + `"}`, unmet},
		{`args.channel.matches("^(a+)+$")`, `{"channel":"` + long[:10_000] + `"}`, ""},
		{`args.channel.matches("^(a+)+$")`, `{"channel":"` + long + `!"}`, unmet},
		{`args.channel.matches("^(a|aa|aaa|aaaa|aaaaa|aaaaaa)*$")`, `{"channel":"` + long + `!"}`, unknown},
		{`args.list.all(a, args.list.all(b, args.list.all(c, a == b || b == c)))`, `{"list":[` + strings.Repeat("1,", 1000) + `1]}`, unknown},
		{`args.channel + args.channel + args.channel + args.channel != ""`, `{"channel":"` + long + `"}`, unknown},
		{`args.list.all(a, args.list == args.list)`, `{"list":[` + strings.Repeat("[1],", 1000) + `1]}`, unknown},
	} {
		call := Call{Agent: "bot", User: "ann", Persona: "ops", Now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), Arguments: strictjson.Unread(tc.args)}
		got := conditional(t, tc.cel).Decide(call)
		args := tc.args[:min(len(tc.args), 60)]
		if got.Allowed != (tc.why == "") || !strings.Contains(got.Reason, tc.why) || !got.Allowed && got.Rule != "conditions" {
			t.Errorf("%s, %s: got %+v, want %q", tc.cel, args, got, tc.why)
		}
	}
}

func TestInvalidCondition(t *testing.T) {
	for cel, want := range map[string]string{
		``:                                    "the expression is empty",
		`args.amount`:                         "has to be true or false, but is dyn",
		`size(args)`:                          "has to be true or false, but is int",
		`args.amount <`:                       "line 1, column 14: Syntax error",
		"true &&\n amount == 5":               "line 2, column 2: undeclared reference to 'amount'",
		`lookup("x") == 1`:                    "undeclared reference to 'lookup'",
		`agent == 5`:                          "found no matching overload for '_==_'",
		`args.to.map(t, t + t).size() > 0`:    "undeclared reference to",
		`args.to.filter(t, true).size() > 0`:  "undeclared reference to",
		`args.channel.matches("(")`:           "line 1, column",
		`args.channel.matches(args.pattern)`:  "the pattern of matches is written in the condition",
		`matches(args.channel, args.pattern)`: "the pattern of matches is written in the condition",
		`args.channel.matches("(a{500}){2}")`: "line 1, column",
		`args.amount <= 9007199254740993.0`:   "a number of this size is rounded",
		`now < timestamp("tomorrow")`:         "line 1, column",
		strings.Repeat("(", 100) + "true" + strings.Repeat(")", 100): "recursion",
		`"` + strings.Repeat("a", 2000) + `" == agent`:               "more than 2000 characters",
	} {
		_, err := Policy{Conditions: []Condition{{CEL: cel}}}.Compile(nil)
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "in container") {
			t.Errorf("%.80s: got %v, want %q", cel, err, want)
		}
	}
	if _, err := (Policy{Conditions: []Condition{{CEL: "true", Message: strings.Repeat("m", 501)}}}).Compile(nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("a message of 501 bytes: got %v", err)
	}
}

func TestConditionReasons(t *testing.T) {
	c, err := Policy{Conditions: []Condition{{CEL: `args.amount <= 100`, Message: "Refunds end at 100."}, {CEL: `args[args.key] == 1`}}}.Compile(nil)
	if err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		`{"amount":500}`:                     "Refunds end at 100.",
		`{"amount":"secret"}`:                "a condition could not be evaluated for this call: Refunds end at 100.",
		`{"amount":1,"key":"secret"}`:        "a condition could not be evaluated for this call: it has to be true that args[args.key] == 1",
		`{"amount":1,"key":"k","k":1}`:       "",
		`{"amount":1,"amount":5}`:            "the arguments cannot be checked: they are not an object without duplicate members",
		`{"amount":1,"key":{"a":1,"a":2}}`:   "the arguments cannot be checked: they are not an object without duplicate members",
		`{"amount":1,"key":"k","k":1} {"a"}`: "the arguments cannot be checked: they are not an object without duplicate members",
		"{\"amount\":1,\"key\":\"\xff\"}":    "the arguments cannot be checked: they are not an object without duplicate members",
	} {
		if got := c.Decide(Call{Arguments: strictjson.Unread(args)}); got.Reason != want || got.Allowed != (want == "") {
			t.Errorf("%s: got %+v, want %q", args, got, want)
		}
	}
}

func TestConditionsInParallel(t *testing.T) {
	c := conditional(t, `args.amount <= 100`, `args.channel.matches("#[a-z]+")`)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for amount := range 200 {
				args := fmt.Sprintf(`{"amount":%d,"channel":"#c%s"}`, amount, strings.Repeat("x", i))
				if got := c.Decide(Call{Arguments: strictjson.Unread(args)}); got.Allowed != (amount <= 100) {
					t.Errorf("%s: got %+v", args, got)
				}
			}
		})
	}
	group.Wait()
}

func BenchmarkConditions(b *testing.B) {
	list := "[" + strings.Repeat("1,", 999) + "1]"
	for name, bench := range map[string]struct{ cel, args string }{
		"plain":  {`args.amount <= 100 && args.channel.startsWith("#")`, `{"amount":5,"channel":"#ops"}`},
		"loops":  {`args.list.all(a, args.list.all(b, a == b))`, `{"list":` + list + `}`},
		"equal":  {`args.list.all(a, args.list == args.same)`, `{"list":` + list + `,"same":` + list + `}`},
		"regexp": {`args.channel.matches("^(a|aa|aaa)*$")`, `{"channel":"` + strings.Repeat("a", 250_000) + `!"}`},
	} {
		c, call := conditional(b, bench.cel), Call{Arguments: strictjson.Unread(bench.args)}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Decide(call)
			}
		})
	}
}
