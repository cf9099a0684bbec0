package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"remit/audit"
	"remit/catalog"
	"remit/catalog/crawl"
)

var _ crawl.Store = (*Store)(nil)

// Tools returns every tool that was ever seen, by id, with those that are gone; of the servers, if any are named.
func (s *Store) Tools(ctx context.Context, servers ...string) ([]catalog.Tool, error) {
	if len(servers) == 0 {
		return s.tools(ctx, "")
	}
	var all []catalog.Tool
	for _, server := range servers {
		some, err := s.tools(ctx, " where t.server = $1", server)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

func (s *Store) tools(ctx context.Context, where string, args ...any) ([]catalog.Tool, error) {
	type stored struct {
		server      string
		body        []byte
		tokens      int
		first, last int64
		gone        bool
	}
	rows, err := collect(ctx, s.reads, func(r *sql.Rows) (t stored, err error) {
		err = r.Scan(&t.server, &t.body, &t.tokens, &t.first, &t.last, &t.gone)
		return t, err
	}, `select t.server, d.body, t.tokens, t.first_seen, l.listed_at, t.gone from tool t join definition d on d.digest = t.digest
		join listing l on l.server = t.server`+where+` order by t.id`, args...)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	tools := make([]catalog.Tool, len(rows))
	var readers errgroup.Group // a server waits for this at its start
	part := (len(rows) + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0)
	for from := 0; from < len(rows); from += part {
		readers.Go(func() error {
			for i := from; i < min(from+part, len(rows)); i++ {
				row := rows[i]
				t, err := catalog.Parse(row.server, json.RawMessage(row.body))
				if err != nil {
					return fmt.Errorf("a stored definition of %s cannot be read: %w", row.server, err)
				}
				t.Tokens, t.FirstSeen, t.LastSeen, t.Gone = row.tokens, fromMicros(row.first), fromMicros(row.last), row.gone
				tools[i] = t
			}
			return nil
		})
	}
	return tools, readers.Wait()
}

// SaveListing makes tools what the server offers, writing only what differs from before, and one entry if anything does.
// What no tool and no pin refers to any more is deleted. When it no longer is this process's turn, nothing is written.
func (s *Store) SaveListing(ctx context.Context, turn crawl.Turn, tools []catalog.Tool, at time.Time) (c crawl.Changes, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		d, err := compare(ctx, tx, turn.Server, tools)
		if err != nil {
			return err
		}
		c = d.changes
		if err := s.hold(tx, turn, !c.None()); err != nil {
			return err
		}
		if err := freeze(tx, d, at); err != nil {
			return err
		}
		return saveDifference(tx, turn.Server, d, at)
	})
	return c, err
}

// Forget marks every tool of a server that is no longer configured as gone. No pin is frozen by that: it was not the
// server that changed.
func (s *Store) Forget(ctx context.Context, server string, at time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		d, err := compare(ctx, tx, server, nil)
		if err != nil {
			return err
		}
		if _, err := tx.Exec("update crawl set kept = kept + 1 where server = $1", server); err != nil { // which replicas that have it hear of
			return err
		}
		return saveDifference(tx, server, d, at)
	})
}

// difference is what a listing changes.
type difference struct {
	changes crawl.Changes
	write   []catalog.Tool                // new, changed or back
	drifted map[catalog.ID]catalog.Digest // what changed or is gone, as it was
}

// compare holds a listing against what is kept of the server.
func compare(ctx context.Context, q querier, server string, tools []catalog.Tool) (difference, error) {
	type row struct {
		id     catalog.ID
		digest catalog.Digest
		gone   bool
	}
	d := difference{drifted: map[catalog.ID]catalog.Digest{}}
	rows, err := collect(ctx, q, func(r *sql.Rows) (t row, err error) {
		err = r.Scan(&t.id, &t.digest, &t.gone)
		return t, err
	}, "select id, digest, gone from tool where server = $1 order by id", server)
	if err != nil {
		return d, err
	}
	known := map[catalog.ID]row{}
	for _, r := range rows {
		known[r.id] = r
	}
	for _, t := range tools {
		old, seen := known[t.ID]
		delete(known, t.ID)
		switch {
		case !seen:
			d.changes.Added = append(d.changes.Added, t.ID)
		case old.digest != t.Digest:
			d.changes.Changed, d.drifted[t.ID] = append(d.changes.Changed, t.ID), old.digest
		case old.gone:
			d.changes.Back = append(d.changes.Back, t.ID)
		default:
			continue
		}
		d.write = append(d.write, t)
	}
	for _, r := range rows {
		if _, missing := known[r.id]; missing && !r.gone {
			d.changes.Gone, d.drifted[r.id] = append(d.changes.Gone, r.id), r.digest
		}
	}
	return d, nil
}

