package store

import (
	"context"
	"crypto/rand"
)

// Secret returns 32 random bytes that are the same for the name as long as the database lives.
func (s *Store) Secret(ctx context.Context, name string) ([]byte, error) {
	fresh := make([]byte, 32)
	rand.Read(fresh)
	if err := s.exec(ctx, "insert into secret (name, body) values ($1, $2) on conflict (name) do nothing", name, fresh); err != nil {
		return nil, err
	}
	var body []byte
	err := s.reads.QueryRowContext(ctx, "select body from secret where name = $1", name).Scan(&body)
	return body, err
}
