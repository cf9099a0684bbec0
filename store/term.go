package store

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"remit/persona"
)

// termColumns are what scanTerm reads; a persona without dates has no row.
const termColumns = `, coalesce(t.expires, 0), coalesce(t.recertify, 0), coalesce(t.missed, ''), coalesce(t.seen, 0), coalesce(t.ended, 0),
	coalesce(t.told_expiry, ''), coalesce(t.told_recertification, '')`

// scanTerm reads a row that begins with first.
func scanTerm(r *sql.Rows, first ...any) (t persona.Term, err error) {
	var expires, recertify, seen, ended int64
	err = r.Scan(append(first, &expires, &recertify, &t.Missed, &seen, &ended, &t.ToldExpiry, &t.ToldRecertification)...)
	t.Expires, t.Recertify, t.Seen, t.Ended = fromMicros(expires), fromMicros(recertify), fromMicros(seen), fromMicros(ended)
	return t, err
}

func termRow(t persona.Term) []any {
	return []any{micros(t.Expires), micros(t.Recertify), string(t.Missed), micros(t.Seen), micros(t.Ended), string(t.ToldExpiry), string(t.ToldRecertification)}
}

// writeTerm writes a term that changed.
func writeTerm(tx *sql.Tx, id persona.ID, was, is persona.Term) error {
	if slices.Equal(termRow(was), termRow(is)) {
		return nil
	}
	_, err := tx.Exec(`insert into term (persona, expires, recertify, missed, seen, ended, told_expiry, told_recertification)
		values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (persona) do update set expires = excluded.expires, recertify = excluded.recertify,
		missed = excluded.missed, seen = excluded.seen, ended = excluded.ended, told_expiry = excluded.told_expiry,
		told_recertification = excluded.told_recertification`, append([]any{string(id)}, termRow(is)...)...)
	return err
}

// TermsSeen keeps that all dates were looked at. It only goes on: a clock that was set back is found by it. No entry says so,
// as none says when a key was last used.
func (s *Store) TermsSeen(ctx context.Context, at time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec("update term set seen = $1 where seen < $1 and (expires > 0 or recertify > 0)", micros(at))
		return err
	})
}