func saveDifference(tx *sql.Tx, server string, d difference, at time.Time) error {
	if _, err := tx.Exec(`insert into listing (server, listed_at) values ($1, $2)
		on conflict (server) do update set listed_at = excluded.listed_at`, server, micros(at)); err != nil || d.changes.None() {
		return err
	}
	for _, t := range d.write {
		if err := writeTool(tx, server, t, at); err != nil {
			return err
		}
	}
	for _, id := range d.changes.Gone {
		if _, err := tx.Exec("update tool set gone = 1 where id = $1", string(id)); err != nil {
			return err
		}
	}
	if len(d.drifted) > 0 {
		if err := sweep(tx); err != nil {
			return err
		}
	}
	return appendEntry(tx, audit.Entry{Time: at, Kind: "catalog.change", Decision: audit.Changed, Detail: d.changes.Detail(server)})
}

// sweep deletes what nothing refers to: tools that are gone and pinned by no revision, definitions of no tool and no
// revision. Without it a server that keeps changing fills the disk.
func sweep(tx *sql.Tx) error {
	for _, statement := range []string{
		"delete from tool where gone = 1 and not exists (select 1 from revision_definition r where r.digest = tool.digest)",
		`delete from definition where not exists (select 1 from tool t where t.digest = definition.digest)
			and not exists (select 1 from revision_definition r where r.digest = definition.digest)`,
		`delete from frozen where not exists (select 1 from revision_definition r
			where r.persona = frozen.persona and r.number = frozen.number and r.digest = frozen.digest)`,
	} {
		if _, err := tx.Exec(statement); err != nil {
			return err
		}
	}
	return nil
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

// Vectors returns the stored vectors of a model, by the hash of the text; of the texts, if any are given.
func (s *Store) Vectors(ctx context.Context, model string, texts ...crawl.TextHash) (map[crawl.TextHash][]float32, error) {
	out := make(map[crawl.TextHash][]float32, len(texts))
	if len(texts) == 0 {
		return out, s.vectors(ctx, out, "select text, body from vector where model = $1", model)
	}
	for some := range slices.Chunk(texts, vectorsAtOnce) {
		args, marks := []any{model}, make([]string, len(some))
		for i, text := range some {
			args = append(args, text[:])
			marks[i] = fmt.Sprintf("$%d", i+2)
		}
		if err := s.vectors(ctx, out, "select text, body from vector where model = $1 and text in ("+strings.Join(marks, ", ")+")", args...); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// vectorsAtOnce is how many texts one statement asks for.
const vectorsAtOnce = 1000

func (s *Store) vectors(ctx context.Context, into map[crawl.TextHash][]float32, query string, args ...any) error {
	rows, err := s.reads.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var text, body sql.RawBytes // a large catalog's are hundreds of megabytes, which need not be copied
		if err := rows.Scan(&text, &body); err != nil {
			return err
		}
		v := make([]float32, len(body)/4)
		for i := range v {
			v[i] = math.Float32frombits(binary.LittleEndian.Uint32(body[4*i:]))
		}
		into[crawl.TextHash(text)] = v
	}
	return rows.Err()
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

// KeepVectors deletes the vectors of every other model and of every text that is not among texts, if it still is this process's turn.
func (s *Store) KeepVectors(ctx context.Context, turn crawl.Turn, model string, texts map[crawl.TextHash]bool) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if err := s.hold(tx, turn, true); err != nil {
			return err
		}
		if _, err := tx.Exec("delete from vector where model <> $1", model); err != nil {
			return err
		}
		kept, err := collect(ctx, tx, func(r *sql.Rows) (text []byte, err error) { err = r.Scan(&text); return text, err },
			"select text from vector where model = $1", model)
		if err != nil {
			return err
		}
		for _, text := range kept {
			if texts[crawl.TextHash(text)] {
				continue
			}
			if _, err := tx.Exec("delete from vector where model = $1 and text = $2", model, text); err != nil {
				return err
			}
		}
		return nil
	})
}
