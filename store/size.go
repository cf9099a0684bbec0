package store

import "context"

// Size is how many bytes the database has, without what was written last and is not in its file yet.
func (s *Store) Size(ctx context.Context) (bytes int64, err error) {
	err = s.reads.QueryRowContext(ctx, "select p.page_count * z.page_size from pragma_page_count() p, pragma_page_size() z").Scan(&bytes)
	return bytes, err
}
