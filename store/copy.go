package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"remit/audit"
)

// notCopied are tables of one database alone: versions that are counted, processes and their leases, files beside it, and calls under way,
// of which there are none.
var notCopied = []string{"standing", "replica", "lease", "crawl", "audit_journal", "audit_intent", "goose_db_version", "sqlite_sequence"}

// table is one to copy.
type table struct {
	name    string
	columns []column
}

type column struct {
	name string
	text bool
	key  bool
}

// Copied says what a copy has.
type Copied struct {
	Rows map[string]int64 // by table
	Head audit.Head
}

// copyAtOnce is how many rows are written in one transaction.
const copyAtOnce = 500

// Copy makes to, on PostgreSQL, what from, a SQLite file that nobody serves, is. It can be repeated after it was interrupted. At the end
// both have the same rows, by number and digest, and the record of the copy verifies to the same head; else it is an error.
func Copy(ctx context.Context, from, to *Store, progress func(table string, rows int64)) (c Copied, err error) {
	if from.engine.shared || !to.engine.shared {
		return c, errors.New("a copy goes from a SQLite file to PostgreSQL")
	}
	if _, err := from.Recover(ctx); err != nil {
		return c, err
	}
	if err := sameRecord(ctx, from, to); err != nil {
		return c, err
	}
	tables, err := tablesOf(ctx, from)
	if err != nil {
		return c, err
	}
	for _, t := range tables {
		if err := t.copy(ctx, from, to, progress); err != nil {
			return c, fmt.Errorf("copying %s: %w", t.name, err)
		}
	}
	c.Rows = map[string]int64{}
	for _, t := range tables {
		n, want, err := t.digest(ctx, from)
		if err != nil {
			return c, err
		}
		copied, got, err := t.digest(ctx, to)
		if err != nil {
			return c, err
		}
		if n != copied || want != got {
			return c, fmt.Errorf("%s is not the same: %d rows became %d, or their content differs; copy into an empty database", t.name, n, copied)
		}
		c.Rows[t.name] = n
	}
	head, err := from.Head(ctx)
	if err == nil {
		c.Head, err = to.Verify(ctx)
	}
	if err == nil && c.Head != head {
		err = fmt.Errorf("the record ends with entry %d, and its copy with %d", head.Seq, c.Head.Seq)
	}
	return c, err
}

// sameRecord says that what the copy has of the record is the beginning of the record: nothing else was written there.
func sameRecord(ctx context.Context, from, to *Store) error {
	var last int64
	if err := to.reads.QueryRowContext(ctx, "select coalesce(max(seq), 0) from audit").Scan(&last); err != nil || last == 0 {
		return err
	}
	var there, here string
	err := to.reads.QueryRowContext(ctx, "select body from audit where seq = $1", last).Scan(&there)
	if err == nil {
		err = from.reads.QueryRowContext(ctx, "select body from audit where seq = $1", last).Scan(&here)
	}
	if errors.Is(err, sql.ErrNoRows) || err == nil && here != there {
		return errors.New("the database to copy to has a record of its own: copy into an empty one")
	}
	return err
}

// tablesOf returns the tables in the order in which they were made: what a row refers to comes before it.
func tablesOf(ctx context.Context, s *Store) (tables []table, err error) {
	names, err := collect(ctx, s.reads, func(r *sql.Rows) (name string, err error) { err = r.Scan(&name); return name, err },
		"select name from sqlite_schema where type = 'table' order by rowid")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if slices.Contains(notCopied, name) {
			continue
		}
		columns, err := collect(ctx, s.reads, func(r *sql.Rows) (c column, err error) {
			var kind string
			err = r.Scan(&c.name, &kind, &c.key)
			c.text = kind == "text"
			return c, err
		}, "select name, lower(type), pk > 0 from pragma_table_info($1) order by name", name)
		if err != nil {
			return nil, err
		}
		tables = append(tables, table{name, columns})
	}
	return tables, nil
}

func (t table) list(which func(column) bool, form string) string {
	var out []string
	for _, c := range t.columns {
		if which(c) {
			out = append(out, strings.ReplaceAll(form, "?", c.name))
		}
	}
	return strings.Join(out, ", ")
}

