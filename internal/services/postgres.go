//go:build unix

package services

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// NewPostgres starts a cluster for one test. Its socket is in a folder, and nothing listens on the network. It sorts text as
// people do, which Remit's order must not follow.
func NewPostgres() (*Server, error) {
	const elsewhere = "/usr/lib/postgresql/*/bin"
	initdb, err := find("initdb", "postgresql", elsewhere)
	if err != nil {
		return nil, err
	}
	postgres, err := find("postgres", "postgresql", elsewhere)
	if err != nil {
		return nil, err
	}
	dir, err := folder("postgres")
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	prepare := exec.Command(initdb, "-D", data, "-U", "remit", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en")
	prepare.Dir, prepare.SysProcAttr = dir, &syscall.SysProcAttr{Credential: unprivileged()}
	if out, err := prepare.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	// A crash of the server alone, which is what tests make, loses nothing without fsync. Who measures turns it on.
	settings, err := os.OpenFile(filepath.Join(data, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	_, err = settings.WriteString("\nfsync = off\n")
	if err := errors.Join(err, settings.Close()); err != nil {
		return nil, err
	}
	address := (&url.URL{Scheme: "postgres", User: url.User("remit"), Path: "/postgres", RawQuery: url.Values{"host": {dir}}.Encode()}).String()
	s, err := launch(dir, "QUIT", func() error { return execute(address, "select 1") }, postgres, "-D", data, "-k", dir, "-c", "listen_addresses=",
		"-c", "max_connections=200")
	if err != nil {
		return nil, err
	}
	s.URL = address
	return s, nil
}

var (
	cluster   = sync.OnceValues(NewPostgres)
	databases atomic.Int64
)

// Postgres returns the URL of a new, empty database. All tests of a process share a cluster.
func Postgres(t testing.TB) string {
	t.Helper()
	s, err := cluster()
	if err != nil {
		t.Fatal(err)
	}
	address, err := s.Database(fmt.Sprintf("t%d", databases.Add(1)))
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// Database makes an empty database in a cluster and returns its URL.
func (s *Server) Database(name string) (string, error) {
	u, err := url.Parse(s.URL)
	if err == nil {
		err = execute(s.URL, "create database "+name)
	}
	if err != nil {
		return "", err
	}
	u.Path = "/" + name
	return u.String(), nil
}

func execute(address, statement string) error {
	db, err := sql.Open("pgx", address)
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err = db.ExecContext(ctx, statement)
	return err
}
