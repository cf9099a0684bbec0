// Package usage owns what the grants and the record say together: who can call a tool and when it was last called, what
// breaks without it, and which grants of a persona nobody uses. It changes nothing.
package usage

import (
	"context"
	"time"

	"remit/audit"
	"remit/catalog"
	"remit/identity"
	"remit/persona"
)

// Source is where grants, keys and the record are read. A store.Store is one.
type Source interface {
	Grants
	Record
}

// Grants is what personas hold, and with which keys agents use it.
type Grants interface {
	Persona(ctx context.Context, id persona.ID) (persona.Persona, error)
	Personas(ctx context.Context) ([]persona.Persona, error)
	Frozen(ctx context.Context, id persona.ID, revision int, pin persona.Pin) (since time.Time, frozen bool, err error)
	Suspensions(ctx context.Context) ([]persona.Suspension, error)
	Keys(ctx context.Context, persona string) ([]identity.Key, error)
}

// Record is what agents did and people changed.
type Record interface {
	Tallies(ctx context.Context, q audit.Query) ([]audit.Tally, error)
	Entries(ctx context.Context, q audit.Query) ([]audit.Entry, error)
	Oldest(ctx context.Context) (audit.Entry, error) // of the record, the zero Entry when it is empty
}

// Tool is a granted tool.
type Tool struct {
	ID      catalog.ID     `json:"tool"`
	Name    string         `json:"name"` // that the agent calls
	Effect  catalog.Effect `json:"effect"`
	Words   []string       `json:"words,omitempty"` // of the job, that ask for it
	AddedBy string         `json:"added_by,omitempty"`
}

func toolOf(of persona.Revision, g persona.Grant) Tool {
	return Tool{ID: g.Tool, Name: g.Name, Effect: g.Effect, Words: of.Cited(g.Words), AddedBy: g.AddedBy}
}
