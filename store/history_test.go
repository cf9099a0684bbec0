package store_test

import (
	"slices"
	"testing"
	"time"

	"remit/audit"
	"remit/policy"
)

// history: a limiter that starts anew learns which calls began before, as far as they reached a server or may have.
func history(t *testing.T, e engine) {
	s := e.open(t)
	defer s.Close()
	now := time.Now().UTC().Truncate(time.Microsecond)
	call := func(persona, key, tool string, ago, took time.Duration, d audit.Decision) audit.Entry {
		return audit.Entry{Time: now.Add(-ago + took), Micros: took.Microseconds(), Kind: audit.ToolCall, Actor: audit.Actor{Key: key}, Persona: persona, Tool: tool, Decision: d}
	}
	for _, entry := range []audit.Entry{
		call("a", "k1", "s/t", 30*time.Hour, 0, audit.Allowed),
		call("a", "k1", "s/t", 3*time.Hour, 0, audit.Allowed),
		call("a", "k2", "s/t", 2*time.Hour, time.Minute, audit.Failed),
		call("b", "k3", "s/t", time.Hour, 0, audit.Unknown),
		call("a", "k1", "s/t", time.Minute, 0, audit.Refused),
		call("a", "k1", "s/other", time.Minute, 0, audit.Allowed),
		call("a", "k1", "s/t", 40*time.Hour, 0, audit.Allowed), // while the clock was wrong
		{Time: now, Kind: "tool.change", Tool: "s/t", Decision: audit.Changed},
	} {
		if err := s.Append(t.Context(), entry); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Begin(t.Context(), call("a", "k1", "s/t", time.Second, 0, audit.Unknown)); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		of   policy.Subject
		max  int
		want []time.Duration // ago
	}{
		{policy.Subject{Tool: "s/t"}, 10, []time.Duration{3 * time.Hour, 2 * time.Hour, time.Hour, time.Second}},
		{policy.Subject{Tool: "s/t", Persona: "a"}, 10, []time.Duration{3 * time.Hour, 2 * time.Hour, time.Second}},
		{policy.Subject{Tool: "s/t", Persona: "a", Key: "k1"}, 10, []time.Duration{3 * time.Hour, time.Second}},
		{policy.Subject{Tool: "s/t"}, 2, []time.Duration{time.Hour, time.Second}},
		{policy.Subject{Tool: "s/none"}, 2, nil},
		{policy.Subject{Persona: "a", Key: "k1"}, 10, []time.Duration{3 * time.Hour, time.Minute, time.Second}},
		{policy.Subject{Persona: "b", Key: "k1"}, 10, nil},
	} {
		times, err := s.Begun(t.Context(), tc.of, now.Add(-24*time.Hour), tc.max)
		if err != nil {
			t.Fatal(err)
		}
		var got []time.Duration
		for _, at := range times {
			got = append(got, now.Sub(at))
		}
		slices.Sort(got)
		slices.Reverse(got)
		if !slices.Equal(got, tc.want) {
			t.Errorf("%+v: got %v, want %v", tc.of, got, tc.want)
		}
	}
}
