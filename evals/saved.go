package evals

import (
	"errors"
	"time"
)

// ErrNoRun says that a run is not kept.
var ErrNoRun = errors.New("there is no such run; remit eval list shows those that are kept")

// Saved is a run as it is listed: its reports without cases and what is made of them.
type Saved struct {
	ID      string // sorts by time
	At      time.Time
	Reports []Report
}

// Summary is the report without what only its own page shows.
func (r Report) Summary() Report {
	r.Cases, r.Confused, r.Changes = nil, nil, nil
	return r
}

// Headline is the measure that stands for a kind where one has to.
func Headline(kind Kind) Definition {
	for _, d := range Definitions {
		if d.Kind == kind && d.Headline {
			return d
		}
	}
	return Definition{}
}
