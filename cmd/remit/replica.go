package main

import (
	"context"
	"log/slog"
	"time"

	"remit/approval"
	"remit/gateway"
	"remit/persona"
	"remit/store"
)

// hear tells what other replicas changed to those who wait for it here.
func hear(gate *gateway.Gateway, desk *approval.Desk) func(store.Event) {
	return func(e store.Event) {
		switch e.Kind {
		case store.PersonaChanged:
			gate.Notify(persona.ID(e.Of))
		case store.PersonMoved:
			gate.Moved(e.Of)
		case store.ApprovalMoved:
			desk.Wake(e.Of)
		}
	}
}

func recoverCalls(ctx context.Context, s *store.Store, log *slog.Logger) error {
	n, err := s.Recover(ctx)
	if n > 0 {
		log.Warn("calls were in flight when a Remit stopped; the record says so", "calls", n)
	}
	return err
}

// recoverOthers records, now and then, the calls of replicas that died.
func recoverOthers(ctx context.Context, s *store.Store, log *slog.Logger) {
	if !s.Shared() {
		return
	}
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := recoverCalls(ctx, s, log); err != nil && ctx.Err() == nil {
				log.Error("the calls of replicas that died could not be recorded", "err", err)
			}
		}
	}
}
