package store

import (
	"context"
	"database/sql"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"remit/audit"
)

// filterColumns repeat parts of an entry, so that queries need not read JSON in SQL, which no two databases spell alike.
// filterFields are the same of an entry, in the same order, to write, to read and to compare.
const filterColumns = "kind, person, agent, usr, agent_key, persona, revision, tool, decision, policy, client, trace, shadow, shadow_decision, shadow_policy"

func filterFields(e *audit.Entry) []any {
	return []any{&e.Kind, &e.Person, &e.Agent, &e.User, &e.Key, &e.Persona, &e.Revision, &e.Tool, &e.Decision, &e.Policy, &e.Client, &e.Trace,
		&e.Shadow.Revision, &e.Shadow.Decision, &e.Shadow.Policy}
}

// sameColumns says without reflection, for nearly all entries, that those fields of two are equal.
func sameColumns(a, b *audit.Entry) bool {
	return a.Kind == b.Kind && a.Actor == b.Actor && a.Persona == b.Persona && a.Revision == b.Revision && a.Tool == b.Tool && a.Decision == b.Decision &&
		a.Policy == b.Policy && a.Client == b.Client && a.Trace == b.Trace && a.Shadow.Revision == b.Shadow.Revision &&
		a.Shadow.Decision == b.Shadow.Decision && a.Shadow.Policy == b.Shadow.Policy
}

// appendColumns appends what the columns of an entry hold: PostgreSQL keeps no text with a NUL.
func appendColumns(rows []any, e *audit.Entry) []any {
	text := func(t string) string { return strings.ReplaceAll(t, "\x00", "\ufffd") }
	return append(rows, text(e.Kind), text(e.Person), text(e.Agent), text(e.User), text(e.Key), text(e.Persona), e.Revision, text(e.Tool), text(string(e.Decision)),
		text(e.Policy), text(e.Client), text(e.Trace), e.Shadow.Revision, text(string(e.Shadow.Decision)), text(e.Shadow.Policy))
}

// selection is q as the condition of a query on audit.
func selection(q audit.Query) (where string, args []any) {
	conditions := []string{"1 = 1"}
	add := func(given bool, condition string, value any) {
		if given {
			args = append(args, value)
			conditions = append(conditions, fmt.Sprintf("%s $%d", condition, len(args)))
		}
	}
	for _, f := range []struct{ column, value string }{{"persona", q.Persona}, {"agent", q.Agent}, {"usr", q.User}, {"person", q.Person},
		{"agent_key", q.Key}, {"tool", q.Tool}, {"kind", q.Kind}, {"decision", string(q.Decision)}, {"client", q.Client}, {"shadow_decision", string(q.ShadowDecision)}} {
		add(f.value != "", f.column+" =", f.value)
	}
	for _, persona := range q.Without {
		add(true, "persona <>", persona)
	}
	add(q.Server != "", begins("tool", q.Server), q.Server+"/")
	add(q.Policy != "", begins("policy || '/'", q.Policy), q.Policy+"/")
	add(q.ShadowPolicy != "", begins("shadow_policy || '/'", q.ShadowPolicy), q.ShadowPolicy+"/")
	add(q.Shadow != 0, "shadow > 0 and shadow =", q.Shadow) // the first part chooses the index, here
	add(q.Trace != "", "trace <> '' and trace =", q.Trace)  // and here
	add(q.Revision != 0, "revision =", q.Revision)
	add(!q.Since.IsZero(), "time >=", micros(q.Since))
	add(!q.Until.IsZero(), "time <", micros(q.Until))
	add(q.Before > 0, "seq <", q.Before)
	return " where " + strings.Join(conditions, " and "), args
}

// begins compares the start of a path with first and a slash. LIKE would need escapes, and ignores case in SQLite only.
func begins(path, first string) string {
	return fmt.Sprintf("substr(%s, 1, %d) =", path, utf8.RuneCountInString(first)+1)
}

// Entries returns what q selects, newest first.
func (s *Store) Entries(ctx context.Context, q audit.Query) ([]audit.Entry, error) {
	if err := s.settled(ctx); err != nil {
		return nil, err
	}
	if q.Limit <= 0 {
		q.Limit = 100
	}
	where, args := selection(q)
	return collect(ctx, s.reads, scanEntry, fmt.Sprintf("select body from audit%s order by seq desc limit %d", where, min(q.Limit, 1000)), args...)
}

// Export hands over everything that q selects, oldest first and without a limit, and returns the chain's head at that time.
func (s *Store) Export(ctx context.Context, q audit.Query, each func(audit.Entry) error) (audit.Head, error) {
	where, args := selection(q)
	return s.walk(ctx, "select body from audit"+where+" order by seq", args, func(rows *sql.Rows) error {
		e, err := scanEntry(rows)
		if err != nil {
			return err
		}
		return each(e)
	})
}

