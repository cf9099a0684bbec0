package store

import (
	"context"
	"math"
	"runtime"
	"time"
)

// pace makes room for calls beside long work on the record: after each worked of it comes a rest, as long as some are left. Without it
// hundreds of entries at a time keep a processor from calls for longer than a call takes. Where there are enough processors for both it has
// no rests: work that takes longer has more to do at once each time.
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
	// few is how many places for threads are so few that calls want all of them.
	few = 8
)

func paced(rests int) pace {
	if runtime.GOMAXPROCS(0) > few {
		rests = 0
	}
	return pace{left: rests}
}

// paceOf is the pace of work that nobody waits for, unless it has to be done by a time.
func paceOf(ctx context.Context) pace {
	if _, soon := ctx.Deadline(); soon {
		return paced(heldRests)
	}
	return paced(math.MaxInt)
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
