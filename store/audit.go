package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"remit/audit"
)

var _ audit.Log = (*Store)(nil)

// Append adds an entry to the chain.
func (s *Store) Append(ctx context.Context, e audit.Entry) error {
	return s.write(ctx, func(tx *sql.Tx) error { return appendEntry(tx, e) })
}

func appendEntry(tx *sql.Tx, e audit.Entry) error {
	var head audit.Head
	if err := tx.QueryRow("select seq, hash from audit_head where one = 1").Scan(&head.Seq, &head.Hash); err != nil {
		return fmt.Errorf("reading the head of the audit chain: %w", err)
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e = e.Seal(head.Seq, head.Hash)
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`insert into audit (seq, time, kind, person, agent, usr, persona, tool, decision, body)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`, e.Seq, micros(e.Time), e.Kind, e.Person, e.Agent, e.User, e.Persona,
		e.Tool, string(e.Decision), string(body))
	if err != nil {
		return err
	}
	_, err = tx.Exec("update audit_head set seq = $1, hash = $2 where one = 1", e.Seq, e.Hash)
	return err
}

// Begin records the intent of a call.
func (s *Store) Begin(ctx context.Context, e audit.Entry) (audit.Ticket, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return 0, err
	}
	var ticket int64
	err = s.write(ctx, func(tx *sql.Tx) error {
		return tx.QueryRow("insert into audit_intent (owner, body) values ($1, $2) returning ticket", s.owner, string(body)).Scan(&ticket)
	})
	return audit.Ticket(ticket), err
}

// Finish appends e in place of the intent.
func (s *Store) Finish(ctx context.Context, t audit.Ticket, e audit.Entry) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.Exec("delete from audit_intent where ticket = $1", int64(t))
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n != 1 {
			return errors.Join(fmt.Errorf("audit intent %d is not open", t), err)
		}
		return appendEntry(tx, e)
	})
}

// Recover turns the intents that an earlier process left open into entries with decision Unknown, and returns how many.
// Only one process may forward calls at a time; it calls this before its first.
func (s *Store) Recover(ctx context.Context) (n int, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		open, err := collect(ctx, tx, scanEntry, "select body from audit_intent where owner <> $1 order by ticket", s.owner)
		if err != nil {
			return err
		}
		n = len(open)
		for _, e := range open {
			e.Decision, e.Reason = audit.Unknown, "Remit stopped before the upstream's answer; the call may have taken effect"
			if err := appendEntry(tx, e); err != nil {
				return err
			}
		}
		_, err = tx.Exec("delete from audit_intent where owner <> $1", s.owner)
		return err
	})
	return n, err
}

func scanEntry(r *sql.Rows) (e audit.Entry, err error) {
	var body []byte
	if err = r.Scan(&body); err == nil {
		err = json.Unmarshal(body, &e)
	}
	return e, err
}

// Entries returns what q selects, newest first.
func (s *Store) Entries(ctx context.Context, q audit.Query) ([]audit.Entry, error) {
	var where []string
	var args []any
	add := func(condition string, value any) {
		args = append(args, value)
		where = append(where, fmt.Sprintf("%s $%d", condition, len(args)))
	}
	for _, f := range []struct{ column, value string }{{"persona", q.Persona}, {"agent", q.Agent}, {"usr", q.User},
		{"person", q.Person}, {"tool", q.Tool}, {"kind", q.Kind}, {"decision", string(q.Decision)}} {
		if f.value != "" {
			add(f.column+" =", f.value)
		}
	}
	if q.Before > 0 {
		add("seq <", q.Before)
	}
	if q.Limit <= 0 {
		q.Limit = 100
	}
	query := "select body from audit"
	if len(where) > 0 {
		query += " where " + strings.Join(where, " and ")
	}
	return collect(ctx, s.reads, scanEntry, fmt.Sprintf("%s order by seq desc limit %d", query, min(q.Limit, 1000)), args...)
}

// Verify walks the whole chain in one reading transaction. It also compares the columns that queries filter on with the
// sealed entry, so that an entry cannot be hidden by editing them.
func (s *Store) Verify(ctx context.Context) (audit.Head, error) {
	tx, err := s.reads.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return audit.Head{}, err
	}
	defer tx.Rollback()
	var head audit.Head
	if err := tx.QueryRowContext(ctx, "select seq, hash from audit_head where one = 1").Scan(&head.Seq, &head.Hash); err != nil {
		return head, err
	}
	rows, err := tx.QueryContext(ctx, "select body, seq, time, kind, person, agent, usr, persona, tool, decision from audit order by seq")
	if err != nil {
		return head, err
	}
	defer rows.Close()
	var v audit.Verifier
	for rows.Next() {
		var body []byte
		var c, e audit.Entry
		var at int64
		if err := rows.Scan(&body, &c.Seq, &at, &c.Kind, &c.Person, &c.Agent, &c.User, &c.Persona, &c.Tool, &c.Decision); err != nil {
			return head, err
		}
		if err := json.Unmarshal(body, &e); err != nil {
			return head, fmt.Errorf("audit: entry %d was edited: %w", c.Seq, err)
		}
		if err := v.Add(e); err != nil {
			return head, err
		}
		if c.Seq != e.Seq || at != micros(e.Time) || c.Kind != e.Kind || c.Person != e.Person || c.Agent != e.Agent ||
			c.User != e.User || c.Persona != e.Persona || c.Tool != e.Tool || c.Decision != e.Decision {
			return head, fmt.Errorf("audit: entry %d was edited: its columns differ from its content", e.Seq)
		}
	}
	return head, errors.Join(rows.Err(), v.End(head))
}
