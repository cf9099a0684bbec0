package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"remit/audit"
)

// What other processes do with the journal: who comes after one that died, and who reads beside one that serves.

// recoverAbandoned does what the next server would do first, if there is a journal that no process holds: so whoever reads the record
// of a server that died reads all of it.
func (s *Store) recoverAbandoned(ctx context.Context) error {
	f, err := lockJournal(journalPath(s.index.path, 0), false)
	switch {
	case errors.Is(err, errHeld): // somebody serves
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return s.firstLost(ctx)
	case err != nil:
		return err
	}
	defer f.Close()
	s.unknown, _, _, err = s.recoverJournal(ctx)
	return err
}

// firstLost says that the other files hold calls without the first, which a process that ends removes last. Whether one serves cannot be
// known then.
func (s *Store) firstLost(ctx context.Context) error {
	newest, err := readJournal(s.index.path)
	if err != nil || newest.epoch == 0 {
		return err
	}
	if _, epoch, err := journaled(ctx, s.reads); err != nil || newest.epoch <= epoch {
		return err
	}
	return fmt.Errorf("%s is missing, and the files beside it hold calls: put it back, or, when no Remit serves, make it anew and empty to go on with those",
		journalPath(s.index.path, 0))
}

// recoverJournal puts what an earlier process left into the record, once: its entries, and for the calls that it had in flight
// entries with decision Unknown. The caller holds the lock of the journal.
func (s *Store) recoverJournal(ctx context.Context) (unknown int, applied, epoch int64, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		var err error
		if applied, epoch, err = journaled(ctx, tx); err != nil {
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

// journaled is how far the journal is in the database: the number of the last entry, and the epoch up to which nothing is to be recovered.
func journaled(ctx context.Context, q querier) (applied, epoch int64, err error) {
	err = q.QueryRowContext(ctx, "select applied, epoch from audit_journal where one = 1").Scan(&applied, &epoch)
	return applied, epoch, err
}

func setJournaled(tx *sql.Tx, applied, epoch int64) error {
	_, err := tx.Exec("update audit_journal set applied = $1, epoch = $2 where one = 1", applied, epoch)
	return err
}

// patience is how long a process waits for the one that serves.
const patience = 10 * time.Second

// othersSettled waits for the journal of the process that serves, if there is one.
func (s *Store) othersSettled(ctx context.Context) error {
	if s.index == nil {
		return nil
	}
	if _, err := os.Stat(journalPath(s.index.path, 0)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	stop, tick := time.Now().Add(patience), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	pause := func() error {
		select {
		case <-tick.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	newest, err := readJournal(s.index.path)
	for err == nil && newest.after > 0 && time.Now().Before(stop) { // it went on to other files meanwhile
		if err = pause(); err == nil {
			newest, err = readJournal(s.index.path)
		}
	}
	if err != nil {
		return err
	}
	upto := int64(0)
	for _, n := range newest.notes {
		if n.kind != noteIntent {
			upto = max(upto, n.entry)
		}
	}
	for {
		applied, epoch, err := journaled(ctx, s.reads)
		if err != nil {
			return err
		}
		switch {
		case applied >= upto || newest.epoch <= epoch:
			return nil
		case time.Now().After(stop):
			return errors.New("the Remit that serves has not brought its newest calls into the database yet: look at its log, and try again")
		}
		if err := pause(); err != nil {
			return err
		}
	}
}
