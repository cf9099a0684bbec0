package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"time"

	"remit/audit"
	"remit/identity"
)

const sessionColumns = "select hash, person, created, seen, provider_session, browser, address from session"

func scanSession(r *sql.Rows) (n identity.Session, err error) {
	var created, seen int64
	err = r.Scan(&n.Hash, &n.Person, &created, &seen, &n.Provider, &n.Browser, &n.Address)
	n.Created, n.Seen = fromMicros(created), fromMicros(seen)
	return n, err
}

// SessionsOf returns a person's sessions, newest first.
func (s *Store) SessionsOf(ctx context.Context, person string) ([]identity.Session, error) {
	return collect(ctx, s.reads, scanSession, sessionColumns+" where person = $1 order by created desc, hash", person)
}

// EndSessions ends one of a person's sessions, or all but the one to keep, and records it if there was any.
func (s *Store) EndSessions(ctx context.Context, person string, hash, keep []byte, e audit.Entry) (ended int, err error) {
	query, which := "delete from session where person = $1 and hash = $2", hash
	if hash == nil {
		query, which = "delete from session where person = $1 and hash <> $2", keep
	}
	err = s.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.Exec(query, person, which)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if ended = int(n); err != nil || n == 0 {
			return err
		}
		return appendEntry(tx, e)
	})
	return ended, err
}

// DescribeSession notes which browser has the session, and from where.
func (s *Store) DescribeSession(ctx context.Context, hash []byte, browser, address string) error {
	return s.exec(ctx, "update session set browser = $1, address = $2 where hash = $3", browser, address, hash)
}

// PersonOf returns whom the issuer knows as subject.
func (s *Store) PersonOf(ctx context.Context, issuer, subject string) (identity.Person, error) {
	if issuer == "" {
		return identity.Person{}, identity.ErrNotFound
	}
	return one(ctx, s.reads, scanPerson, personColumns+" where issuer = $1 and subject = $2", issuer, subject)
}

// maxFlows bounds how many sign-ins may wait for the provider: whoever starts one has shown nothing yet.
const maxFlows = 10_000

// SaveFlow keeps a flow and forgets those that expired.
func (s *Store) SaveFlow(ctx context.Context, f identity.Flow, now time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.Exec("delete from sign_in_flow where expires <= $1", micros(now)); err != nil {
			return err
		}
		var flows int
		if err := tx.QueryRow("select count(*) from sign_in_flow").Scan(&flows); err != nil {
			return err
		}
		if flows >= maxFlows {
			return identity.ErrBusy
		}
		_, err := tx.Exec("insert into sign_in_flow (state, browser, next, expires) values ($1, $2, $3, $4)", f.State, f.Browser, f.Next, micros(f.Expires))
		return err
	})
}

// changeNoEntry changes one row, or returns none when there was no row to change.
func changeNoEntry(tx *sql.Tx, none error, statement string, args ...any) error {
	res, err := tx.Exec(statement, args...)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return none
}

// TakeFlow returns a flow and deletes it: of two who take it, one gets ErrNotFound.
func (s *Store) TakeFlow(ctx context.Context, state []byte) (f identity.Flow, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		f, err = one(ctx, tx, func(r *sql.Rows) (f identity.Flow, err error) {
			var expires int64
			err = r.Scan(&f.State, &f.Browser, &f.Next, &expires)
			f.Expires = fromMicros(expires)
			return f, err
		}, "delete from sign_in_flow where state = $1 returning state, browser, next, expires", state)
		return err
	})
	return f, err
}

// LogOut ends a session of the provider's, or all access of a subject, and records it if it was somebody's.
func (s *Store) LogOut(ctx context.Context, l identity.Logout, now time.Time, entry func(string) audit.Entry) (person string, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.Exec("delete from logout_token where expires <= $1", micros(now)); err != nil {
			return err
		}
		id := sha256.Sum256([]byte(l.Issuer + "\n" + l.Token))
		if err := changeNoEntry(tx, identity.ErrCredential, "insert into logout_token (id, expires) values ($1, $2) on conflict (id) do nothing",
			id[:], micros(l.Expires)); err != nil {
			return err
		}
		if person, err = loggedOut(tx, l); err != nil || person == "" {
			return err
		}
		if l.Session != "" {
			if _, err := tx.Exec("delete from session where person = $1 and provider_session = $2", person, l.Session); err != nil {
				return err
			}
		} else {
			if _, err := tx.Exec("update person set vouched = $1 where name = $2", micros(now), person); err != nil {
				return err
			}
			if err := endAccess(tx, person, nil); err != nil {
				return err
			}
		}
		return appendEntry(tx, entry(person))
	})
	return person, err
}

// loggedOut returns whom a logout concerns, "" for nobody.
func loggedOut(tx *sql.Tx, l identity.Logout) (person string, err error) {
	err = tx.QueryRow(`select name from person where issuer = $1 and ($2 = '' or subject = $2)
		and ($3 = '' or exists (select 1 from session where session.person = name and provider_session = $3))`,
		l.Issuer, l.Subject, l.Session).Scan(&person)
	if err == sql.ErrNoRows {
		err = nil
	}
	return person, err
}
