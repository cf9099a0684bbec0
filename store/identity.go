package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"remit/audit"
	"remit/identity"
)

var _ identity.Store = (*Store)(nil)

const personColumns = "select name, roles, password, disabled, created, issuer, subject, vouched, provider_groups, teams from person"

func scanPerson(r *sql.Rows) (p identity.Person, err error) {
	var roles, groups, teams []byte
	var created, vouched int64
	if err = r.Scan(&p.Name, &roles, &p.Password, &p.Disabled, &created, &p.Issuer, &p.Subject, &vouched, &groups, &teams); err == nil {
		err = errors.Join(json.Unmarshal(roles, &p.Roles), json.Unmarshal(groups, &p.Groups), json.Unmarshal(teams, &p.Teams))
	}
	p.Created, p.Vouched = fromMicros(created), fromMicros(vouched)
	return p, err
}

// one returns the only row of a query, or ErrNotFound.
func one[T any](ctx context.Context, q querier, scan func(*sql.Rows) (T, error), query string, args ...any) (T, error) {
	found, err := collect(ctx, q, scan, query, args...)
	if err == nil && len(found) == 0 {
		err = identity.ErrNotFound
	}
	if err != nil {
		var none T
		return none, err
	}
	return found[0], nil
}

// orZero turns ErrNotFound into the zero value that an Update's change expects.
func orZero[T any](v T, err error) (T, error) {
	if err == identity.ErrNotFound {
		err = nil
	}
	return v, err
}

// Person returns a person by name.
func (s *Store) Person(ctx context.Context, name string) (identity.Person, error) {
	return one(ctx, s.reads, scanPerson, personColumns+" where name = $1", name)
}

// People returns everybody by name.
func (s *Store) People(ctx context.Context) ([]identity.Person, error) {
	return collect(ctx, s.reads, scanPerson, personColumns+" order by name")
}

// UpdatePerson changes a person, ends their access if it is to end, and records it.
func (s *Store) UpdatePerson(ctx context.Context, name string, ends identity.Ends, change func(identity.Person) (identity.Person, audit.Entry, error)) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		old, err := orZero(one(ctx, tx, scanPerson, personColumns+" where name = $1", name))
		if err != nil {
			return err
		}
		p, entry, err := change(old)
		if err != nil {
			return err
		}
		roles, err := json.Marshal(p.Roles)
		if err != nil {
			return err
		}
		groups, err := json.Marshal(append([]string{}, p.Groups...))
		if err != nil {
			return err
		}
		teams, err := json.Marshal(append([]string{}, p.Teams...))
		if err != nil {
			return err
		}
		if _, err := tx.Exec(`insert into person (name, roles, password, disabled, created, issuer, subject, vouched, provider_groups, teams)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict (name) do update set roles = excluded.roles, password = excluded.password,
			disabled = excluded.disabled, issuer = excluded.issuer, subject = excluded.subject, vouched = excluded.vouched,
			provider_groups = excluded.provider_groups, teams = excluded.teams`,
			name, string(roles), p.Password, bit(p.Disabled), micros(p.Created), p.Issuer, p.Subject, micros(p.Vouched), string(groups), string(teams)); err != nil {
			return err
		}
		if ends.Access {
			if err := endAccess(tx, name, ends.Keep); err != nil {
				return err
			}
		}
		return appendEntry(tx, entry)
	})
}

// endAccess ends a person's one-time links and sessions, but the one session to keep.
func endAccess(tx *sql.Tx, person string, keep []byte) error {
	if keep == nil {
		keep = []byte{} // the hash of none: a comparison with null would keep all
	}
	_, err := tx.Exec("delete from session where person = $1 and hash <> $2", person, keep)
	if err == nil {
		_, err = tx.Exec("delete from link where person = $1", person)
	}
	return err
}

const keyColumns = `select k.id, hash, agent, usr, persona, k.created, creator, expires, revoked, last_use, last_from, bounds, replaces, replaced_by,
	coalesce(p.disabled, 0), case when p.issuer <> '' then p.vouched else 0 end, coalesce(o.team, '')
	from access_key k left join person p on p.name = k.usr left join persona o on o.id = k.persona`

func scanKey(r *sql.Rows) (k identity.Key, err error) {
	var created, expires, revoked, used, vouched int64
	var bounds []byte
	if err = r.Scan(&k.ID, &k.Hash, &k.Agent, &k.User, &k.Persona, &created, &k.By, &expires, &revoked, &used, &k.LastFrom, &bounds,
		&k.Replaces, &k.ReplacedBy, &k.Barred, &vouched, &k.Team); err != nil {
		return k, err
	}
	k.Created, k.Expires, k.Revoked, k.LastUse = fromMicros(created), fromMicros(expires), fromMicros(revoked), fromMicros(used)
	k.Vouched = fromMicros(vouched)
	d := json.NewDecoder(bytes.NewReader(bounds))
	d.DisallowUnknownFields() // what this version does not know narrows, too
	if err := d.Decode(&k.Bounds); err != nil {
		return k, fmt.Errorf("the bounds of key %s cannot be read: %w", k.ID, err)
	}
	return k, nil
}

// Key returns a key by its public id.
func (s *Store) Key(ctx context.Context, id string) (identity.Key, error) {
	return one(ctx, s.reads, scanKey, keyColumns+" where k.id = $1", id)
}

// Keys returns the keys of a persona, or of all with an empty one, newest first.
func (s *Store) Keys(ctx context.Context, persona string) ([]identity.Key, error) {
	return collect(ctx, s.reads, scanKey, keyColumns+" where $1 = '' or persona = $1 order by k.created desc, k.id", persona)
}

