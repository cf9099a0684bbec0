-- +goose Up
-- Calls without a trace are in no index of traces.
drop index audit_trace;
create index audit_trace on audit (trace, seq) where trace <> '';

-- +goose Down
drop index audit_trace;
create index audit_trace on audit (trace, seq);