// walk reads the head and the rows of a query in one reading transaction.
func (s *Store) walk(ctx context.Context, query string, args []any, each func(*sql.Rows) error) (head audit.Head, err error) {
	if err := s.settled(ctx); err != nil {
		return head, err
	}
	tx, err := s.reads.BeginTx(ctx, snapshot)
	if err != nil {
		return head, err
	}
	defer tx.Rollback()
	if err := tx.QueryRowContext(ctx, "select seq, hash from audit_head where one = 1").Scan(&head.Seq, &head.Hash); err != nil {
		return head, err
	}
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return head, err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			return head, err
		}
	}
	return head, rows.Err()
}

// Verify walks the whole chain. It also compares the columns that queries filter on with the sealed entry, so that an entry
// cannot be hidden by editing them.
func (s *Store) Verify(ctx context.Context) (audit.Head, error) {
	p, err := s.VerifyEach(ctx, func(audit.Entry) error { return nil })
	return p.Head, err
}

// VerifyAfter holds the entries that follow one that is known against the chain, each by its text, and hands over those that Remit wrote
// about the record itself. The columns of the others are not compared: VerifyEach does that.
func (s *Store) VerifyAfter(ctx context.Context, known audit.Head, each func(audit.Entry) error) (audit.Head, error) {
	v := audit.After(known)
	pace := paceOf(ctx)
	var body sql.RawBytes
	head, err := s.walk(ctx, "select body from audit where seq > $1 order by seq", []any{known.Seq}, func(rows *sql.Rows) error {
		if err := rows.Scan(&body); err != nil {
			return err
		}
		pace.step()
		e, read, err := v.AddSealed(body)
		if err == nil && read {
			err = each(e)
		}
		return err
	})
	if err != nil {
		return head, err
	}
	return head, v.Tail(head)
}

// VerifyEach verifies all entries and hands over each that is sound.
func (s *Store) VerifyEach(ctx context.Context, each func(audit.Entry) error) (audit.Proof, error) {
	var v audit.Verifier
	var body sql.RawBytes
	head, err := s.walk(ctx, "select body, seq, time, "+filterColumns+" from audit order by seq", nil, func(rows *sql.Rows) error {
		var c audit.Entry
		var at int64
		if err := rows.Scan(append([]any{&body, &c.Seq, &at}, filterFields(&c)...)...); err != nil {
			return fmt.Errorf("audit: the columns of an entry were edited: %w", err)
		}
		e, err := v.AddText(body)
		if err != nil {
			return err
		}
		if c.Seq != e.Seq || at != micros(e.Time) || !sameColumns(&c, &e) && !reflect.DeepEqual(appendColumns(nil, &c), appendColumns(nil, &e)) {
			return fmt.Errorf("audit: entry %d was edited: its columns differ from its content", e.Seq)
		}
		return each(e)
	})
	if err != nil {
		return audit.Proof{Head: head}, err
	}
	return v.End(head)
}

// Tallies counts the calls that q selects, without a limit; the most frequent come first.
func (s *Store) Tallies(ctx context.Context, q audit.Query) ([]audit.Tally, error) {
	if err := s.settled(ctx); err != nil {
		return nil, err
	}
	q.Kind = audit.ToolCall
	where, args := selection(q)
	return collect(ctx, s.reads, func(r *sql.Rows) (t audit.Tally, err error) {
		var last int64
		err = r.Scan(&t.Persona, &t.Tool, &t.Decision, &t.Policy, &t.Count, &last)
		t.Last = fromMicros(last)
		return t, err
	}, "select persona, tool, decision, policy, count(*), max(time) from audit"+where+
		" group by persona, tool, decision, policy order by count(*) desc, persona, tool, decision, policy", args...)
}

// ShadowTallies counts the calls that q selects, without a limit, by tool and by both decisions; the most frequent come first.
func (s *Store) ShadowTallies(ctx context.Context, q audit.Query) ([]audit.ShadowTally, error) {
	if err := s.settled(ctx); err != nil {
		return nil, err
	}
	q.Kind = audit.ToolCall
	where, args := selection(q)
	return collect(ctx, s.reads, func(r *sql.Rows) (t audit.ShadowTally, err error) {
		var first, last int64
		err = r.Scan(&t.Tool, &t.Decision, &t.Policy, &t.Shadow.Revision, &t.Shadow.Decision, &t.Shadow.Policy, &t.Count, &first, &last)
		t.First, t.Last = fromMicros(first), fromMicros(last)
		return t, err
	}, "select tool, decision, policy, shadow, shadow_decision, shadow_policy, count(*), min(time), max(time) from audit"+where+
		" group by tool, decision, policy, shadow, shadow_decision, shadow_policy order by count(*) desc, tool, decision, policy, shadow_decision, shadow_policy", args...)
}
