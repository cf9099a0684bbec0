//go:build unix

// Command backing starts a PostgreSQL that loses nothing in a crash and a Redis, for as long as it runs, and prints one line "NAME
// POSTGRES-URL REDIS-URL" for each name that it is given, every one with databases of its own.
package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"remit/internal/services"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "backing:", err)
		os.Exit(1)
	}
	<-ctx.Done()
}

func run(names []string) error {
	postgres, err := services.NewPostgres()
	if err != nil {
		return err
	}
	redis, err := services.NewRedis()
	if err != nil {
		return err
	}
	db, err := sql.Open("pgx", postgres.URL)
	if err != nil {
		return err
	}
	defer db.Close()
	for _, statement := range []string{"alter system set fsync = on", "select pg_reload_conf()"} { // the tests' is off
		if _, err := db.Exec(statement); err != nil {
			return err
		}
	}
	for i, name := range names {
		database, err := postgres.Database(strings.ReplaceAll(name, "-", "_"))
		if err != nil {
			return err
		}
		fmt.Printf("%s %s %s%d\n", name, database, strings.TrimSuffix(redis.URL, "0"), i)
	}
	return nil
}
