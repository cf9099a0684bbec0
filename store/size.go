package store

import "context"

// Size is how many bytes the database has, without what was written last and is not in its file yet.
func (s *Store) Size(ctx context.Context) (bytes int64, err error) {
	err = s.reads.QueryRowContext(ctx, s.engine.size).Scan(&bytes)
	return bytes, err
}
