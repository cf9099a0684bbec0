// Package store owns how everything is kept: one SQLite file in WAL mode, one writer, many readers. What a method
// acknowledged is on the disk: a process killed at any point loses nothing of it.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

//go:embed migrations
var migrations embed.FS

// Store is an open database. Several processes may hold one file open.
type Store struct {
	reads  *sql.DB
	writer *sql.DB
	writes chan write
	stop   chan struct{}
	done   sync.WaitGroup
	owner  string // of the intents of this process
	record recorder
	index  *walIndex

	journal atomic.Pointer[journal] // nil unless calls are recorded through one
	unknown int                     // calls in flight that were found in a journal when the store was opened
	quiet   atomic.Pointer[quiet]   // the newest run of such transactions of ours
}

// Open opens the file, or creates it for its owner alone, and brings its tables up to date.
func Open(ctx context.Context, path string) (*Store, error) {
	s := &Store{writes: make(chan write), stop: make(chan struct{}), owner: ulid.Make().String()}
	s.quiet.Store(&quiet{})
	err := create(path)
	if err != nil {
		return nil, fmt.Errorf("opening the database %s: %w", path, err)
	}
	if s.writer, err = open(path, "&_txlock=immediate&_pragma=foreign_keys(1)", 1); err != nil {
		return nil, err
	}
	if s.reads, err = open(path, "&_pragma=query_only(1)", 8); err != nil {
		return nil, errors.Join(err, s.writer.Close())
	}
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the database %s: %w", path, err), s.reads.Close(), s.writer.Close())
	}
	if err := s.record.prepare(ctx, s.writer); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the database %s: %w", path, err), s.reads.Close(), s.writer.Close())
	}
	s.index = shareIndex(path)
	s.done.Go(s.writeLoop)
	if err := s.recoverAbandoned(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the database %s: %w", path, err), s.Close())
	}
	return s, nil
}

func open(path, options string, connections int) (*sql.DB, error) {
	dsn := (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}).String() +
		"?_pragma=busy_timeout(15000)&_pragma=journal_mode(wal)&_pragma=synchronous(full)" + options
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("opening the database %s: %w", path, err)
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

func (s *Store) migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, s.writer, files)
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	return err
}

// Close ends the store after the writes that were accepted.
func (s *Store) Close() error {
	var err error
	if j := s.journal.Load(); j != nil {
		err = j.close()
	}
	close(s.stop)
	s.done.Wait()
	err = errors.Join(err, s.writer.Close(), s.reads.Close())
	s.index.release()
	return err
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// querier is what reads outside and inside a transaction share.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// collect scans every row of a query.
func collect[T any](ctx context.Context, q querier, scan func(*sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}
