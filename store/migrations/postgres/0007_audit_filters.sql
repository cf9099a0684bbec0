-- +goose Up
-- What queries of the record filter on beside what 0001 has. Entries that were written before get theirs from their content.
alter table audit add column revision integer not null default 0;
alter table audit add column agent_key text collate "C" not null default '';
alter table audit add column policy text collate "C" not null default '';
alter table audit add column client text collate "C" not null default '';
alter table audit add column trace text collate "C" not null default '';
update audit set revision = coalesce((body::json->>'revision')::integer, 0), agent_key = coalesce(body::json->>'key', ''),
    policy = coalesce(body::json->>'policy', ''), client = coalesce(body::json->>'client', ''),
    trace = coalesce(body::json->>'trace', '');
create index audit_trace on audit (trace, seq);
create index audit_key on audit (agent_key, seq);

-- +goose Down
drop index audit_key;
drop index audit_trace;
alter table audit drop column trace;
alter table audit drop column client;
alter table audit drop column policy;
alter table audit drop column agent_key;
alter table audit drop column revision;
