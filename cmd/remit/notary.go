package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"remit/audit"
	"remit/audit/notary"
	"remit/audit/ship"
	"remit/internal/config"
	"remit/store"
)

// auditKey is the key that signs the record: the one of the configuration, or that in the data folder, which is made if there
// is none.
func (a *app) auditKey() (notary.Key, error) {
	if a.opts.AuditKey == "" {
		return notary.KeyFile(filepath.Join(a.opts.Data, "audit.key"))
	}
	text, err := config.Secrets(a.secret).Expand(a.opts.AuditKey)
	if err != nil {
		return notary.Key{}, fmt.Errorf("audit-key: %w", err)
	}
	return notary.ParseKey(text)
}

// notary signs the record in the store.
func (a *app) notary(s *store.Store) (*notary.Notary, error) {
	key, err := a.auditKey()
	if err != nil {
		return nil, err
	}
	file := a.opts.AuditCheckpoints
	if file == "" {
		file = filepath.Join(a.opts.Data, "audit-checkpoints.jsonl")
	}
	return &notary.Notary{Chain: s, Key: key, Earlier: a.opts.AuditPublicKeys, File: file, Interval: a.opts.CheckpointInterval,
		Entries: a.opts.CheckpointEntries, Retention: a.opts.AuditRetention.Duration(), Archive: a.opts.AuditArchive,
		Unsent: func(ctx context.Context) (int64, string, error) { return a.unsent(ctx, s) }, Log: a.log()}, nil
}

// signedRecord is the record whose verification looks at signatures as well.
type signedRecord struct {
	*store.Store
	notary *notary.Notary
}

// Verify is that of the notary.
func (r signedRecord) Verify(ctx context.Context) (audit.Head, error) {
	v, err := r.notary.Verify(ctx)
	return v.Head, err
}

// unsent is the last entry that every configured sink got, and the name of the one that got least.
func (a *app) unsent(ctx context.Context, s *store.Store) (upto int64, sink string, err error) {
	head, err := s.Head(ctx)
	upto = head.Seq
	for _, name := range a.source.File().SinkNames() {
		at, failed := s.Shipped(ctx, name)
		if err = errors.Join(err, failed); at.Upto.Seq < upto {
			upto, sink = at.Upto.Seq, name
		}
	}
	return upto, sink, err
}

// follower sends the record to one sink, on one replica at a time.
type follower struct {
	name string
	run  func(context.Context) error
}

// followers send the record to the sinks of the configuration.
func (a *app) followers(s *store.Store, log *slog.Logger) ([]follower, error) {
	f := a.source.File()
	sinks, err := f.ExpandedSinks()
	if err != nil {
		return nil, err
	}
	var out []follower
	for _, name := range f.SinkNames() {
		c := ship.Config{URL: sinks[name].URL, Headers: sinks[name].Headers, CA: sinks[name].CA, Cert: sinks[name].Cert, Key: sinks[name].Key, Timeout: sinks[name].Timeout}
		open := func() (ship.Sink, error) {
			sink, err := ship.Open(c)
			if err != nil {
				return nil, fmt.Errorf("%s: audit-sinks: %s: %w", f.Path, name, err)
			}
			return sink, nil
		}
		sink, err := open() // a configuration that is wrong is told at the start
		if err != nil {
			return nil, err
		}
		out = append(out, follower{name, func(ctx context.Context) error {
			defer func() { sink = nil }() // Run closes it
			if sink == nil {
				var err error
				if sink, err = open(); err != nil {
					return err
				}
			}
			return (&ship.Follower{Name: name, Sink: sink, Source: s, Timeout: c.Timeout, Log: log}).Run(ctx)
		}})
	}
	return out, nil
}
