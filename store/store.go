// Package store owns how everything is kept: one SQLite file in WAL mode, or a PostgreSQL database that several processes
// serve on; one writer in each process, many readers. What a method acknowledged is on the disk: a process killed at any point
// loses nothing of it.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/pressly/goose/v3"
)

//go:embed migrations
var migrations embed.FS

// Store is an open database. Several processes may hold one open.
type Store struct {
	engine engine
	where  string // as it was opened
	reads  *sql.DB
	writer *sql.DB
	writes chan write
	stop   chan struct{}
	done   sync.WaitGroup
	owner  string // of the intents of this process
	record recorder
	index  *walIndex // nil on a database that is shared

	journal atomic.Pointer[journal] // nil unless calls are recorded through one
	unknown int                     // calls in flight that were found in a journal when the store was opened
	quiet   atomic.Pointer[quiet]   // the newest run of such transactions of ours
	changes atomic.Int64            // transactions of ours that may have changed what a request is decided by
}

// Open opens a database and brings its tables up to date: a postgres:// URL, or the path of a file, which is created for its
// owner alone if need be. Before it changes the tables of an earlier version, which may take as long as the record is, it calls upgrading.
func Open(ctx context.Context, where string, upgrading ...func(from, to int64)) (*Store, error) {
	s := &Store{engine: engineOf(where), where: where, writes: make(chan write), stop: make(chan struct{}), owner: ulid.Make().String()}
	s.quiet.Store(&quiet{})
	if err := s.start(ctx, where, upgrading); err != nil {
		return nil, fmt.Errorf("opening the database %s: %w", s.engine.name(where), err)
	}
	if !s.engine.shared {
		s.index = shareIndex(where)
	}
	s.done.Go(s.writeLoop)
	if s.engine.shared {
		s.done.Go(s.stayAlive)
	} else if err := s.recoverAbandoned(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the database %s: %w", where, err), s.Close())
	}
	return s, nil
}

func (s *Store) start(ctx context.Context, where string, upgrading []func(from, to int64)) (err error) {
	if s.writer, s.reads, err = s.engine.open(where); err != nil {
		return err
	}
	if err = s.migrate(ctx, upgrading); err == nil {
		err = s.record.prepare(ctx, s.writer)
	}
	if err == nil && s.engine.shared {
		err = s.record.prepareMany(ctx, s.writer)
	}
	if err == nil && s.engine.shared {
		err = s.beat(ctx)
	}
	if err != nil {
		return errors.Join(err, s.reads.Close(), s.writer.Close())
	}
	return nil
}

func (s *Store) migrate(ctx context.Context, upgrading []func(from, to int64)) error {
	files, err := fs.Sub(migrations, s.engine.folder)
	if err != nil {
		return err
	}
	var options []goose.ProviderOption
	if s.engine.shared {
		l, err := oneMigrates()
		if err != nil {
			return err
		}
		options = append(options, l)
	}
	p, err := goose.NewProvider(s.engine.dialect, s.writer, files, options...)
	if err != nil {
		return err
	}
	// Not asked of p, which would make its table, without the lock, while other replicas do; where there is none, nothing is upgraded.
	var from int64
	sources := p.ListSources()
	to := sources[len(sources)-1].Version
	if err := s.writer.QueryRowContext(ctx, "select max(version_id) from goose_db_version").Scan(&from); err == nil && from > 0 && from < to {
		for _, f := range upgrading {
			f(from, to)
		}
	}
	if _, err := p.Up(ctx); err != nil {
		return err
	}
	is, knows, err := p.GetVersions(ctx)
	if err == nil && is > knows {
		err = fmt.Errorf("a newer Remit has changed its tables (version %d, this one knows %d): run that Remit, or go back to the backup from before the upgrade", is, knows)
	}
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
	if s.engine.shared {
		err = errors.Join(err, s.leave())
	}
	err = errors.Join(err, s.writer.Close(), s.reads.Close())
	s.index.release()
	return err
}

// Ready says why the database cannot be asked.
func (s *Store) Ready(ctx context.Context) error {
	var one int
	return s.reads.QueryRowContext(ctx, "select one from standing where one = 1").Scan(&one)
}

// Shared says whether several processes serve on the database at a time.
func (s *Store) Shared() bool { return s.engine.shared }

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

// snapshot is a transaction in which all reads see the same.
var snapshot = &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead}

// bit is how a boolean is kept.
func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// querier is what reads outside and inside a transaction share.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
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
