package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"remit/audit"
	"remit/internal/durable"
)

// Backup writes a copy of a SQLite file, as of one moment, beside whoever serves it. The copy is its owner's alone and durable, and
// its record has been verified: the head is its end. A file that exists is never written over; one that failed is taken away.
func (s *Store) Backup(ctx context.Context, path string) (head audit.Head, err error) {
	if s.engine.shared {
		return head, errors.New("a PostgreSQL database is backed up with its own tools: pg_dump, or a base backup with its write-ahead log")
	}
	if err := s.settled(ctx); err != nil {
		return head, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, private)
	if errors.Is(err, fs.ErrExist) {
		return head, fmt.Errorf("%s exists and is not written over: name another file", path)
	}
	if err != nil {
		return head, err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	// The connection that writes, since those that read may not write into another file either: this process's changes wait meanwhile.
	if _, err := s.writer.ExecContext(ctx, "vacuum into $1", path); err != nil {
		return head, err
	}
	if err := f.Sync(); err != nil {
		return head, err
	}
	copied, err := Open(ctx, path)
	if err != nil {
		return head, err
	}
	head, err = copied.Verify(ctx)
	if err = errors.Join(err, copied.Close()); err != nil {
		return head, err
	}
	return head, durable.Name(path)
}
