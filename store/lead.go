package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// A lease lasts so long after it was last renewed; its holder stops a little sooner. The database's clock alone counts, so that those
// of replicas need not agree.
const (
	leaseFor   = 15 * time.Second
	stopBefore = 3 * time.Second
	renewEvery = 3 * time.Second
)

var errNotLeader = errors.New("another replica leads now")

// lease is the right of one process to do what one replica does at a time.
type lease struct {
	store *Store
	name  string
	fence int64 // grows with each holder
}

// Lead runs do on one replica at a time, again whenever this one gets the lease of the name, until ctx ends or do returns. What do
// does has to end with its context, which ends before another can get the lease. On a SQLite file there is one process, and it leads.
func (s *Store) Lead(ctx context.Context, name string, do func(context.Context) error) error {
	if !s.engine.shared {
		return do(ctx)
	}
	for {
		began := time.Now()
		l, err := s.lease(ctx, name)
		if err == nil {
			if err = l.hold(ctx, began, do); !errors.Is(err, errNotLeader) {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(renewEvery):
		}
	}
}

// lease takes the lease if it is free or over.
func (s *Store) lease(ctx context.Context, name string) (*lease, error) {
	l := &lease{store: s, name: name}
	err := s.reads.QueryRowContext(ctx, fmt.Sprintf(`insert into lease (name, holder, fence, expires) values ($1, $2, 1, %[1]s + $3)
		on conflict (name) do update set holder = excluded.holder, fence = lease.fence + 1, expires = excluded.expires where lease.expires < %[1]s
		returning fence`, s.engine.clock), name, s.owner, leaseFor.Microseconds()).Scan(&l.fence)
	if errors.Is(err, sql.ErrNoRows) {
		err = errNotLeader
	}
	return l, err
}

// hold runs do for as long as the lease, which was asked for at began, can be renewed.
func (l *lease) hold(ctx context.Context, began time.Time, do func(context.Context) error) error {
	held, end := context.WithCancelCause(ctx)
	defer end(nil)
	over := time.AfterFunc(time.Until(began.Add(leaseFor-stopBefore)), func() { end(errNotLeader) })
	defer over.Stop()
	done := make(chan error, 1)
	go func() { done <- do(held) }()
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			if ctx.Err() == nil && errors.Is(context.Cause(held), errNotLeader) {
				return errNotLeader
			}
			bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), renewEvery)
			defer cancel()
			return errors.Join(err, l.extend(bound, 0))
		case <-tick.C:
			asked := time.Now()
			bound, cancel := context.WithTimeout(held, renewEvery)
			err := l.extend(bound, leaseFor)
			cancel()
			if err == nil {
				over.Reset(time.Until(asked.Add(leaseFor - stopBefore)))
			} else if errors.Is(err, errNotLeader) {
				end(err)
			}
		}
	}
}

// extend has the lease last so long from now on, unless it went to another.
func (l *lease) extend(ctx context.Context, d time.Duration) error {
	res, err := l.store.reads.ExecContext(ctx, "update lease set expires = "+l.store.engine.clock+" + $1 where name = $2 and holder = $3 and fence = $4",
		d.Microseconds(), l.name, l.store.owner, l.fence)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(errNotLeader, err)
	}
	return nil
}
