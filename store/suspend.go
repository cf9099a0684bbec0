package store

import (
	"context"
	"database/sql"
	"fmt"

	"remit/audit"
	"remit/persona"
)

// Suspensions returns what is suspended now, by kind and name.
func (s *Store) Suspensions(ctx context.Context) ([]persona.Suspension, error) {
	return collect(ctx, s.reads, func(r *sql.Rows) (v persona.Suspension, err error) {
		var at int64
		err = r.Scan(&v.Kind, &v.Name, &v.Person, &v.Reason, &at)
		v.At = fromMicros(at)
		return v, err
	}, "select kind, name, person, reason, at from suspension order by kind, name")
}

// exists asks for a target. A tool that a server took back exists while some revision grants it: it may come back.
var exists = map[persona.Kind]string{
	persona.OnePersona: "select exists (select 1 from persona where id = $1)",
	persona.OneServer:  "select exists (select 1 from listing where server = $1)",
	persona.OneTool:    "select exists (select 1 from tool where id = $1) or exists (select 1 from granted where tool = $1)",
}

// Suspend writes a suspension and its entry.
func (s *Store) Suspend(ctx context.Context, v persona.Suspension, e audit.Entry) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		query, known := exists[v.Kind]
		if !known {
			return fmt.Errorf("%w: %s", persona.ErrInvalid, v.Target)
		}
		var found bool
		if err := tx.QueryRow(query, v.Name).Scan(&found); err != nil {
			return err
		}
		if !found {
			return persona.ErrNoTarget
		}
		return changeOne(tx, persona.ErrSuspended, e, `insert into suspension (kind, name, person, reason, at)
			values ($1, $2, $3, $4, $5) on conflict (kind, name) do nothing`, string(v.Kind), v.Name, v.Person, v.Reason, micros(v.At))
	})
}

// Resume deletes the suspension of v's target and writes the entry.
func (s *Store) Resume(ctx context.Context, v persona.Suspension, e audit.Entry) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		return changeOne(tx, persona.ErrNotSuspended, e, "delete from suspension where kind = $1 and name = $2", string(v.Kind), v.Name)
	})
}

// changeOne changes one row and writes the entry, or returns none when there was no row to change.
func changeOne(tx *sql.Tx, none error, e audit.Entry, statement string, args ...any) error {
	if err := changeNoEntry(tx, none, statement, args...); err != nil {
		return err
	}
	return appendEntry(tx, e)
}
