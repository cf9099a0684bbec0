package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
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
	_, err = tx.Exec("insert into audit (body, seq, time, "+filterColumns+`)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		append([]any{string(body), e.Seq, micros(e.Time)}, filterFields(&e)...)...)
	if err != nil {
		return err
	}
	_, err = tx.Exec("update audit_head set seq = $1, hash = $2 where one = 1", e.Seq, e.Hash)
	return err
}

// Begin records the intent of a call.
func (s *Store) Begin(ctx context.Context, e audit.Entry) (t audit.Ticket, err error) {
	body, err := json.Marshal(e)
	if err != nil {
		return 0, err
	}
	err = s.write(ctx, func(tx *sql.Tx) (err error) {
		t, err = s.writeIntent(tx, body)
		return err
	})
	return t, err
}

func (s *Store) writeIntent(tx *sql.Tx, body []byte) (audit.Ticket, error) {
	var ticket int64
	err := tx.QueryRow("insert into audit_intent (owner, body) values ($1, $2) returning ticket", s.owner, string(body)).Scan(&ticket)
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
