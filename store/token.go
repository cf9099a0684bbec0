package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"remit/audit"
	"remit/identity"
)

const tokenColumns = "select id, hash, name, roles, teams, created, creator, expires, revoked, last_use from token"

func scanToken(r *sql.Rows) (t identity.Token, err error) {
	var roles, teams []byte
	var created, expires, revoked, used int64
	if err = r.Scan(&t.ID, &t.Hash, &t.Name, &roles, &teams, &created, &t.By, &expires, &revoked, &used); err == nil {
		err = errors.Join(json.Unmarshal(roles, &t.Roles), json.Unmarshal(teams, &t.Teams))
	}
	t.Created, t.Expires, t.Revoked, t.LastUse = fromMicros(created), fromMicros(expires), fromMicros(revoked), fromMicros(used)
	return t, err
}

// Token returns a management token by its public id.
func (s *Store) Token(ctx context.Context, id string) (identity.Token, error) {
	return one(ctx, s.reads, scanToken, tokenColumns+" where id = $1", id)
}

// Tokens returns all management tokens, newest first.
func (s *Store) Tokens(ctx context.Context) ([]identity.Token, error) {
	return collect(ctx, s.reads, scanToken, tokenColumns+" order by created desc, id")
}

// AddToken keeps a new management token and records it, unless somebody else has, or had, one of the name.
func (s *Store) AddToken(ctx context.Context, t identity.Token, e audit.Entry) error {
	roles, err := json.Marshal(t.Roles)
	if err != nil {
		return err
	}
	teams, err := json.Marshal(t.Teams)
	if err != nil {
		return err
	}
	return s.write(ctx, func(tx *sql.Tx) error {
		others, err := collect(ctx, tx, scanToken, tokenColumns+" where name = $1 and creator <> $2 limit 1", t.Name, t.By)
		if err != nil {
			return err
		}
		if len(others) > 0 {
			return identity.ErrTaken
		}
		if _, err := tx.Exec(`insert into token (id, hash, name, roles, teams, created, creator, expires, revoked, last_use)
			values ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0)`, t.ID, t.Hash, t.Name, string(roles), string(teams), micros(t.Created), t.By, micros(t.Expires)); err != nil {
			return err
		}
		return appendEntry(tx, e)
	})
}

// RevokeToken ends a management token and records it; one that was revoked keeps its time.
func (s *Store) RevokeToken(ctx context.Context, id string, at time.Time, e audit.Entry) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.Exec("update token set revoked = $1 where id = $2 and revoked = 0", micros(at), id); err != nil {
			return err
		}
		return appendEntry(tx, e)
	})
}

// TouchToken notes when a management token was last used.
func (s *Store) TouchToken(ctx context.Context, id string, used time.Time) error {
	return s.exec(ctx, "update token set last_use = $1 where id = $2 and last_use < $1", micros(used), id)
}
