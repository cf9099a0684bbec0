package store

import (
	"context"
	"math"
	"time"
)

// pace makes room for calls beside long work on the record: after each worked of it comes a rest, as long as some are left. Without it
// hundreds of entries at a time keep a processor from calls for longer than a call takes.
type pace struct {
	since time.Time
	left  int // rests
}

const (
	worked = 200 * time.Microsecond
	rest   = 500 * time.Microsecond
	// heldRests bounds the rests of work that others wait for, as they do for a transaction that writes: a change of anything, another process
	// and the end of this one wait for a backlog of an hour as long as it takes, and little longer.
	heldRests = 100
)

// paceOf is the pace of work that nobody waits for, unless it has to be done by a time.
func paceOf(ctx context.Context) pace {
	if _, soon := ctx.Deadline(); soon {
		return pace{left: heldRests}
	}
	return pace{left: math.MaxInt}
}

func (p *pace) step() {
	if p.left == 0 {
		return
	}
	if p.since.IsZero() {
		p.since = time.Now()
	} else if time.Since(p.since) > worked {
		time.Sleep(rest)
		p.since = time.Now()
		p.left--
	}
}
