package store

import (
	"context"
	"database/sql"
	"encoding/json"

	"remit/audit"
)

var _ audit.Log = (*Store)(nil)

// Append adds an entry to the chain.
func (s *Store) Append(ctx context.Context, e audit.Entry) error {
	if j := s.journal.Load(); j != nil {
		return j.end(0, e)
	}
	return s.queue(ctx, write{record: &recording{entry: e}, done: make(chan error, 1)})
}

// Begin records the intent of a call.
func (s *Store) Begin(ctx context.Context, e audit.Entry) (audit.Ticket, error) {
	if j := s.journal.Load(); j != nil {
		return j.begin(e)
	}
	r := &recording{owner: s.owner, intent: e.JSON()}
	err := s.queue(ctx, write{record: r, done: make(chan error, 1)})
	return audit.Ticket(r.ticket), err
}

// Finish appends e in place of the intent. Tickets of the journal are below 0; the other intents, which were recorded in one change
// with something else, are in the database.
func (s *Store) Finish(ctx context.Context, t audit.Ticket, e audit.Entry) error {
	if j := s.journal.Load(); j != nil && t < 0 {
		return j.end(t, e)
	}
	return s.queue(ctx, write{record: &recording{ticket: int64(t), entry: e}, done: make(chan error, 1)})
}

// lost is the reason of an entry with decision Unknown.
const lost = "Remit stopped before the upstream's answer; the call may have taken effect"

// Recover turns the intents that a process left open which is no more into entries with decision Unknown, and returns how
// many. On SQLite only one process may forward calls at a time; it calls this before its first. On PostgreSQL each one of several
// calls it now and then: one that was not heard of for 30 s is no more, and cannot finish its calls then.
func (s *Store) Recover(ctx context.Context) (n int, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		type intent struct {
			ticket int64
			entry  audit.Entry
		}
		dead := "not exists (select 1 from replica where id = owner and beat > " + s.engine.clock + " - $2)"
		left, err := collect(ctx, tx, func(r *sql.Rows) (i intent, err error) {
			var body []byte
			if err = r.Scan(&i.ticket, &body); err == nil {
				err = json.Unmarshal(body, &i.entry)
			}
			return i, err
		}, "select ticket, body from audit_intent where owner <> $1 and "+dead+" order by ticket", s.owner, silence.Microseconds())
		if err != nil {
			return err
		}
		n = len(left)
		for _, i := range left {
			i.entry.Decision, i.entry.Reason = audit.Unknown, lost
			if err := appendEntry(tx, i.entry); err != nil {
				return err
			}
			if _, err := tx.Exec(deleteIntent, i.ticket); err != nil {
				return err
			}
		}
		_, err = tx.Exec("delete from replica where beat <= "+s.engine.clock+" - $1 and not exists (select 1 from audit_intent where owner = id)", silence.Microseconds())
		return err
	})
	return n, err
}

func scanEntry(r *sql.Rows) (e audit.Entry, err error) {
	var body []byte
	if err = r.Scan(&body); err == nil {
		e, err = audit.Parse(body)
	}
	return e, err
}
