package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"remit/catalog/crawl"
)

var _ crawl.Turns = (*Store)(nil)

const turnColumns = "server, holder, place, fence, expires, asked, answered, kept, listed, report"

// Turns renews the turns of this process, takes those of wanted that are nobody's, and returns all. They last so long from now on.
func (s *Store) Turns(ctx context.Context, wanted []string, last time.Duration) ([]crawl.Turn, error) {
	if _, err := s.reads.ExecContext(ctx, "update crawl set expires = "+s.engine.clock+" + $1 where holder = $2", last.Microseconds(), s.owner); err != nil {
		return nil, err
	}
	turns, err := s.turns(ctx)
	if err != nil {
		return nil, err
	}
	known := map[string]crawl.Turn{}
	for _, t := range turns {
		known[t.Server] = t
	}
	took := false
	for _, server := range wanted {
		t, ok := known[server]
		if ok && !t.Free {
			continue
		}
		n, err := s.take(ctx, server, last, fmt.Sprintf(" where crawl.fence = %d and crawl.expires < %s", t.Fence, s.engine.clock))
		if err != nil {
			return nil, err
		}
		took = took || n > 0
	}
	if !took {
		return turns, nil
	}
	turns, err = s.turns(ctx)
	for i, t := range turns {
		was, ok := known[t.Server]
		turns[i].Died = t.Mine && !was.Mine && (!ok || was.Place != "")
	}
	return turns, err
}

// Take has it be this process's turn, whoever's it was.
func (s *Store) Take(ctx context.Context, server string, last time.Duration) (crawl.Turn, error) {
	if _, err := s.take(ctx, server, last, ""); err != nil {
		return crawl.Turn{}, err
	}
	turns, err := s.turns(ctx)
	for _, t := range turns {
		if t.Server == server {
			return t, err
		}
	}
	return crawl.Turn{}, errors.Join(err, crawl.ErrTurn)
}

func (s *Store) take(ctx context.Context, server string, last time.Duration, where string) (int64, error) {
	res, err := s.reads.ExecContext(ctx, `insert into crawl (`+turnColumns+`) values ($1, $2, $3, 1, `+s.engine.clock+` + $4, 0, 0, 0, 0, '{}')
		on conflict (server) do update set holder = excluded.holder, place = excluded.place, fence = crawl.fence + 1, expires = excluded.expires`+where,
		server, s.owner, place(), last.Microseconds())
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// place is how people call this process.
func place() string {
	host, err := os.Hostname()
	if err != nil {
		host = "a machine without a name"
	}
	return fmt.Sprintf("%s, process %d", host, os.Getpid())
}

func (s *Store) turns(ctx context.Context) ([]crawl.Turn, error) {
	return collect(ctx, s.reads, func(r *sql.Rows) (t crawl.Turn, err error) {
		var holder, report string
		var expires, listed, now int64
		if err = r.Scan(&t.Server, &holder, &t.Place, &t.Fence, &expires, &t.Asked, &t.Answered, &t.Kept, &listed, &report, &now); err != nil {
			return t, err
		}
		t.Free, t.Mine = expires < now, holder == s.owner && expires >= now
		if listed > 0 {
			t.Listed, t.Age = fromMicros(listed), time.Duration(now-listed)*time.Microsecond
		}
		return t, json.Unmarshal([]byte(report), &t.Last)
	}, "select "+turnColumns+", "+s.engine.clock+" from crawl order by server")
}

// Yield ends turns of this process, for another to take.
func (s *Store) Yield(ctx context.Context, servers ...string) error {
	for _, server := range servers {
		if _, err := s.reads.ExecContext(ctx, "update crawl set expires = 0, holder = '', place = '' where server = $1 and holder = $2", server, s.owner); err != nil {
			return err
		}
	}
	return nil
}

// Ask says that a server's tools may have changed. They are known again when as much as is returned was answered.
func (s *Store) Ask(ctx context.Context, server string) (asked int64, err error) {
	err = s.reads.QueryRowContext(ctx, "update crawl set asked = asked + 1 where server = $1 returning asked", server).Scan(&asked)
	return asked, err
}

// Report keeps how the last listing went, if it still is the turn of this process. unanswered says that something that may have changed
// the tools is not.
func (s *Store) Report(ctx context.Context, t crawl.Turn, unanswered bool) error {
	report, err := json.Marshal(t.Last)
	if err != nil {
		return err
	}
	_, err = s.reads.ExecContext(ctx, "update crawl set report = $1, asked = asked + $2 where server = $3 and holder = $4 and fence = $5",
		string(report), bit(unanswered), t.Server, s.owner, t.Fence)
	return err
}

// hold makes sure, until the transaction ends, that it is still the turn of this process, and notes that the server was listed. Where no
// turns are kept there is no fence.
func (s *Store) hold(tx *sql.Tx, t crawl.Turn, changed bool) error {
	if t.Fence == 0 {
		return nil
	}
	res, err := tx.Exec(`update crawl set listed = `+s.engine.clock+`, kept = kept + $1, answered = case when answered < $2 then $2 else answered end
		where server = $3 and holder = $4 and fence = $5`, bit(changed), t.Asked, t.Server, s.owner, t.Fence)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(crawl.ErrTurn, err)
	}
	return nil
}
