package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
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
	settled []audit.Entry // or those of the journal, up to the number
	upto    int64
	problem error // that is this recording's alone; nothing of it was written
}

// The statements of a call are compiled once; compiling them took longer than running them.
const (
	readHead     = "select seq, hash from audit_head where one = 1"
	writeHead    = "update audit_head set seq = $1, hash = $2 where one = 1"
	insertEntry  = "insert into audit (body, seq, time, " + filterColumns + ") values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)"
	insertIntent = "insert into audit_intent (owner, body) values ($1, $2) returning ticket"
	deleteIntent = "delete from audit_intent where ticket = $1"
	setApplied   = "update audit_journal set applied = $1 where one = 1"
)

type recorder struct{ readHead, writeHead, insertEntry, insertIntent, deleteIntent, setApplied *sql.Stmt }

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
	known bool // head is what the database has, or is to have
	moved bool // and was not written yet
}

func (r recorder) in(tx *sql.Tx) *chain {
	return &chain{recorder: recorder{tx.Stmt(r.readHead), tx.Stmt(r.writeHead), tx.Stmt(r.insertEntry), tx.Stmt(r.insertIntent), tx.Stmt(r.deleteIntent), tx.Stmt(r.setApplied)}}
}

func (c *chain) write(r *recording) error {
	switch {
	case r.settled != nil:
		for _, e := range r.settled {
			if err := c.append(e); err != nil {
				return err
			}
		}
		_, err := c.setApplied.Exec(r.upto)
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
	return c.append(r.entry)
}

func (c *chain) append(e audit.Entry) error {
	if !c.known {
		if err := c.readHead.QueryRow().Scan(&c.head.Seq, &c.head.Hash); err != nil {
			return fmt.Errorf("reading the head of the audit chain: %w", err)
		}
		c.known = true
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e, body := e.SealJSON(c.head.Seq, c.head.Hash)
	if _, err := c.insertEntry.Exec(append([]any{string(body), e.Seq, micros(e.Time)}, columnsOf(e)...)...); err != nil {
		return err
	}
	c.head, c.moved = audit.Head{Seq: e.Seq, Hash: e.Hash}, true
	return nil
}

// flush writes the head, which somebody else may move then.
func (c *chain) flush() (err error) {
	if c.moved {
		_, err = c.writeHead.Exec(c.head.Seq, c.head.Hash)
	}
	c.known, c.moved = false, false
	return err
}

// appendEntry adds an entry to the chain within a change.
func appendEntry(tx *sql.Tx, e audit.Entry) error {
	var c chain
	if err := c.prepare(context.Background(), tx); err != nil { // tx closes them
		return err
	}
	return errors.Join(c.append(e), c.flush())
}
