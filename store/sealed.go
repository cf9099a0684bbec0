package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"remit/audit"
	"remit/credential"
)

var _ credential.Store = (*Store)(nil)

const sealedColumns = "select kind, name, owner, version, changed, expires, body from sealed"

func scanSealed(r *sql.Rows) (s credential.Sealed, err error) {
	var changed, expires int64
	err = r.Scan(&s.Kind, &s.Name, &s.Owner, &s.Version, &changed, &expires, &s.Body)
	s.Changed, s.Expires = fromMicros(changed), fromMicros(expires)
	return s, err
}

// sealedAt returns the record of a place, or ErrNone.
func sealedAt(ctx context.Context, q querier, p credential.Place) (credential.Sealed, error) {
	found, err := collect(ctx, q, scanSealed, sealedColumns+" where kind = $1 and name = $2 and owner = $3", p.Kind, p.Name, p.Owner)
	if err == nil && len(found) == 0 {
		err = credential.ErrNone
	}
	if err != nil {
		return credential.Sealed{}, err
	}
	return found[0], nil
}

// Sealed returns the record of a place.
func (s *Store) Sealed(ctx context.Context, p credential.Place) (credential.Sealed, error) {
	return sealedAt(ctx, s.reads, p)
}

// SealedOf returns the records of a kind, with an owner unless that is empty, by name and owner.
func (s *Store) SealedOf(ctx context.Context, kind, owner string) ([]credential.Sealed, error) {
	return collect(ctx, s.reads, scanSealed, sealedColumns+" where kind = $1 and ($2 = '' or owner = $2) order by name, owner", kind, owner)
}

// Reseal puts a record in the place of its version before, if that and the key are what the caller believes.
func (s *Store) Reseal(ctx context.Context, keyID string, r credential.Sealed, e *audit.Entry) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if err := keyIs(tx, keyID); err != nil {
			return err
		}
		now := time.Now()
		if _, err := tx.Exec("delete from sealed where expires > 0 and expires < $1", micros(now)); err != nil {
			return err
		}
		var res sql.Result
		var err error
		switch {
		case r.Body == nil:
			res, err = tx.Exec("delete from sealed where kind = $1 and name = $2 and owner = $3 and version = $4", r.Kind, r.Name, r.Owner, r.Version)
		case r.Version == 0:
			res, err = tx.Exec("insert into sealed (kind, name, owner, version, changed, expires, body) values ($1, $2, $3, 1, $4, $5, $6) on conflict (kind, name, owner) do nothing",
				r.Kind, r.Name, r.Owner, micros(now), micros(r.Expires), r.Body)
		default:
			res, err = tx.Exec("update sealed set version = version + 1, changed = $1, expires = $2, body = $3 where kind = $4 and name = $5 and owner = $6 and version = $7",
				micros(now), micros(r.Expires), r.Body, r.Kind, r.Name, r.Owner, r.Version)
		}
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(credential.ErrMoved, err)
		}
		if e == nil {
			return nil
		}
		return appendEntry(tx, *e)
	})
}

// TakeSealed returns a record and deletes it.
func (s *Store) TakeSealed(ctx context.Context, p credential.Place) (r credential.Sealed, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		if r, err = sealedAt(ctx, tx, p); err != nil {
			return err
		}
		_, err := tx.Exec("delete from sealed where kind = $1 and name = $2 and owner = $3", p.Kind, p.Name, p.Owner)
		return err
	})
	return r, err
}

// Seal says which key is in use.
func (s *Store) Seal(ctx context.Context) (credential.Seal, error) { return sealOf(ctx, s.reads) }

func sealOf(ctx context.Context, q querier) (credential.Seal, error) {
	found, err := collect(ctx, q, func(r *sql.Rows) (k credential.Seal, err error) {
		err = r.Scan(&k.KeyID, &k.Proof)
		return k, err
	}, "select id, proof from sealing_key where one = 1")
	if err != nil || len(found) == 0 {
		return credential.Seal{}, err
	}
	return found[0], nil
}

func keyIs(tx *sql.Tx, id string) error {
	now, err := sealOf(context.Background(), tx)
	if err == nil && now.KeyID != id {
		err = credential.ErrKeyMoved
	}
	return err
}

// Rekey changes the key in use and every record with it.
func (s *Store) Rekey(ctx context.Context, from string, to credential.Seal, change func(credential.Sealed) ([]byte, error), e audit.Entry) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if err := keyIs(tx, from); err != nil {
			return err
		}
		all, err := collect(ctx, tx, scanSealed, sealedColumns)
		if err != nil {
			return err
		}
		for _, r := range all {
			body, err := change(r)
			if err == nil && body == nil {
				_, err = tx.Exec("delete from sealed where kind = $1 and name = $2 and owner = $3", r.Kind, r.Name, r.Owner)
			}
			if err != nil {
				return err
			}
			if _, err := tx.Exec("update sealed set version = version + 1, body = $1 where kind = $2 and name = $3 and owner = $4", body, r.Kind, r.Name, r.Owner); err != nil {
				return err
			}
		}
		if _, err := tx.Exec("insert into sealing_key (one, id, proof) values (1, $1, $2) on conflict (one) do update set id = excluded.id, proof = excluded.proof", to.KeyID, to.Proof); err != nil {
			return err
		}
		return appendEntry(tx, e)
	})
}
