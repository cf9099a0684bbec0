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

// Head is the end of the chain.
func (s *Store) Head(ctx context.Context) (head audit.Head, err error) {
	if err := s.settled(ctx); err != nil {
		return head, err
	}
	err = s.reads.QueryRowContext(ctx, "select seq, hash from audit_head where one = 1").Scan(&head.Seq, &head.Hash)
	return head, err
}

// Oldest returns the first entry that is left; the zero Entry when there is none.
func (s *Store) Oldest(ctx context.Context) (audit.Entry, error) {
	entries, err := s.Since(ctx, 0, 1)
	if err != nil || len(entries) == 0 {
		return audit.Entry{}, err
	}
	return entries[0], nil
}

// LastBefore is the number of the entry before the first one that is not older than t: what is up to it is older, and whole
// from the front. It is 0 when nothing is.
func (s *Store) LastBefore(ctx context.Context, t time.Time) (seq int64, err error) {
	err = s.reads.QueryRowContext(ctx, "select seq - 1 from audit where time >= $1 order by seq limit 1", micros(t)).Scan(&seq)
	if errors.Is(err, sql.ErrNoRows) {
		head, err := s.Head(ctx)
		return head.Seq, err
	}
	if err != nil {
		return 0, err
	}
	oldest, err := s.Oldest(ctx)
	if err != nil || seq < oldest.Seq {
		return 0, err
	}
	return seq, nil
}

// removedAtOnce bounds how long a writer waits while entries are removed.
const removedAtOnce = 500

// Remove deletes what the newest statement in the chain says: whole parts at once where the record has such, the rest in small steps between
// which calls are recorded. One that was interrupted goes on where it stopped.
func (s *Store) Remove(ctx context.Context) error {
	cut, err := s.stated(ctx)
	if err != nil || cut.Last.Seq == 0 {
		return err
	}
	if s.engine.shared {
		if err := s.dropParts(ctx, cut.Last.Seq); err != nil {
			return err
		}
	}
	for {
		var step int64
		err := s.write(ctx, func(tx *sql.Tx) error {
			res, err := tx.Exec("delete from audit where seq in (select seq from audit where seq <= $1 order by seq limit $2)", cut.Last.Seq, removedAtOnce)
			if err != nil {
				return err
			}
			step, err = res.RowsAffected()
			return err
		})
		if err != nil || step < removedAtOnce {
			return err
		}
	}
}

// Unremoved says whether entries are left that the newest statement in the chain says are removed.
func (s *Store) Unremoved(ctx context.Context) (bool, error) {
	cut, err := s.stated(ctx)
	if err != nil || cut.Last.Seq == 0 {
		return false, err
	}
	oldest, err := s.Oldest(ctx)
	return oldest.Seq > 0 && oldest.Seq <= cut.Last.Seq, err
}

// stated is the newest statement of what is removed, the zero Cut when there is none.
func (s *Store) stated(ctx context.Context) (audit.Cut, error) {
	entries, err := s.Entries(ctx, audit.Query{Kind: audit.Pruned, Limit: 1})
	if err != nil || len(entries) == 0 {
		return audit.Cut{}, err
	}
	return audit.CutOf(entries[0])
}

const maxSinceBytes = 1 << 20

// Since returns the entries that follow number seq, oldest first: as many as fit into limit and, but for the first, 1 MiB.
func (s *Store) Since(ctx context.Context, seq int64, limit int) (entries []audit.Entry, err error) {
	if err := s.settled(ctx); err != nil {
		return nil, err
	}
	rows, err := s.reads.QueryContext(ctx, fmt.Sprintf("select body from audit where seq > $1 order by seq limit %d", limit), seq)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for size := 0; rows.Next(); {
		var body []byte
		if err := rows.Scan(&body); err != nil {
			return nil, err
		}
		if size += len(body); size > maxSinceBytes && len(entries) > 0 {
			return entries, nil
		}
		var e audit.Entry
		if err := json.Unmarshal(body, &e); err != nil {
			return nil, fmt.Errorf("audit: an entry after number %d was edited: %w", seq, err)
		}
		entries = append(entries, e)
	}
	return entries, rows.Err()
}

// Shipped says how far the record was sent to a sink; one that is not known has got nothing.
func (s *Store) Shipped(ctx context.Context, sink string) (audit.Shipped, error) {
	all, err := collect(ctx, s.reads, func(r *sql.Rows) (p audit.Shipped, err error) {
		var sent, failed int64
		err = r.Scan(&p.Sink, &p.Upto.Seq, &p.Upto.Hash, &sent, &failed, &p.Problem)
		p.Sent, p.Failed = fromMicros(sent), fromMicros(failed)
		return p, err
	}, "select name, seq, hash, sent, failed, problem from audit_sink where name = $1", sink)
	if err != nil || len(all) == 0 {
		return audit.Shipped{Sink: sink}, err
	}
	return all[0], nil
}

// SaveShipped replaces what is known of a sink.
func (s *Store) SaveShipped(ctx context.Context, p audit.Shipped) error {
	return s.exec(ctx, `insert into audit_sink (name, seq, hash, sent, failed, problem) values ($1, $2, $3, $4, $5, $6) on conflict (name)
		do update set seq = excluded.seq, hash = excluded.hash, sent = excluded.sent, failed = excluded.failed, problem = excluded.problem`,
		p.Sink, p.Upto.Seq, p.Upto.Hash, micros(p.Sent), micros(p.Failed), p.Problem)
}
