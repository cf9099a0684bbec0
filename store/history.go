package store

import (
	"context"
	"slices"
	"time"

	"remit/audit"
	"remit/policy"
)

var _ policy.History = (*Store)(nil)

// Begun returns when the calls of the subject began that reached a server or may have, after since: the newest max of them. Calls
// in flight are among them; the entry of a call that ended carries the time of its end and how long it took.
func (s *Store) Begun(ctx context.Context, of policy.Subject, since time.Time, max int) ([]time.Time, error) {
	var calls []audit.Entry // in flight, before what has ended is looked at
	if j := s.journal.Load(); j != nil {
		var err error
		if calls, err = j.inFlight(); err != nil {
			return nil, err
		}
	}
	if err := s.settled(ctx); err != nil {
		return nil, err
	}
	// Intents come before entries: a call that ends between the two is counted twice rather than not at all.
	open, err := collect(ctx, s.reads, scanEntry, "select body from audit_intent")
	if err != nil {
		return nil, err
	}
	by, value := "tool", of.Tool
	if of.Tool == "" {
		by, value = "agent_key", of.Key
	}
	entries, err := collect(ctx, s.reads, scanEntry, `select body from audit where `+by+` = $1 and time > $2 and kind = $3
		and decision in ('allowed', 'failed', 'unknown') and ($4 = '' or persona = $4) order by seq desc limit 100000`,
		value, micros(since), audit.ToolCall, of.Persona)
	if err != nil {
		return nil, err
	}
	var out []time.Time
	for _, e := range slices.Concat(calls, open, entries) {
		began := e.Time.Add(-time.Duration(e.Micros) * time.Microsecond)
		if e.Kind == audit.ToolCall && (of.Tool == "" || e.Tool == of.Tool) && (of.Persona == "" || e.Persona == of.Persona) && (of.Key == "" || e.Key == of.Key) && began.After(since) && len(out) < max {
			out = append(out, began)
		}
	}
	return out, nil
}
