package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"remit/approval"
	"remit/audit"
)

var _ approval.Store = (*Store)(nil)

const approvalColumns = `id, state, agent_key, agent, usr, persona, revision, tool, digest, argument_digest, minutes, created, expires,
	decided, person, reason, solo`

// selectApproval adds whose the persona is now.
const selectApproval = "select " + approvalColumns + ", coalesce((select team from persona p where p.id = approval.persona), '')"

// scanApproval reads the columns, and the arguments where they are selected, too.
func scanApproval(rows *sql.Rows) (r approval.Request, err error) {
	var created, expires, decided int64
	fields := []any{&r.ID, &r.State, &r.Key, &r.Agent, &r.User, &r.Persona, &r.Revision, &r.Tool, &r.Digest, &r.Arguments, &r.Minutes,
		&created, &expires, &decided, &r.Person, &r.Reason, &r.Solo, &r.Team}
	columns, err := rows.Columns()
	if err != nil {
		return r, err
	}
	var text []byte
	if len(columns) > len(fields) {
		fields = append(fields, &text)
	}
	err = rows.Scan(fields...)
	if len(text) > 0 {
		r.Text = text
	}
	r.Created, r.Expires, r.Decided = fromMicros(created), fromMicros(expires), fromMicros(decided)
	return r, err
}

const wholeApproval = selectApproval + ", arguments from approval"

func oneApproval(ctx context.Context, q querier, id string) (approval.Request, error) {
	found, err := collect(ctx, q, scanApproval, wholeApproval+" where id = $1", id)
	if err == nil && len(found) == 0 {
		err = approval.ErrNotFound
	}
	if err != nil {
		return approval.Request{}, err
	}
	return found[0], nil
}

// Approval returns a request with its arguments.
func (s *Store) Approval(ctx context.Context, id string) (approval.Request, error) {
	return oneApproval(ctx, s.reads, id)
}

// Approvals returns requests in any of the states, newest first, without arguments.
func (s *Store) Approvals(ctx context.Context, states []approval.State, limit int, seen func(approval.Request) bool) (found []approval.Request, err error) {
	where, args := "", []any(nil)
	if len(states) > 0 {
		var marks []string
		for _, state := range states {
			args = append(args, string(state))
			marks = append(marks, fmt.Sprintf("$%d", len(args)))
		}
		where = " where state in (" + strings.Join(marks, ", ") + ")"
	}
	rows, err := s.reads.QueryContext(ctx, selectApproval+" from approval"+where+" order by created desc, id", args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for len(found) < limit && rows.Next() {
		r, err := scanApproval(rows)
		if err != nil {
			return nil, err
		}
		if seen == nil || seen(r) {
			found = append(found, r)
		}
	}
	return found, rows.Err()
}

// AskApproval returns the open request of r's binding, or keeps r.
func (s *Store) AskApproval(ctx context.Context, r approval.Request, e audit.Entry) (found approval.Request, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		if err := closeApprovals(ctx, tx, r.Created); err != nil {
			return err
		}
		open, err := collect(ctx, tx, scanApproval, wholeApproval+` where open = 1 and agent_key = $1 and agent = $2 and usr = $3 and persona = $4
			and revision = $5 and tool = $6 and digest = $7 and argument_digest = $8`,
			r.Key, r.Agent, r.User, r.Persona, r.Revision, r.Tool, r.Digest, r.Arguments)
		if err != nil {
			return err
		}
		if len(open) > 0 {
			found = open[0]
			return nil
		}
		var ofKey, ofPersona int
		if err := tx.QueryRow("select coalesce(sum(case when agent_key = $1 then 1 else 0 end), 0), count(*) from approval where state = $2 and persona = $3",
			r.Key, string(approval.Pending), r.Persona).Scan(&ofKey, &ofPersona); err != nil {
			return err
		}
		if ofKey >= approval.MaxPerKey || ofPersona >= approval.MaxPerPersona {
			return approval.ErrTooMany
		}
		found = r
		return errors.Join(writeApproval(tx, r, true), appendEntry(tx, e))
	})
	return found, err
}

// writeApproval keeps r. What it is bound to never changes.
func writeApproval(tx *sql.Tx, r approval.Request, open bool) error {
	_, err := tx.Exec("insert into approval ("+approvalColumns+`, open, arguments)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
		on conflict (id) do update set state = excluded.state, expires = excluded.expires, decided = excluded.decided, person = excluded.person,
		reason = excluded.reason, solo = excluded.solo, open = excluded.open, arguments = excluded.arguments`,
		r.ID, string(r.State), r.Key, r.Agent, r.User, r.Persona, r.Revision, r.Tool, r.Digest, r.Arguments, r.Minutes, micros(r.Created), micros(r.Expires),
		micros(r.Decided), r.Person, r.Reason, bit(r.Solo), bit(open), append([]byte{}, r.Text...))
	return err
}

// UpdateApproval changes a request and records it.
func (s *Store) UpdateApproval(ctx context.Context, id string, change approval.Change) error {
	return s.write(ctx, func(tx *sql.Tx) error { return updateApproval(ctx, tx, id, change) })
}

func updateApproval(ctx context.Context, tx *sql.Tx, id string, change approval.Change) error {
	r, err := oneApproval(ctx, tx, id)
	if err != nil {
		return err
	}
	r, e, err := change(r)
	if err != nil {
		return err
	}
	open := r.State == approval.Pending || r.State == approval.Approved || r.State == approval.Denied
	return errors.Join(writeApproval(tx, r, open), appendEntry(tx, e))
}

// UseApproval changes a request and records that and the intent of its call, all or nothing.
func (s *Store) UseApproval(ctx context.Context, id string, change approval.Change, intent audit.Entry) (t audit.Ticket, err error) {
	body, err := json.Marshal(intent)
	if err != nil {
		return 0, err
	}
	err = s.write(ctx, func(tx *sql.Tx) error {
		err := updateApproval(ctx, tx, id, change)
		if err == nil {
			err = tx.QueryRow(insertIntent, s.owner, string(body)).Scan(&t)
		}
		return err
	})
	return t, err
}

// CloseApprovals ends what is due at now, and deletes what ended before forget.
func (s *Store) CloseApprovals(ctx context.Context, now, forget time.Time) error {
	var due bool
	err := s.reads.QueryRowContext(ctx, "select exists (select 1 from approval where open = 1 and expires <= $1 or open = 0 and expires < $2)",
		micros(now), micros(forget)).Scan(&due)
	if err != nil || !due {
		return err
	}
	return s.write(ctx, func(tx *sql.Tx) error {
		if err := closeApprovals(ctx, tx, now); err != nil {
			return err
		}
		_, err := tx.Exec("delete from approval where open = 0 and expires < $1", micros(forget))
		return err
	})
}

func closeApprovals(ctx context.Context, tx *sql.Tx, now time.Time) error {
	due, err := collect(ctx, tx, scanApproval, wholeApproval+" where open = 1 and expires <= $1 order by expires, id", micros(now))
	if err != nil {
		return err
	}
	for _, r := range due {
		closed, e := r.Closed(now)
		err := writeApproval(tx, closed, false)
		if err == nil && e != nil {
			err = appendEntry(tx, *e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
