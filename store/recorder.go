package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"remit/audit"
)

// recording is what one call asks of the record: an intent to keep, an entry to append, or an entry in place of an intent; or what
// the journal has of many.
type recording struct {
	owner   string
	intent  []byte
	ticket  int64 // of the intent, given by the database
	entry   audit.Entry
	settled []owed // or those of the journal
	problem error  // that is this recording's alone; nothing of it was written
}

// The statements of a call are compiled once; compiling them took longer than running them.
const (
	readHead     = "select seq, hash from audit_head where one = 1"
	writeHead    = "update audit_head set seq = $1, hash = $2 where one = 1"
	insertInto   = "insert into audit (body, seq, time, " + filterColumns + ") values "
	insertIntent = "insert into audit_intent (owner, body) values ($1, $2) returning ticket"
	deleteIntent = "delete from audit_intent where ticket = $1"
	setApplied   = "update audit_journal set applied = $1 where one = 1"
)

type recorder struct {
	readHead, writeHead, insertEntry, insertIntent, deleteIntent, setApplied *sql.Stmt
	insertMany                                                               [len(atOnce)]*sql.Stmt // nil where a statement is no message to somebody else
}

// atOnce is how many entries one statement inserts, where each is sent to a database and answered: the most first.
var atOnce = [...]int{32, 4}

// columns is how many values an entry has in a statement.
var columns = strings.Count(insertInto, ",") + 1

var insertEntry = insertEntries(1)

// insertEntries is the statement for n entries.
func insertEntries(n int) string {
	rows := make([]string, n)
	for row := range rows {
		var marks []string
		for column := range columns {
			marks = append(marks, fmt.Sprint("$", row*columns+column+1))
		}
		marks[0] = "cast(" + marks[0] + " as text)" // it is bytes
		rows[row] = "(" + strings.Join(marks, ", ") + ")"
	}
	return insertInto + strings.Join(rows, ", ")
}

// prepareMany prepares the statements for several entries.
func (r *recorder) prepareMany(ctx context.Context, db preparer) (err error) {
	for i, n := range atOnce {
		if r.insertMany[i], err = db.PrepareContext(ctx, insertEntries(n)); err != nil {
			return err
		}
	}
	return nil
}

type preparer interface {
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

func (r *recorder) prepare(ctx context.Context, db preparer) (err error) {
	for text, at := range map[string]**sql.Stmt{readHead: &r.readHead, writeHead: &r.writeHead, insertEntry: &r.insertEntry,
		insertIntent: &r.insertIntent, deleteIntent: &r.deleteIntent, setApplied: &r.setApplied} {
		if *at, err = db.PrepareContext(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

// chain is the chain of the record within one transaction: its head is read once and written once.
type chain struct {
	recorder
	head  audit.Head
	known bool  // head is what the database has, or is to have
	moved bool  // and was not written yet
	rows  []any // columns of entries that were not either, one after the other
	pace  pace  // of long work; none where a change appends by itself
}

func (r recorder) in(tx *sql.Tx) *chain {
	c := &chain{pace: paced(heldRests), recorder: recorder{readHead: tx.Stmt(r.readHead), writeHead: tx.Stmt(r.writeHead), insertEntry: tx.Stmt(r.insertEntry),
		insertIntent: tx.Stmt(r.insertIntent), deleteIntent: tx.Stmt(r.deleteIntent), setApplied: tx.Stmt(r.setApplied)}}
	for i, stmt := range r.insertMany {
		if stmt != nil {
			c.insertMany[i] = tx.Stmt(stmt)
		}
	}
	return c
}

func (c *chain) write(r *recording) error {
	switch {
	case r.settled != nil:
		for _, o := range r.settled {
			c.pace.step()
			var err error
			if o.sealed, err = c.append(o.entry, o.sealed); err != nil {
				return err
			}
		}
		_, err := c.setApplied.Exec(r.settled[len(r.settled)-1].seq)
		return err
	case r.intent != nil:
		return c.insertIntent.QueryRow(r.owner, string(r.intent)).Scan(&r.ticket)
	case r.ticket != 0:
		res, err := c.deleteIntent.Exec(r.ticket)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n != 1 {
			r.problem = fmt.Errorf("audit intent %d is not open", r.ticket)
			return err
		}
	}
	_, err := c.append(r.entry, nil)
	return err
}

// append returns the text of the entry, which is in room if it has some, and has to stay until it is inserted.
func (c *chain) append(e audit.Entry, room []byte) ([]byte, error) {
	if !c.known {
		if err := c.readHead.QueryRow().Scan(&c.head.Seq, &c.head.Hash); err != nil {
			return room, fmt.Errorf("reading the head of the audit chain: %w", err)
		}
		c.known = true
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e, body := e.SealJSON(room, c.head.Seq, c.head.Hash)
	c.rows = appendColumns(append(c.rows, body, e.Seq, micros(e.Time)), &e)
	c.head, c.moved = audit.Head{Seq: e.Seq, Hash: e.Hash}, true
	if len(c.rows) < atOnce[0]*columns {
		return body, nil
	}
	return body, c.insert()
}

// insert writes the entries.
func (c *chain) insert() error {
	rows := c.rows
	c.rows = rows[:0]
	for i, n := range atOnce {
		for n *= columns; c.insertMany[i] != nil && len(rows) >= n; rows = rows[n:] {
			if _, err := c.insertMany[i].Exec(rows[:n]...); err != nil {
				return err
			}
		}
	}
	for ; len(rows) > 0; rows = rows[columns:] {
		c.pace.step()
		if _, err := c.insertEntry.Exec(rows[:columns]...); err != nil {
			return err
		}
	}
	return nil
}

// flush writes the entries and the head, which somebody else may move then.
func (c *chain) flush() (err error) {
	if err := c.insert(); err != nil {
		return err
	}
	if c.moved {
		_, err = c.writeHead.Exec(c.head.Seq, c.head.Hash)
	}
	c.known, c.moved = false, false
	return err
}

// appendEntry adds entries to the chain within a change.
func appendEntry(tx *sql.Tx, entries ...audit.Entry) error {
	var c chain
	if err := c.prepare(context.Background(), tx); err != nil { // tx closes them
		return err
	}
	for _, e := range entries {
		if _, err := c.append(e, nil); err != nil {
			return err
		}
	}
	return c.flush()
}
