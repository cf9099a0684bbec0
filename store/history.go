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
	var out []time.Time
	take := func(e audit.Entry) {
		began := e.Began()
		if e.Kind == audit.ToolCall && (of.Tool == "" || e.Tool == of.Tool) && (of.Persona == "" || e.Persona == of.Persona) && (of.Key == "" || e.Key == of.Key) && began.After(since) {
			out = append(out, began)
		}
	}
	for _, e := range slices.Concat(calls, open) {
		take(e)
	}
	by, value := "tool", of.Tool
	if of.Tool == "" {
		by, value = "agent_key", of.Key
	}
	rows, err := s.reads.QueryContext(ctx, `select time, body from audit where `+by+` = $1 and kind = $2 and decision in ('allowed', 'failed', 'unknown')
		and ($3 = '' or tool = $3) and ($4 = '' or persona = $4) and ($5 = '' or agent_key = $5) order by seq desc`, value, audit.ToolCall, of.Tool, of.Persona, of.Key)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for len(out) < max && rows.Next() {
		var ended int64
		var body []byte
		if err := rows.Scan(&ended, &body); err != nil {
			return nil, err
		}
		if ended < micros(since.Add(-clockStep)) {
			break
		}
		e, err := audit.Parse(body)
		if err != nil {
			return nil, err
		}
		take(e)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return out[:min(len(out), max)], nil
}

// clockStep is by how much a clock may have been set back between two entries, whose times are then not in the order of the record.
const clockStep = 24 * time.Hour