// AddKey adds a key and records it, if may allows it for the team that owns its persona.
func (s *Store) AddKey(ctx context.Context, k identity.Key, may func(team string) (audit.Entry, error)) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		var team string
		if err := tx.QueryRow("select team from persona where id = $1", k.Persona).Scan(&team); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		entry, err := may(team)
		if err != nil {
			return err
		}
		old, err := orZero(one(ctx, tx, scanKey, keyColumns+" where k.id = $1", k.ID))
		if err != nil {
			return err
		}
		if old.ID != "" {
			return fmt.Errorf("key id %s exists already; try again", k.ID)
		}
		if err := saveKey(tx, k.ID, k); err != nil {
			return err
		}
		return appendEntry(tx, entry)
	})
}

// UpdateKey changes a key and records it.
func (s *Store) UpdateKey(ctx context.Context, id string, change func(identity.Key) (identity.Key, audit.Entry, error)) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		old, err := orZero(one(ctx, tx, scanKey, keyColumns+" where k.id = $1", id))
		if err != nil {
			return err
		}
		k, entry, err := change(old)
		if err != nil {
			return err
		}
		if err := saveKey(tx, id, k); err != nil {
			return err
		}
		return appendEntry(tx, entry)
	})
}

// RotateKey changes a key, adds the one that takes its place, and records both.
func (s *Store) RotateKey(ctx context.Context, id string, change func(identity.Key) (old, next identity.Key, entries [2]audit.Entry, err error)) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		old, err := orZero(one(ctx, tx, scanKey, keyColumns+" where k.id = $1", id))
		if err != nil {
			return err
		}
		old, next, entries, err := change(old)
		if err != nil {
			return err
		}
		if _, err := one(ctx, tx, scanKey, keyColumns+" where k.id = $1", next.ID); err != identity.ErrNotFound {
			return errors.Join(fmt.Errorf("key id %s exists already; try again", next.ID), err)
		}
		for i, k := range []identity.Key{old, next} {
			if err := saveKey(tx, k.ID, k); err != nil {
				return err
			}
			if err := appendEntry(tx, entries[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// saveKey adds a key, or changes when one ends and what replaces it; all else of a key never changes.
func saveKey(tx *sql.Tx, id string, k identity.Key) error {
	bounds, err := json.Marshal(k.Bounds)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`insert into access_key (id, hash, agent, usr, persona, created, creator, expires, revoked, last_use, bounds, replaces, replaced_by)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
		on conflict (id) do update set expires = excluded.expires, revoked = excluded.revoked, replaced_by = excluded.replaced_by`,
		id, k.Hash, k.Agent, k.User, k.Persona, micros(k.Created), k.By, micros(k.Expires), micros(k.Revoked), micros(k.LastUse),
		string(bounds), k.Replaces, k.ReplacedBy)
	return err
}

// TouchKey notes when and from where a key was last used, at most once a minute.
func (s *Store) TouchKey(ctx context.Context, id string, used time.Time, from string) error {
	return s.exec(ctx, "update access_key set last_use = $1, last_from = $2 where id = $3 and last_use <= $4",
		micros(used), from, id, micros(used.Add(-time.Minute)))
}

func (s *Store) exec(ctx context.Context, query string, args ...any) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec(query, args...)
		return err
	})
}

// OpenSession keeps a session and records it, if the person is still what was checked.
func (s *Store) OpenSession(ctx context.Context, n identity.Session, checked identity.Person, e audit.Entry) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		now, err := one(ctx, tx, scanPerson, personColumns+" where name = $1", n.Person)
		if err != nil {
			return err
		}
		if now.Disabled || now.Password != checked.Password || now.Issuer != checked.Issuer || now.Subject != checked.Subject {
			return identity.ErrNotFound
		}
		if _, err := tx.Exec("insert into session (hash, person, created, seen, provider_session) values ($1, $2, $3, $4, $5)",
			n.Hash, n.Person, micros(n.Created), micros(n.Seen), n.Provider); err != nil {
			return err
		}
		if _, err := tx.Exec("update person set vouched = $1 where name = $2 and issuer <> ''", micros(checked.Vouched), n.Person); err != nil {
			return err
		}
		return appendEntry(tx, e)
	})
}

// TouchSession notes when a session was last used; one that ended meanwhile stays ended.
func (s *Store) TouchSession(ctx context.Context, hash []byte, seen time.Time) error {
	return s.exec(ctx, "update session set seen = $1 where hash = $2", micros(seen), hash)
}

// Session returns a session by its token's hash.
func (s *Store) Session(ctx context.Context, hash []byte) (identity.Session, error) {
	return one(ctx, s.reads, scanSession, sessionColumns+" where hash = $1", hash)
}

// DeleteSession ends a session.
func (s *Store) DeleteSession(ctx context.Context, hash []byte) error {
	return s.exec(ctx, "delete from session where hash = $1", hash)
}

// SaveLink keeps a one-time link.
func (s *Store) SaveLink(ctx context.Context, l identity.Link) error {
	return s.exec(ctx, "insert into link (hash, person, expires) values ($1, $2, $3)", l.Hash, l.Person, micros(l.Expires))
}

// TakeLink returns a one-time link and deletes it: of two who take it, one gets ErrNotFound.
func (s *Store) TakeLink(ctx context.Context, hash []byte) (l identity.Link, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		l, err = one(ctx, tx, func(r *sql.Rows) (l identity.Link, err error) {
			var expires int64
			err = r.Scan(&l.Hash, &l.Person, &expires)
			l.Expires = fromMicros(expires)
			return l, err
		}, "delete from link where hash = $1 returning hash, person, expires", hash)
		return err
	})
	return l, err
}
