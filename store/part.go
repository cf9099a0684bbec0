package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// On PostgreSQL the record is in parts, one a month by the time of the entries, which are made ahead and dropped whole. An entry that there is
// no part for goes to otherPart, so that none is refused for want of one, and moves when its part is made.
const (
	otherPart   = "audit_other"
	monthsAhead = 2
	makeEvery   = time.Hour
	// lockFor bounds for how long everybody waits behind a change of the parts that has to wait itself, for who reads the record.
	lockFor  = "2s"
	lockTry  = 10
	lockRest = 3 * time.Second
)

// KeepMonths makes the parts of this month and the next ones, now and then, until ctx ends. failed hears why that is not possible now.
func (s *Store) KeepMonths(ctx context.Context, failed func(error)) error {
	if !s.engine.shared {
		return nil
	}
	tick := time.NewTicker(makeEvery)
	defer tick.Stop()
	for {
		now := time.Now().UTC()
		for n := range monthsAhead + 1 {
			if err := s.makeMonth(ctx, time.Date(now.Year(), now.Month()+time.Month(n), 1, 0, 0, 0, 0, time.UTC)); err != nil && ctx.Err() == nil {
				failed(err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// makeMonth makes the part of a time, if there is none.
func (s *Store) makeMonth(ctx context.Context, at time.Time) error {
	err := s.changeParts(ctx, func(tx *sql.Tx) error {
		var there bool
		if err := tx.QueryRowContext(ctx, "select to_regclass($1) is not null", "audit_"+at.Format("200601")).Scan(&there); err != nil || there {
			return err
		}
		// What is appended there between the move and the check of what is left would fail it.
		for _, lock := range []string{"lock table only audit in share update exclusive mode", "lock table " + otherPart + " in access exclusive mode"} { // in the order of dropParts
			if _, err := tx.ExecContext(ctx, lock); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, "select audit_month($1)", micros(at))
		return err
	})
	if err != nil {
		return fmt.Errorf("the part of the record for %s cannot be made: %w", at.Format("January 2006"), err)
	}
	return nil
}

// changeParts runs a change of the parts, again when somebody reads or writes the record for too long.
func (s *Store) changeParts(ctx context.Context, change func(*sql.Tx) error) (err error) {
	for range lockTry {
		if err = s.changePartsNow(ctx, change); err == nil {
			return nil
		}
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != "55P03" { // lock_not_available
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lockRest):
		}
	}
	return err
}

func (s *Store) changePartsNow(ctx context.Context, change func(*sql.Tx) error) error {
	tx, err := s.reads.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, "set local lock_timeout = '"+lockFor+"'"); err != nil {
		return err
	}
	if err := change(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// part is a part of the record and its last entry, 0 when it is empty.
type part struct {
	name string
	last int64
}

// parts are those of months, by month.
func (s *Store) parts(ctx context.Context) ([]part, error) {
	names, err := collect(ctx, s.reads, func(r *sql.Rows) (name string, err error) { err = r.Scan(&name); return name, err },
		`select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'audit'::regclass and c.relname <> $1 order by c.relname`, otherPart)
	if err != nil {
		return nil, err
	}
	parts := make([]part, len(names))
	for i, name := range names {
		parts[i].name = name
		if err := s.reads.QueryRowContext(ctx, lastOf(name)).Scan(&parts[i].last); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

// lastOf reads the number of a part's last entry. The name is one of ours.
func lastOf(part string) string { return "select coalesce(max(seq), 0) from " + part }

// LastWhole is what LastBefore is for what is removed again and again: where the record has parts, no more than up to the end of one.
func (s *Store) LastWhole(ctx context.Context, t time.Time) (seq int64, err error) {
	most, err := s.LastBefore(ctx, t)
	if err != nil || most == 0 || !s.engine.shared {
		return most, err
	}
	parts, err := s.parts(ctx)
	for _, p := range parts {
		if p.last <= most {
			seq = max(seq, p.last)
		}
	}
	return seq, err
}

// dropParts drops the parts with nothing in them but entries up to a number. One of past months that is empty goes, too.
func (s *Store) dropParts(ctx context.Context, upto int64) error {
	parts, err := s.parts(ctx)
	if err != nil {
		return err
	}
	thisMonth := "audit_" + time.Now().UTC().Format("200601")
	for _, p := range parts {
		if p.last > upto || p.last == 0 && p.name >= thisMonth {
			continue
		}
		if err := s.changeParts(ctx, func(tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, "lock table only audit in access exclusive mode"); err != nil {
				return err
			}
			var last int64 // an entry may have come that is as old, but later
			if err := tx.QueryRowContext(ctx, lastOf(p.name)).Scan(&last); err != nil || last > upto {
				return err
			}
			_, err := tx.ExecContext(ctx, "drop table "+p.name)
			return err
		}); err != nil {
			return fmt.Errorf("the part %s of the record cannot be dropped: %w", p.name, err)
		}
	}
	return nil
}
