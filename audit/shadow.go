package audit

import "time"

// Shadow is what a revision that runs beside the live one would have decided about a call. It decided nothing: the entry's
// Decision is what became of the call.
type Shadow struct {
	Revision int      `json:"revision"`
	Decision Decision `json:"decision"` // allowed, refused or undecided
	Policy   string   `json:"policy,omitempty"`
	Reason   string   `json:"reason,omitempty"`
}

// Undecided is a shadow's decision that it could not make: it is damaged, or what it depends on could not be read in time.
const Undecided Decision = "undecided"

// Change is what would have become of a call under another revision.
type Change string

const (
	Same       Change = "same"
	Refuses    Change = "would-refuse" // what went through
	Allows     Change = "would-allow"  // what was refused
	CannotTell Change = "cannot-tell"
)

// Began is when the call of an entry began; its Time is when it ended.
func (e Entry) Began() time.Time { return e.Time.Add(-time.Duration(e.Micros) * time.Microsecond) }

// Forwarded says that the call reached a server, or may have.
func (d Decision) Forwarded() bool { return d == Allowed || d == Failed || d == Unknown }

// ChangeTo compares what became of a call with what another revision decides about it.
func (d Decision) ChangeTo(other Decision) Change {
	switch {
	case other != Allowed && other != Refused:
		return CannotTell
	case d.Forwarded() && other == Refused:
		return Refuses
	case !d.Forwarded() && other == Allowed:
		return Allows
	}
	return Same
}

// ShadowTally counts calls that have a tool and both decisions and rules in common.
type ShadowTally struct {
	Tool        string // catalog id, or the name that was asked for
	Decision    Decision
	Policy      string
	Shadow      Shadow // without a reason
	Count       int
	First, Last time.Time
}
