package store

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

var sqlite = engine{
	dialect: goose.DialectSQLite3,
	folder:  "migrations/sqlite",
	open:    openSQLite,
	name:    func(path string) string { return path },
	size:    "select p.page_count * z.page_size from pragma_page_count() p, pragma_page_size() z",
	clock:   "cast(unixepoch('subsec') * 1000000 as integer)",
}

// openSQLite opens the file, or creates it for its owner alone: one writer and many readers.
func openSQLite(path string) (writer, reads *sql.DB, err error) {
	if err := create(path); err != nil {
		return nil, nil, err
	}
	// 200 pages at a time go from the log into the file, instead of 1,000, which keep the disk and a processor from calls for 10 ms.
	if writer, err = openFile(path, "&_txlock=immediate&_pragma=foreign_keys(1)&_pragma=wal_autocheckpoint(200)", 1); err != nil {
		return nil, nil, err
	}
	if reads, err = openFile(path, "&_pragma=query_only(1)", 8); err != nil {
		return nil, nil, errors.Join(err, writer.Close())
	}
	return writer, reads, nil
}

func openFile(path, options string, connections int) (*sql.DB, error) {
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
