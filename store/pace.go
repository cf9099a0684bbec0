package store

import "time"

// pace makes room for calls beside long work on the record: after each worked of it comes a rest. Without it hundreds of entries
// at a time keep a processor from calls for longer than a call takes.
type pace struct{ since time.Time }

const (
	worked = 200 * time.Microsecond
	rest   = 500 * time.Microsecond
)

func (p *pace) step() {
	if p.since.IsZero() {
		p.since = time.Now()
	} else if time.Since(p.since) > worked {
		time.Sleep(rest)
		p.since = time.Now()
	}
}
