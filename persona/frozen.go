package persona

import (
	"errors"
	"time"

	"remit/catalog"
)

// FrozenPin is a pin of a live revision that its tool drifted from and that no person has confirmed since.
type FrozenPin struct {
	Persona  ID
	Revision int
	Tool     catalog.ID
	Digest   catalog.Digest // that was approved
	Offered  catalog.Digest // by the server now; empty when it lacks the tool
	Since    time.Time      // when the tool was first seen to differ
}

// Confirmable says that the tool is again exactly what was approved, so that a person may confirm it.
func (p FrozenPin) Confirmable() bool { return p.Offered == p.Digest }

// ErrNotFrozen is for a tool that there is nothing to confirm of.
var ErrNotFrozen = errors.New("no pin of this tool is frozen; remit tool frozen lists those that are")
