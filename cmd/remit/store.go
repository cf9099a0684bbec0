package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"remit/internal/config"
	"remit/store"
)

type storeCmd struct {
	Backup storeBackupCmd `cmd:"" help:"Write a copy of the SQLite file, also while it is served, and verify the record in it."`
	Copy   storeCopyCmd   `cmd:"" help:"Move what a SQLite file has into an empty PostgreSQL database. It may be repeated."`
}

type storeBackupCmd struct {
	File string `arg:"" placeholder:"FILE" help:"The copy, a file that does not exist."`
}

// Run writes the copy, and says up to where its record goes.
func (c storeBackupCmd) Run(a *app) error {
	return a.withStore(func(s *store.Store) error {
		head, err := s.Backup(a.ctx, c.File)
		if err != nil {
			return fmt.Errorf("there is no backup: %w", err)
		}
		_, err = fmt.Fprintf(a.out, "%s is a copy, and its record verifies up to entry %d with the hash %s\nKeep it apart from audit.key and secret.key, without which it cannot be served.\n", c.File, head.Seq, head.Hash)
		return err
	})
}

type storeCopyCmd struct {
	From string `placeholder:"sqlite:FILE" help:"The file (default: that of the data folder). No remit may serve it."`
	To   string `required:"" placeholder:"URL" help:"The database, as postgres://user:$${NAME}@host:5432/name."`
}

// Run copies, and says what the copy was held against.
func (c storeCopyCmd) Run(a *app) (err error) {
	path := strings.TrimPrefix(c.From, "sqlite:")
	if path == "" {
		path = filepath.Join(a.opts.Data, "remit.db")
	}
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("there is nothing to copy: %w; name the file with --from sqlite:FILE", err)
	}
	where, err := config.Expand(c.To)
	if err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	release, err := lock(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer release()
	from, err := a.open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := a.open(where)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	copied, err := store.Copy(a.ctx, from, to, func(table string, rows int64) {
		if rows%10_000 == 0 {
			fmt.Fprintf(a.err, "%s: %d rows\n", table, rows)
		}
	})
	if err != nil {
		return fmt.Errorf("%w; the file is as it was, and the same command goes on", err)
	}
	var rows int64
	for _, n := range copied.Rows {
		rows += n
	}
	_, err = fmt.Fprintf(a.out, "%d rows of %d tables are the same in both, and the record verifies up to entry %d with the hash %s\nServe it with --database, and keep audit.key and secret.key.\n",
		rows, len(copied.Rows), copied.Head.Seq, copied.Head.Hash)
	return err
}
