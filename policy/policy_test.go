package policy

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"remit/internal/strictjson"
)

const schema = `{"type":"object","properties":{"channel":{"type":"string","description":"Where to."},"amount":{"type":"number","maximum":1000},
	"filter":{"type":"object","properties":{"owner":{"type":"string"}}},"bcc":{"type":"string"}},"required":["channel"]}`

func compile(t testing.TB, policy string) *Compiled {
	t.Helper()
	var p Policy
	if err := json.Unmarshal([]byte(policy), &p); err != nil {
		t.Fatal(err)
	}
	c, err := p.Compile(json.RawMessage(schema))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestArguments(t *testing.T) {
	for _, tc := range []struct{ rule, args, why string }{ // why is empty where the call is allowed
		{`{"path":"/channel","const":"#ops"}`, `{"channel":"#ops"}`, ""},
		{`{"path":"/channel","const":"#ops"}`, `{"channel":"#\u006fps"}`, ""},
		{`{"path":"/channel","const":"#ops"}`, `{"channel":"#all"}`, `/channel must be "#ops"`},
		{`{"path":"/channel","const":"#ops"}`, `{"channel":["#ops"]}`, `/channel must be "#ops"`},
		{`{"path":"/channel","const":"#ops"}`, `{}`, "/channel must be given"},
		{`{"path":"/channel","const":"#ops","optional":true}`, `{}`, ""},
		{`{"path":"/channel","const":"#ops","optional":true}`, `{"channel":null}`, `/channel must be "#ops"`},
		{`{"path":"/amount","enum":[5,10]}`, `{"amount":1e1}`, ""},
		{`{"path":"/amount","enum":[5,10]}`, `{"amount":10.0}`, ""},
		{`{"path":"/amount","enum":[5,10]}`, `{"amount":"10"}`, "/amount must be one of 5, 10"},
		{`{"path":"/amount","enum":[5,10]}`, `{"amount":10.000000000000000000001}`, "/amount must be one of 5, 10"},
		{`{"path":"/amount","maximum":100}`, `{"amount":100}`, ""},
		{`{"path":"/amount","maximum":100}`, `{"amount":100.0000000000000000000001}`, "/amount must be at most 100"},
		{`{"path":"/amount","maximum":100}`, `{"amount":1e400}`, "/amount must be at most 100"},
		{`{"path":"/amount","maximum":100}`, `{"amount":1e999999999}`, "/amount must be a number"},
		{`{"path":"/amount","maximum":100}`, `{"amount":"5"}`, "/amount must be a number"},
		{`{"path":"/amount","maximum":100}`, `{"amount":[5]}`, "/amount must be a number"},
		{`{"path":"/amount","maximum":100}`, `{"amount":true}`, "/amount must be a number"},
		{`{"path":"/amount","minimum":0}`, `{"amount":-1e-300}`, "/amount must be at least 0"},
		{`{"path":"/channel","pattern":"#[a-z]+"}`, `{"channel":"#ops"}`, ""},
		{`{"path":"/channel","pattern":"#[a-z]+"}`, `{"channel":"#ops\n#all"}`, "/channel must match #[a-z]+"},
		{`{"path":"/channel","pattern":"#a|#b"}`, `{"channel":"#a and more"}`, "/channel must match #a|#b"},
		{`{"path":"/channel","pattern":"#[a-z]+"}`, `{"channel":{"a":"#ops"}}`, "/channel must be a string"},
		{`{"path":"/channel","max_length":4}`, `{"channel":"äöüß"}`, ""},
		{`{"path":"/channel","max_length":4}`, `{"channel":"12345"}`, "/channel must have at most 4 characters"},
		{`{"path":"/bcc","forbidden":true}`, `{"channel":"#ops"}`, ""},
		{`{"path":"/bcc","forbidden":true}`, `{"bcc":null}`, "/bcc must not be given"},
		{`{"path":"/filter/owner","const":"me"}`, `{"filter":{"owner":"me"}}`, ""},
		{`{"path":"/filter/owner","const":"me"}`, `{"filter":{"owner":"you"}}`, `/filter/owner must be "me"`},
		{`{"path":"/filter/owner","const":"me"}`, `{"filter":{}}`, "/filter/owner must be given"},
		{`{"path":"/filter/owner","const":"me"}`, `{"filter":[{"owner":"me"}]}`, "/filter is not an object"},
		{`{"path":"/filter/owner","const":"me","optional":true}`, `{"filter":"owner"}`, "/filter is not an object"},
		{`{"path":"/filter/owner","const":"me"}`, `{"filter":{"owner":"me","owner":"you"}}`, "not an object without duplicate members"},
	} {
		got := compile(t, `{"arguments":[`+tc.rule+`]}`).Decide(Call{Arguments: strictjson.Unread(tc.args)})
		if got.Allowed != (tc.why == "") || !strings.Contains(got.Reason, tc.why) {
			t.Errorf("%s, %s: got %+v, want %q", tc.rule, tc.args, got, tc.why)
		}
	}
}

func TestInvalid(t *testing.T) {
	for text, want := range map[string]string{
		`{"limits":[{"calls":0,"per":"day"}]}`:                           "limit 1: calls are 1 to 10000",
		`{"limits":[{"calls":1,"per":"week"}]}`:                          `not "week"`,
		`{"limits":[{"calls":1,"per":"day","by":"me"}]}`:                 `not "me"`,
		`{"concurrent":-1}`:                                              "concurrent",
		`{"arguments":[{"path":"channel","const":1}]}`:                   "JSON Pointer",
		`{"arguments":[{"path":"/chanel","const":1}]}`:                   `no argument "chanel"`,
		`{"arguments":[{"path":"/channel","pattern":"("}]}`:              "RE2",
		`{"arguments":[{"path":"/channel","optional":true}]}`:            "says nothing",
		`{"arguments":[{"path":"/channel","forbidden":true,"const":1}]}`: "no other rule",
		`{"arguments":[{"path":"/amount","maximum":1,"pattern":"a"}]}`:   "a number has no pattern",
		`{"arguments":[{"path":"/amount","maximum":1e999}]}`:             "no number that can be compared",
		`{"hours":[{"from":"8","to":"18:00"}]}`:                          "written as 08:00",
		`{"hours":[{"from":"08:00","to":"08:00"}]}`:                      "no time at all",
		`{"hours":[{"from":"08:00","to":"18:00","zone":"Mars"}]}`:        `no time zone "Mars"`,
		`{"hours":[{"from":"08:00","to":"18:00","days":["someday"]}]}`:   `not "someday"`,
		`{"timeout_seconds":4000}`:                                       "timeout_seconds",
		`{"max_result_bytes":-5}`:                                        "max_result_bytes",
		`{"asks":["roots"]}`:                                             `asks are elicitation, elicitation-url, sampling, not "roots"`,
		`{"asks":["sampling","sampling"]}`:                               `"sampling" twice`,
		`{"asks":["elicitation"],"approval":{"minutes":5}}`:              "a call that a person approves cannot ask for more",
		`{"arguments":[{"path":"/amount","const":1,"enum":[1]}]}`:        "not both",
		`{"approval":{}}`:                                                "approval: minutes are 1 to 1440, not 0",
		`{"approval":{"minutes":1441}}`:                                  "not 1441",
		`{"approval":{"minutes":5,"when":"args.amount"}}`:                "approval: when: the expression has to be true or false",
		`{"approval":{"minutes":5,"when":" "}}`:                          "approval: when: the expression is empty",
	} {
		var p Policy
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Compile(json.RawMessage(schema)); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

func TestHours(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	day := compile(t, `{"hours":[{"days":["mon","tue"],"from":"08:00","to":"18:00","zone":"Europe/Berlin"}]}`)
	night := compile(t, `{"hours":[{"days":["fri"],"from":"22:00","to":"02:00","zone":"Europe/Berlin"}]}`)
	for _, tc := range []struct {
		policy *Compiled
		at     string // in Berlin; 2026-11-23 is a Monday
		open   bool
	}{
		{day, "2026-11-23 08:00", true}, {day, "2026-11-23 07:59", false}, {day, "2026-11-23 17:59", true}, {day, "2026-11-23 18:00", false},
		{day, "2026-11-25 12:00", false},
		{night, "2026-11-27 23:00", true}, {night, "2026-11-28 01:59", true}, {night, "2026-11-28 02:00", false}, {night, "2026-11-28 23:00", false},
		{night, "2026-11-27 01:00", false},
	} {
		now, err := time.ParseInLocation("2006-01-02 15:04", tc.at, berlin)
		if err != nil {
			t.Fatal(err)
		}
		if got := tc.policy.Decide(Call{Now: now.UTC()}); got.Allowed != tc.open {
			t.Errorf("%s: got %+v, want open %v", tc.at, got, tc.open)
		}
	}
}

func TestNarrow(t *testing.T) {
	c := compile(t, `{"arguments":[{"path":"/channel","const":"#ops"},{"path":"/amount","maximum":100,"optional":true},{"path":"/filter/owner","pattern":"me"},{"path":"/bcc","forbidden":true}]}`)
	got, err := c.Narrow(json.RawMessage(schema))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"properties":{"amount":{"allOf":[{"type":"number","maximum":1000},{"maximum":100}]},"bcc":false,` +
		`"channel":{"const":"#ops","description":"Where to.","type":"string"},` +
		`"filter":{"properties":{"owner":{"pattern":"^(?:me)$","type":"string"}},"required":["owner"],"type":"object"}},` +
		`"required":["channel","filter"],"type":"object"}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	forbidden := compile(t, `{"arguments":[{"path":"/channel","forbidden":true}]}`)
	if _, err := forbidden.Narrow(json.RawMessage(schema)); err == nil {
		t.Error("a required argument was forbidden without an error")
	}
}
