package store

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"remit/policy"
)

// Limits are the counts of the replicas on PostgreSQL, where no Redis keeps them.
type Limits struct{ *Store }

var _ policy.Place = Limits{}

// inTurn runs do in a transaction in which nobody else touches what has one of the names.
func (l Limits) inTurn(ctx context.Context, names []string, do func(*sql.Tx) error) error {
	tx, err := l.reads.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	slices.Sort(names) // two who take locks in different orders wait for each other
	if _, err := tx.ExecContext(ctx, "select pg_advisory_xact_lock(hashtextextended(name, 0)) from unnest($1::text[]) name", names); err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// Take counts the call unless something of it is to be loaded, or full.
func (l Limits) Take(ctx context.Context, c policy.Asked) (a policy.Answer, err error) {
	if len(c.Limits) == 0 && c.Running == "" {
		var any bool
		if err := l.reads.QueryRowContext(ctx, "select exists (select 1 from counting where name = any($1))", c.Counts).Scan(&any); err != nil || !any {
			return a, err
		}
	}
	names := slices.Clone(c.Counts)
	if c.Running != "" {
		names = append(names, "running "+c.Running)
	}
	err = l.inTurn(ctx, names, func(tx *sql.Tx) error {
		var now int64 // a clock that steps back opens nothing
		if err := tx.QueryRowContext(ctx, "select greatest("+l.engine.clock+", (select max(at) from counted where name = any($1)))", c.Counts).Scan(&now); err != nil {
			return err
		}
		if a, err = l.decide(ctx, tx, c, now); err != nil || len(a.Load) > 0 || a.Full > 0 || a.Busy {
			return err
		}
		if c.Running != "" {
			if _, err := tx.ExecContext(ctx, "insert into running (name, id, expires) values ($1, $2, $3)", c.Running, c.ID, now+c.Longest.Microseconds()); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, "insert into counted (name, at, id) select name, cast($2 as bigint), cast($3 as text) from counting where name = any($1)", c.Counts, now, c.ID); err != nil {
			return err
		}
		if rand.N(100) > 0 {
			return nil
		}
		_, err := tx.ExecContext(ctx, `delete from counted c where name = any($1) and (at <= $2 or
			at < (select at from counted o where o.name = c.name order by at desc offset $3 limit 1))`, c.Counts, now-policy.KeptFor.Microseconds(), policy.KeptCalls)
		return err
	})
	return a, err
}

// decide says whether the call may begin now.
func (l Limits) decide(ctx context.Context, tx *sql.Tx, c policy.Asked, now int64) (a policy.Answer, err error) {
	whole, err := collect(ctx, tx, func(r *sql.Rows) (name string, err error) { err = r.Scan(&name); return name, err },
		"select name from counting where name = any($1) and whole = 1", c.Counts)
	if err != nil {
		return a, err
	}
	for i, limit := range c.Limits {
		name := c.Counts[limit.Count]
		if !slices.Contains(whole, name) {
			if _, err := tx.ExecContext(ctx, "insert into counting (name, whole) values ($1, 0) on conflict (name) do nothing", name); err != nil {
				return a, err
			}
			a.Load = append(a.Load, limit.Count)
			continue
		}
		var at int64
		err := tx.QueryRowContext(ctx, "select at from counted where name = $1 order by at desc offset $2 limit 1", name, limit.Calls-1).Scan(&at)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return a, err
		}
		if wait := time.Duration(at-now)*time.Microsecond + limit.Per; wait > a.Wait {
			a.Full, a.Wait = i+1, wait
		}
	}
	if len(a.Load) > 0 || a.Full > 0 || c.Running == "" {
		return a, nil
	}
	if _, err := tx.ExecContext(ctx, "delete from running where name = $1 and expires <= $2", c.Running, now); err != nil {
		return a, err
	}
	var running int
	err = tx.QueryRowContext(ctx, "select count(*) from running where name = $1", c.Running).Scan(&running)
	a.Busy = running >= c.Concurrent
	return a, err
}

// Load adds calls that began so long ago to a count that is to be loaded.
func (l Limits) Load(ctx context.Context, count string, ago []time.Duration) error {
	return l.inTurn(ctx, []string{count}, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, "update counting set whole = 1 where name = $1 and whole = 0", count)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 { // somebody else did, or it was lost again
			return err
		}
		micros := make([]int64, len(ago))
		for i, d := range ago {
			micros[i] = d.Microseconds()
		}
		_, err = tx.ExecContext(ctx, "insert into counted (name, at, id) select cast($1 as text), "+l.engine.clock+" - ago, 'past' from unnest($2::bigint[]) ago", count, micros)
		return err
	})
}

// End takes a call from those that run.
func (l Limits) End(ctx context.Context, running, id string) error {
	_, err := l.reads.ExecContext(ctx, "delete from running where name = $1 and id = $2", running, id)
	return err
}
