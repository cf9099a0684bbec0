package policy

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestParseLimit(t *testing.T) {
	for text, want := range map[string]string{"100/hour": "at most 100 an hour", "1/second": "at most 1 a second", "10000/day": "at most 10000 a day"} {
		if got, err := ParseLimit(text); err != nil || got.String() != want {
			t.Errorf("%q: got %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "100", "/hour", "100/", "0/hour", "-1/hour", "10001/day", "1/week", "1/hour/day", " 1/hour", "1e3/hour", "1/Hour"} {
		if got, err := ParseLimit(text); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: got %s, %v, want %v", text, got, err, ErrInvalid)
		}
	}
}

// The limits of a key count all its calls, of whichever tool; those of the policies go on beside them, and other keys are not
// counted.
func TestWith(t *testing.T) {
	l, key := NewLimiter(nil), []Limit{{Calls: 3, Per: Hour}}
	plain, one := limits(), limits(Limit{Calls: 1, Per: Minute})
	bounded, boundedOne := plain.With(key), one.With(key)
	if got := plain.With(nil); got != plain || len(plain.Limits) != 0 || len(one.Limits) != 1 {
		t.Errorf("the policy itself changed: %v, %v", plain.Limits, one.Limits)
	}
	for i, step := range []struct {
		of    Subject
		with  *Compiled
		after time.Duration
		rule  string // that refuses
	}{
		{ann, bounded, 0, ""},
		{read, boundedOne, 0, ""},
		{read, boundedOne, time.Second, "limits"}, // the policy's limit, sooner than the key's
		{bob, bounded, time.Second, ""},           // another key
		{ann, bounded, 2 * time.Second, ""},
		{ann, bounded, 3 * time.Second, "key"},
		{read, boundedOne, 2 * time.Minute, "key"},
		{bob, bounded, 2 * time.Minute, ""},
		{ann, bounded, time.Hour, ""},
		{ann, bounded, time.Hour + time.Second, ""},
		{ann, bounded, time.Hour + time.Second, "key"},
	} {
		_, refused := l.Take(t.Context(), step.of, step.with, noon.Add(step.after))
		rule := ""
		if refused != nil {
			rule = refused.Rule
		}
		if rule != step.rule {
			t.Errorf("call %d: got %q (%+v), want %q", i+1, rule, refused, step.rule)
		}
		if rule == "key" && !strings.Contains(refused.Reason, "the limit of this key is reached: at most 3 an hour, of all its tools together; try again in") {
			t.Errorf("call %d: got the reason %q", i+1, refused.Reason)
		}
	}
	if err := (Policy{Limits: []Limit{{Calls: 1, Per: Hour, By: byKeyAlone}}}).bounds(); err == nil {
		t.Error("a policy may say what only keys may")
	}
}