func all(column) bool   { return true }
func key(c column) bool { return c.key }
func no(c column) bool  { return !c.key }

// each hands over the rows in the order of their keys, as both engines hold them. A row is the callee's to keep.
func (t table) each(ctx context.Context, s *Store, row func([]any) error) error {
	rows, err := s.reads.QueryContext(ctx, fmt.Sprintf("select %s from %s order by %s", t.list(all, "?"), t.name, t.list(key, "?")))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		values, at := make([]any, len(t.columns)), make([]any, len(t.columns))
		for i := range values {
			at[i] = &values[i]
		}
		if err := rows.Scan(at...); err != nil {
			return err
		}
		for i, c := range t.columns {
			if b, ok := values[i].([]byte); ok && c.text {
				values[i] = string(b)
			}
			if text, ok := values[i].(string); ok {
				values[i] = strings.ReplaceAll(text, "\x00", "\ufffd") // as appendColumns has it
			}
		}
		if err := row(values); err != nil {
			return err
		}
	}
	return rows.Err()
}

// copy writes every row, over what an earlier copy wrote.
func (t table) copy(ctx context.Context, from, to *Store, progress func(string, int64)) error {
	marks := make([]string, len(t.columns))
	for i := range marks {
		marks[i] = fmt.Sprintf("$%d", i+1)
	}
	then := "nothing"
	if set := t.list(no, "? = excluded.?"); set != "" {
		then = "update set " + set
	}
	unique := t.list(key, "?")
	if t.name == "audit" {
		unique = "seq, time" // what divides it into parts is in the key there
		if err := makeMonths(ctx, from, to); err != nil {
			return err
		}
	}
	insert := fmt.Sprintf("insert into %s (%s) values (%s) on conflict (%s) do %s", t.name, t.list(all, "?"), strings.Join(marks, ", "), unique, then)
	var n int64
	var batch [][]any
	flush := func() error {
		rows := batch
		batch = nil
		if err := to.write(ctx, func(tx *sql.Tx) error {
			for _, row := range rows {
				if _, err := tx.Exec(insert, row...); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
		n += int64(len(rows))
		progress(t.name, n)
		return ctx.Err()
	}
	err := t.each(ctx, from, func(row []any) error {
		if batch = append(batch, row); len(batch) < copyAtOnce {
			return nil
		}
		return flush()
	})
	if err == nil && len(batch) > 0 {
		err = flush()
	}
	return err
}

// makeMonths makes the parts for the entries of a record that is copied.
func makeMonths(ctx context.Context, from, to *Store) error {
	const day = 24 * time.Hour
	days, err := collect(ctx, from.reads, func(r *sql.Rows) (n int64, err error) { err = r.Scan(&n); return n, err },
		"select distinct time / $1 from audit where time > 0", day.Microseconds())
	if err != nil {
		return err
	}
	made := map[string]bool{}
	for _, n := range days {
		at := time.Unix(0, 0).UTC().AddDate(0, 0, int(n))
		if month := at.Format("200601"); !made[month] && at.Before(time.Now().AddDate(0, 1, 0)) {
			made[month] = true
			if err := to.makeMonth(ctx, at); err != nil {
				return err
			}
		}
	}
	return nil
}

// digest is over every value of every row, with lengths and types.
func (t table) digest(ctx context.Context, s *Store) (rows int64, sum [32]byte, err error) {
	h := sha256.New()
	err = t.each(ctx, s, func(row []any) error {
		rows++
		for _, v := range row {
			var text []byte
			switch v := v.(type) {
			case int64:
				text = binary.BigEndian.AppendUint64([]byte("i"), uint64(v))
			case string:
				text = append([]byte("t"), v...)
			case []byte:
				text = append([]byte("b"), v...)
			default:
				return fmt.Errorf("%s has a value of a kind that is not known, %T", t.name, v)
			}
			h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(text))))
			h.Write(text)
		}
		return nil
	})
	return rows, [32]byte(h.Sum(nil)), err
}
