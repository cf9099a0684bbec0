-- +goose Up
-- The record in parts, one a month by the time of the entries (UTC), so that old ones are dropped whole. The key of such a table holds what divides
-- it; that a number is there once is the chain's promise, whose head is locked by whoever appends. What no part is for goes to audit_other.
alter table audit rename to audit_whole;
alter table audit_whole rename constraint audit_pkey to audit_whole_pkey;
create table audit (like audit_whole including defaults, primary key (seq, time)) partition by range (time);
create table audit_other partition of audit default;
-- audit_month makes the part for the month of a time, in microseconds, and moves what is in audit_other of it. It says whether it did.
-- +goose StatementBegin
create function audit_month(at bigint) returns boolean language plpgsql as $$
declare
    month timestamp := date_trunc('month', to_timestamp(at / 1000000.0) at time zone 'UTC');
    name text := 'audit_' || to_char(month, 'YYYYMM');
    low bigint := extract(epoch from month) * 1000000;
    high bigint := extract(epoch from month + interval '1 month') * 1000000;
begin
    if to_regclass(name) is not null then
        return false;
    end if;
    execute format('create table %I (like audit including defaults)', name);
    execute format('with moved as (delete from audit_other where time >= %s and time < %s returning *) insert into %I select * from moved', low, high, name);
    execute format('alter table audit attach partition %I for values from (%s) to (%s)', name, low, high);
    return true;
end $$;
-- +goose StatementEnd
-- +goose StatementBegin
do $$
declare
    at bigint;
begin
    for at in select distinct extract(epoch from date_trunc('month', to_timestamp(time / 1000000.0) at time zone 'UTC'))::bigint * 1000000 from audit_whole
        where time between 0 and extract(epoch from now() + interval '1 month') * 1000000 loop
        perform audit_month(at);
    end loop;
    for n in 0..2 loop
        perform audit_month((extract(epoch from date_trunc('month', now() at time zone 'UTC') + n * interval '1 month') * 1000000)::bigint);
    end loop;
end $$;
-- +goose StatementEnd
insert into audit select * from audit_whole;
drop table audit_whole;
create index audit_persona on audit (persona, seq);
create index audit_tool on audit (tool, seq);
create index audit_trace on audit (trace, seq);
create index audit_key on audit (agent_key, seq);
create index audit_shadow on audit (persona, shadow, seq) where shadow > 0;

-- +goose Down
create table audit_whole (like audit including defaults);
insert into audit_whole select * from audit;
drop function audit_month;
drop table audit;
alter table audit_whole rename to audit;
alter table audit add primary key (seq);
create index audit_persona on audit (persona, seq);
create index audit_tool on audit (tool, seq);
create index audit_trace on audit (trace, seq);
create index audit_key on audit (agent_key, seq);
create index audit_shadow on audit (persona, shadow, seq) where shadow > 0;
