package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"remit/audit"
)

// What a process that died left in the journal.

// recoverAbandoned does what the next server would do first, if there is a journal that no process holds: so whoever reads the record
// of a server that died reads all of it.
func (s *Store) recoverAbandoned(ctx context.Context) error {
	path := journalPath(s.index.path, 0)
	for {
		f, err := os.OpenFile(path, os.O_RDWR, private)
		if errors.Is(err, fs.ErrNotExist) {
			return s.firstLost(ctx)
		}
		if err != nil {
			return err
		}
		if lockFile(f, false) != nil { // somebody serves
			return f.Close()
		}
		if isAt(f, path) {
			s.unknown, _, _, err = s.recoverJournal(ctx)
			return errors.Join(err, f.Close())
		}
		if err := f.Close(); err != nil { // whoever served has removed it
			return err
		}
	}
}

// firstLost says that the other files hold calls without the first, which a process that ends removes last. Whether one serves cannot be
// known then.
func (s *Store) firstLost(ctx context.Context) error {
	newest, err := readJournal(s.index.path)
	if err != nil || newest.epoch == 0 {
		return err
	}
	var epoch int64
	if err := s.reads.QueryRowContext(ctx, "select epoch from audit_journal where one = 1").Scan(&epoch); err != nil || newest.epoch <= epoch {
		return err
	}
	return fmt.Errorf("%s is missing, and the files beside it hold calls: put it back, or, when no Remit serves, make it anew and empty to go on with those",
		journalPath(s.index.path, 0))
}

// recoverJournal puts what an earlier process left into the record, once: its entries, and for the calls that it had in flight
// entries with decision Unknown. The caller holds the lock of the journal.
func (s *Store) recoverJournal(ctx context.Context) (unknown int, applied, epoch int64, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		if err := tx.QueryRowContext(ctx, "select applied, epoch from audit_journal where one = 1").Scan(&applied, &epoch); err != nil {
			return err
		}
		left, err := leftBehind(s.index.path, applied, epoch)
		if err != nil {
			return err
		}
		for _, e := range left.open {
			e.Decision, e.Reason = audit.Unknown, lost
			left.entries = append(left.entries, e)
		}
		if err := appendEntry(tx, left.entries...); err != nil {
			return err
		}
		unknown, applied, epoch = len(left.open), left.entry, left.epoch
		return setJournaled(tx, applied, epoch)
	})
	if err != nil {
		err = fmt.Errorf("what an earlier process left in the journal of calls: %w", err)
	}
	return unknown, applied, epoch, err
}

// recovered says that nothing up to an epoch is to be recovered any more.
func (s *Store) recovered(applied, epoch int64) error {
	return s.write(context.Background(), func(tx *sql.Tx) error { return setJournaled(tx, applied, epoch) })
}

func setJournaled(tx *sql.Tx, applied, epoch int64) error {
	_, err := tx.Exec("update audit_journal set applied = $1, epoch = $2 where one = 1", applied, epoch)
	return err
}
