package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"remit/audit"
	"remit/catalog"
	"remit/catalog/crawl"
)

var _ crawl.Store = (*Store)(nil)

// Tools returns every tool that was ever seen, by id, with those that are gone.
func (s *Store) Tools(ctx context.Context) ([]catalog.Tool, error) {
	return collect(ctx, s.reads, func(r *sql.Rows) (catalog.Tool, error) {
		var server string
		var body []byte
		var tokens int
		var first, last int64
		var gone bool
		if err := r.Scan(&server, &body, &tokens, &first, &last, &gone); err != nil {
			return catalog.Tool{}, err
		}
		t, err := catalog.Parse(server, json.RawMessage(body))
		if err != nil {
			return t, fmt.Errorf("a stored definition of %s cannot be read: %w", server, err)
		}
		t.Tokens, t.FirstSeen, t.LastSeen, t.Gone = tokens, fromMicros(first), fromMicros(last), gone
		return t, nil
	}, `select t.server, d.body, t.tokens, t.first_seen, l.listed_at, t.gone from tool t join definition d on d.digest = t.digest
		join listing l on l.server = t.server order by t.id`)
}

// SaveListing makes tools what the server offers, writing only what differs from before, and one entry if anything does.
func (s *Store) SaveListing(ctx context.Context, server string, tools []catalog.Tool, at time.Time) (c crawl.Changes, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		c = crawl.Changes{}
		type row struct {
			digest catalog.Digest
			gone   bool
		}
		known := map[catalog.ID]row{}
		rows, err := tx.QueryContext(ctx, "select id, digest, gone from tool where server = $1", server)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id catalog.ID
			var r row
			if err := rows.Scan(&id, &r.digest, &r.gone); err != nil {
				return err
			}
			known[id] = r
		}
		if err := rows.Err(); err != nil {
			return err
		}
		if _, err := tx.Exec(`insert into listing (server, listed_at) values ($1, $2)
			on conflict (server) do update set listed_at = excluded.listed_at`, server, micros(at)); err != nil {
			return err
		}
		for _, t := range tools {
			old, seen := known[t.ID]
			delete(known, t.ID)
			switch {
			case !seen:
				c.Added = append(c.Added, t.ID)
			case old.digest != t.Digest:
				c.Changed = append(c.Changed, t.ID)
			case old.gone:
				c.Back = append(c.Back, t.ID)
			default:
				continue
			}
			if err := writeTool(tx, server, t, at); err != nil {
				return err
			}
		}
		for id, r := range known {
			if r.gone {
				continue
			}
			c.Gone = append(c.Gone, id)
			if _, err := tx.Exec("update tool set gone = 1 where id = $1", string(id)); err != nil {
				return err
			}
		}
		if c.None() {
			return nil
		}
		return appendEntry(tx, audit.Entry{Time: at, Kind: "catalog.change", Decision: audit.Changed, Detail: c.Detail(server)})
	})
	return c, err
}

func writeTool(tx *sql.Tx, server string, t catalog.Tool, at time.Time) error {
	if err := writeDefinition(tx, t.Digest, t.Definition); err != nil {
		return err
	}
	_, err := tx.Exec(`insert into tool (id, server, digest, tokens, first_seen, gone) values ($1, $2, $3, $4, $5, 0)
		on conflict (id) do update set digest = excluded.digest, tokens = excluded.tokens, gone = 0`,
		string(t.ID), server, string(t.Digest), t.Tokens, micros(at))
	return err
}

// Servers returns the names of all servers that were ever listed.
func (s *Store) Servers(ctx context.Context) ([]string, error) {
	return collect(ctx, s.reads, func(r *sql.Rows) (name string, err error) { err = r.Scan(&name); return name, err },
		"select server from listing order by server")
}

// Vectors returns the stored vectors of a model, by the hash of the text.
func (s *Store) Vectors(ctx context.Context, model string) (map[crawl.TextHash][]float32, error) {
	out := map[crawl.TextHash][]float32{}
	_, err := collect(ctx, s.reads, func(r *sql.Rows) (struct{}, error) {
		var text, body []byte
		if err := r.Scan(&text, &body); err != nil {
			return struct{}{}, err
		}
		v := make([]float32, len(body)/4)
		for i := range v {
			v[i] = math.Float32frombits(binary.LittleEndian.Uint32(body[4*i:]))
		}
		out[crawl.TextHash(text)] = v
		return struct{}{}, nil
	}, "select text, body from vector where model = $1", model)
	return out, err
}

// SaveVectors keeps vectors of a model.
func (s *Store) SaveVectors(ctx context.Context, model string, vectors map[crawl.TextHash][]float32) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		for text, v := range vectors {
			body := make([]byte, 0, 4*len(v))
			for _, f := range v {
				body = binary.LittleEndian.AppendUint32(body, math.Float32bits(f))
			}
			if _, err := tx.Exec(`insert into vector (model, text, body) values ($1, $2, $3) on conflict (model, text) do nothing`,
				model, text[:], body); err != nil {
				return err
			}
		}
		return nil
	})
}

// DropVectors deletes the vectors of every other model.
func (s *Store) DropVectors(ctx context.Context, except string) error {
	return s.exec(ctx, "delete from vector where model <> $1", except)
}
