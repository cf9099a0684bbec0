package store

import (
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// The locks that PostgreSQL needs: one replica migrates at a time, and one change of one replica at a time is written, so that
// a change sees all that was written before it and the record has one chain.
var postgres = engine{
	dialect: goose.DialectPostgres,
	folder:  "migrations/postgres",
	shared:  true,
	open:    openPostgres,
	name:    withoutPassword,
	lock:    "select 1 from audit_head where one = 1 for update",
	size:    "select pg_database_size(current_database())",
	clock:   "cast(extract(epoch from clock_timestamp()) * 1000000 as bigint)",
}

// maxReads bounds the connections that read. A replica has one more that writes and one that listens.
const maxReads = 6

// openPostgres does not connect yet.
func openPostgres(url string) (writer, reads *sql.DB, err error) {
	c, err := configPostgres(url)
	if err != nil {
		return nil, nil, err
	}
	writer, reads = stdlib.OpenDB(*c), stdlib.OpenDB(*c)
	writer.SetMaxOpenConns(1)
	writer.SetMaxIdleConns(1)
	reads.SetMaxOpenConns(maxReads)
	reads.SetMaxIdleConns(maxReads)
	return writer, reads, nil
}

// configPostgres reads the URL. What it does not say is such that an acknowledged write is on the database's disk, and that
// a replica that died, or that the network cut off, is noticed by both sides within 20 s and lets go of its locks.
func configPostgres(url string) (*pgx.ConnConfig, error) {
	c, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, errors.New("it is no URL of a PostgreSQL database: write postgres://user:password@host:5432/name")
	}
	if c.ConnectTimeout == 0 || !strings.Contains(url, "connect_timeout=") {
		c.ConnectTimeout = 10 * time.Second
	}
	for name, value := range map[string]string{"application_name": "remit", "synchronous_commit": "on", "default_transaction_isolation": "read committed",
		"lock_timeout": "20s", "idle_in_transaction_session_timeout": "20s", "tcp_keepalives_idle": "5", "tcp_keepalives_interval": "5",
		"tcp_keepalives_count": "3", "tcp_user_timeout": "20s"} {
		if _, given := c.RuntimeParams[name]; !given {
			c.RuntimeParams[name] = value
		}
	}
	dialer := &net.Dialer{Control: noticeLoss, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 3}}
	c.DialFunc = dialer.DialContext
	return c, nil
}

// withoutPassword is how the database is called in errors.
func withoutPassword(where string) string {
	u, err := url.Parse(where)
	if err != nil {
		return "postgres://…"
	}
	return fmt.Sprintf("postgres://%s%s", u.Host, u.Path)
}

// oneMigrates lets ten replicas start at once: a lock of the session is waited for, for at most five minutes.
func oneMigrates() (goose.ProviderOption, error) {
	l, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
	return goose.WithSessionLocker(l), err
}
