package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
)

// write is one of two kinds: a change of anything, or a recording of a call, which is what has to be fast.
type write struct {
	change func(*sql.Tx) error
	record *recording
	done   chan error
}

// moves says whether a write may read what others write, or move the chain. An intent does neither.
func (w write) moves() bool { return w.record == nil || w.record.intent == nil }

var errClosed = errors.New("the store is closed")

// write runs change in a transaction, which it may share with other writers' changes; it returns after the commit. When
// ctx ends after the change was accepted, the outcome is still waited for: an answer is never a guess.
func (s *Store) write(ctx context.Context, change func(*sql.Tx) error) error {
	return s.queue(ctx, write{change: change, done: make(chan error, 1)})
}

func (s *Store) queue(ctx context.Context, w write) error {
	select {
	case s.writes <- w:
		return <-w.done
	case <-s.stop:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

const maxBatch = 128

// writeLoop commits what waits together: under load many changes share one flush to the disk.
func (s *Store) writeLoop() {
	for {
		select {
		case w := <-s.writes:
			batch := []write{w}
			for more := true; more && len(batch) < maxBatch; {
				select {
				case w := <-s.writes:
					batch = append(batch, w)
				default:
					more = false
				}
			}
			s.commit(batch)
		case <-s.stop:
			return
		}
	}
}

// commit runs a batch. A change that fails takes no other with it; a recording that the database refuses takes all.
func (s *Store) commit(batch []write) {
	results := make([]error, len(batch))
	onlyRecords, before := !slices.ContainsFunc(batch, func(w write) bool { return w.record == nil }), uint32(0)
	commits := s.index.commits()
	err := s.inTransaction(func(tx *sql.Tx) error {
		if commits != nil {
			before = commits.Load() // nobody else writes until we have committed
		}
		chain := s.record.in(tx)
		if s.engine.lock != "" && slices.ContainsFunc(batch, write.moves) {
			if _, err := tx.Exec(s.engine.lock); err != nil {
				return err
			}
		}
		for i, w := range batch {
			if w.record != nil {
				if err := chain.write(w.record); err != nil {
					return err
				}
				continue
			}
			if err := chain.flush(); err != nil { // the change may add to the chain, too
				return err
			}
			results[i] = inSavepoint(tx, w.change)
		}
		return chain.flush()
	})
	switch {
	case err == nil && !onlyRecords:
		s.changes.Add(1)
	case err == nil && commits != nil && !slices.ContainsFunc(batch, func(w write) bool { return w.record.problem != nil }): // or else it may have written nothing
		run := s.quiet.Load().after(before)
		s.quiet.Store(&run)
	}
	for i, w := range batch {
		if w.record != nil {
			results[i] = w.record.problem
		}
		if results[i] == nil {
			results[i] = err
		}
		w.done <- results[i]
	}
}

func (s *Store) inTransaction(do func(*sql.Tx) error) error {
	tx, err := s.writer.Begin()
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func inSavepoint(tx *sql.Tx, change func(*sql.Tx) error) error {
	if _, err := tx.Exec("savepoint change"); err != nil {
		return err
	}
	err := change(tx)
	if err != nil {
		if _, undo := tx.Exec("rollback to change"); undo != nil {
			return errors.Join(err, undo)
		}
	}
	_, release := tx.Exec("release change")
	return errors.Join(err, release)
}
