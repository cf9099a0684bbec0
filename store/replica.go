package store

import (
	"context"
	"time"
)

// Several processes serve on a shared database. Each says that it is there; the intents of one that no longer does are
// recovered by the others.
const (
	beatEvery = 5 * time.Second
	silence   = 30 * time.Second // after which a process is taken for dead
)

// beat says that this process is there.
func (s *Store) beat(ctx context.Context) error {
	_, err := s.reads.ExecContext(ctx, "insert into replica (id, beat) values ($1, "+s.engine.clock+") on conflict (id) do update set beat = excluded.beat", s.owner)
	return err
}

// stayAlive beats until the store closes. A beat that fails is not told: what else the database is asked then fails, too.
func (s *Store) stayAlive() {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
			ctx, cancel := context.WithTimeout(context.Background(), beatEvery)
			_ = s.beat(ctx)
			cancel()
		}
	}
}

// leave ends this process's turn, so that the others need not wait to recover what it left.
func (s *Store) leave() error {
	ctx, cancel := context.WithTimeout(context.Background(), beatEvery)
	defer cancel()
	_, err := s.reads.ExecContext(ctx, "delete from replica where id = $1", s.owner)
	return err
}
