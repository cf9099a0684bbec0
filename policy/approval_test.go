package policy

import (
	"testing"

	"remit/internal/strictjson"
)

// A call passes without a person only where the condition is certainly false: type juggling and gaps ask for one.
func TestApproval(t *testing.T) {
	const when = `{"approval":{"minutes":5,"when":"args.amount > 50"}}`
	for _, tc := range []struct {
		policy, args string
		approval     bool
	}{
		{`{}`, `{"amount":1e9}`, false},
		{`{"approval":{"minutes":5}}`, `{}`, true},
		{when, `{"amount":50}`, false},
		{when, `{"amount":5.0e1}`, false},
		{when, `{"amount":50.000001}`, true},
		{when, `{"amount":51}`, true},
		{when, `{"amount":"1"}`, true},
		{when, `{"amount":[1]}`, true},
		{when, `{"amount":null}`, true},
		{when, `{"amount":1e999999999}`, true},
		{when, `{}`, true},
		{when, `{"Amount":1}`, true},
		{`{"approval":{"minutes":5,"when":"args.amount > 50 && args.channel == 'x'"}}`, `{"amount":1}`, false},
	} {
		got := compile(t, tc.policy).Decide(Call{Arguments: strictjson.Unread(tc.args)})
		if want := (Decision{Allowed: true, Approval: tc.approval}); got != want {
			t.Errorf("%s, %s: got %+v, want %+v", tc.policy, tc.args, got, want)
		}
	}
}

// What is refused anyway is not asked for.
func TestApprovalComesLast(t *testing.T) {
	c := compile(t, `{"approval":{"minutes":5},"arguments":[{"path":"/amount","maximum":5}]}`)
	if got := c.Decide(Call{Arguments: strictjson.Unread(`{"amount":6}`)}); got.Allowed || got.Approval || got.Rule != "arguments" {
		t.Errorf("got %+v", got)
	}
}
