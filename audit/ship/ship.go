// Package ship owns how the record is sent elsewhere while it is written: to syslog and to collectors of OpenTelemetry logs. It
// follows what is durable already, so that a slow or dead receiver changes no decision and delays no call.
package ship

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/cenkalti/backoff/v5"

	"remit/audit"
)

// Sink is a receiver. Send returns nil when it has taken all entries; it is called again with the same ones otherwise. It is
// also called without entries now and then, to see whether the receiver is still there.
type Sink interface {
	Send(ctx context.Context, entries []audit.Entry) error
	Close() error
}

// Source is the record, and where what was sent is remembered. A store.Store is one.
type Source interface {
	Since(ctx context.Context, seq int64, limit int) ([]audit.Entry, error)
	Head(ctx context.Context) (audit.Head, error)
	Shipped(ctx context.Context, sink string) (audit.Shipped, error)
	SaveShipped(ctx context.Context, p audit.Shipped) error
}

// Follower sends every entry to one sink: in order, at least once, from where it was when Remit last stopped. One that is new
// begins with the oldest entry.
type Follower struct {
	Name    string
	Sink    Sink
	Source  Source
	Timeout time.Duration // of one batch
	Log     *slog.Logger

	at     audit.Shipped
	pauses backoff.ExponentialBackOff
	warned time.Time
}

const (
	batch     = 200                    // entries that are in memory at a time; a Source bounds their bytes
	poll      = 500 * time.Millisecond // between looks for new entries
	longest   = time.Minute            // pause after failures
	warnEvery = 5 * time.Minute        // while nothing can be sent
)

// Run sends until ctx ends.
func (f *Follower) Run(ctx context.Context) error {
	f.pauses = backoff.ExponentialBackOff{InitialInterval: poll, RandomizationFactor: 0.2, Multiplier: 2, MaxInterval: longest}
	f.pauses.Reset()
	for known := false; ; {
		var more bool
		var err error
		if !known {
			f.at, err = f.Source.Shipped(ctx, f.Name)
			known = err == nil
		}
		if err == nil {
			more, err = f.step(ctx)
		}
		wait := poll
		switch {
		case ctx.Err() != nil:
			return f.Sink.Close()
		case err != nil:
			wait = f.pauses.NextBackOff()
			f.failed(ctx, err)
		case more:
			continue
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return f.Sink.Close()
		}
	}
}

// step sends one batch and remembers it. It says whether there may be more.
func (f *Follower) step(ctx context.Context) (more bool, err error) {
	entries, err := f.Source.Since(ctx, f.at.Upto.Seq, batch)
	if err != nil {
		return false, err
	}
	bound, cancel := context.WithTimeout(ctx, f.Timeout)
	defer cancel()
	if err := f.Sink.Send(bound, entries); err != nil {
		return false, err
	}
	if len(entries) == 0 && f.at.Problem == "" {
		return false, nil
	}
	if f.at.Problem != "" {
		f.Log.Info("the record can be sent again", "sink", f.Name)
	}
	next := audit.Shipped{Sink: f.Name, Upto: f.at.Upto, Sent: f.at.Sent}
	if len(entries) > 0 {
		f.compare(entries)
		last := entries[len(entries)-1]
		next.Upto, next.Sent = audit.Head{Seq: last.Seq, Hash: last.Hash}, time.Now()
	}
	// What was sent is known here even if it cannot be saved: then it is sent twice after a restart.
	f.at = next
	f.pauses.Reset()
	f.warned = time.Time{}
	return len(entries) > 0, f.Source.SaveShipped(ctx, next)
}

// compare tells when the record was changed behind what was sent. The receiver can see it as well: it gets the hashes.
func (f *Follower) compare(entries []audit.Entry) {
	v := &audit.Verifier{}
	if f.at.Upto.Seq > 0 {
		v = audit.After(f.at.Upto)
	}
	for _, e := range entries {
		if err := v.Add(e); err != nil {
			f.Log.Error("the record was changed behind what was sent: run remit audit verify", "sink", f.Name, "err", err)
			return
		}
	}
}

// failed makes a failure visible: at once when it is new, and again while it lasts.
func (f *Follower) failed(ctx context.Context, err error) {
	if problem := err.Error(); problem != f.at.Problem || time.Since(f.warned) > warnEvery {
		f.warned = time.Now()
		head, _ := f.Source.Head(ctx)
		f.Log.Warn("the record cannot be sent; it is tried again", "sink", f.Name, "behind", head.Seq-f.at.Upto.Seq, "err", err)
		f.at.Problem, f.at.Failed = problem, time.Now()
		if err := f.Source.SaveShipped(ctx, f.at); err != nil {
			f.Log.Warn("what is wrong with a sink cannot be kept", "sink", f.Name, "err", err)
		}
	}
}

// text is an entry as one line of printable ASCII: JSON with every other character escaped, so that no text that an agent chose
// can begin a line or steer a terminal. What is decoded from it has the entry's hash.
func text(e audit.Entry) ([]byte, error) {
	raw, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for len(raw) > 0 {
		r, n := utf8.DecodeRune(raw)
		switch {
		case r < 0x7f: // encoding/json has escaped what is below a space
			out.WriteByte(raw[0])
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
		raw = raw[n:]
	}
	return out.Bytes(), nil
}
