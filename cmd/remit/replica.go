package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"remit/approval"
	"remit/catalog/crawl"
	"remit/gateway"
	"remit/internal/config"
	"remit/internal/coord"
	"remit/persona"
	"remit/policy"
	"remit/store"
)

// hear tells what other replicas changed to those who wait for it here.
func hear(gate *gateway.Gateway, desk *approval.Desk, crawler *crawl.Crawler) func(store.Event) {
	return func(e store.Event) {
		switch e.Kind {
		case store.Anything:
			crawler.Wake()
			gate.Answered("")
		case store.CatalogChanged:
			crawler.Wake()
		case store.AnswerKept:
			gate.Answered(e.Of)
		case store.PersonaChanged:
			gate.Notify(persona.ID(e.Of))
		case store.PersonMoved:
			gate.Moved(e.Of)
		case store.ApprovalMoved:
			desk.Wake(e.Of)
		}
	}
}

// limiter counts calls: for all replicas where there are several, else for this process. kept is how much of it is in memory here.
func (a *app) limiter(s *store.Store, log *slog.Logger) (l gateway.Limiter, kept func() (counts, calls int), err error) {
	shared := &policy.Shared{Place: store.Limits{Store: s}, History: s, Longest: a.opts.CallTimeout + time.Minute}
	none := func() (int, int) { return 0, 0 }
	switch {
	case a.opts.Redis != "":
		url, err := config.Expand(a.opts.Redis)
		if err != nil {
			return nil, nil, fmt.Errorf("redis: %w", err)
		}
		r, err := coord.NewRedis(url)
		if err != nil {
			return nil, nil, err
		}
		if err := r.Ping(a.ctx); errors.Is(err, coord.ErrEvicts) {
			return nil, nil, errors.Join(err, r.Close())
		} else if err != nil {
			log.Error("Redis does not answer: calls that something limits are refused until it does", "err", err)
		}
		shared.Place = r
		return shared, none, nil
	case s.Shared():
		return shared, none, nil
	}
	one := policy.NewLimiter(s)
	return one, one.Kept, nil
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
