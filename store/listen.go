package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Event is a change that some process committed. Of is what it concerns.
type Event struct{ Kind, Of string }

// Kinds of event.
const (
	Anything        = ""               // may have changed: nobody listened for a while
	StandingChanged = "remit_standing" // something that an agent's request is decided by
	PersonaChanged  = "remit_persona"  // a persona, or one of its keys
	PersonMoved     = "remit_person"   // what a person may do
	ApprovalMoved   = "remit_approval" // the state of a request
	CatalogChanged  = "remit_catalog"  // a server was listed
	AnswerKept      = "remit_answer"   // a client answered a question
)

var channels = []string{StandingChanged, PersonaChanged, PersonMoved, ApprovalMoved, CatalogChanged, AnswerKept}

// Listen hands over the events of all processes until ctx ends, those of this one too. They come in the order of their
// commits, which they are part of. A connection that is lost is made anew; Anything says that events were missed. A SQLite
// file tells nobody.
func (s *Store) Listen(ctx context.Context, hear func(Event)) error {
	if !s.engine.shared {
		<-ctx.Done()
		return nil
	}
	for ctx.Err() == nil {
		_ = s.listen(ctx, hear) // whoever asks the database meanwhile hears the error
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	return nil
}

func (s *Store) listen(ctx context.Context, hear func(Event)) error {
	config, err := configPostgres(s.where)
	if err != nil {
		return err
	}
	c, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer c.Close(context.WithoutCancel(ctx))
	for _, channel := range channels {
		if _, err := c.Exec(ctx, "listen "+channel); err != nil {
			return err
		}
	}
	hear(Event{Kind: Anything})
	for {
		n, err := c.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		hear(Event{Kind: n.Channel, Of: n.Payload})
	}
}
