package telemetry

import (
	"context"
	"errors"
	"time"

	"remit/audit"
)

// Audit is log, with how long it takes to write, and what could not be written.
func (t *Telemetry) Audit(log audit.Log) audit.Log {
	if t == nil {
		return log
	}
	return record{log, t}
}

type record struct {
	audit.Log
	*Telemetry
}

func (r record) Append(ctx context.Context, e audit.Entry) error {
	ctx, span := r.child(ctx, "audit append")
	defer span.End()
	began := time.Now()
	return r.wrote("append", began, r.Log.Append(ctx, e))
}

// Begin has no span of its own: it is the step "record" of a call.
func (r record) Begin(ctx context.Context, e audit.Entry) (audit.Ticket, error) {
	began := time.Now()
	ticket, err := r.Log.Begin(ctx, e)
	return ticket, r.wrote("begin", began, err)
}

func (r record) Finish(ctx context.Context, ticket audit.Ticket, e audit.Entry) error {
	ctx, span := r.child(ctx, "audit finish")
	defer span.End()
	began := time.Now()
	return r.wrote("finish", began, r.Log.Finish(ctx, ticket, e))
}

func (r record) wrote(operation string, began time.Time, err error) error {
	r.auditTime.WithLabelValues(operation).Observe(time.Since(began).Seconds())
	if err != nil && !errors.Is(err, context.Canceled) { // by a caller who left
		r.auditFailures.WithLabelValues(operation).Inc()
	}
	return err
}
