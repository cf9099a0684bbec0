-- +goose Up
-- Each entry was in six trees: a bigint is no INTEGER to SQLite, so the key had a tree beside the rows. Now the key is where the row is, the
-- indexes hold it by that, and calls without a trace are in none of traces. A file of a million entries takes half a minute, and room for
-- the record once more.
create table audit_anew (
    seq             integer primary key,
    time            bigint not null,
    kind            text not null,
    person          text not null,
    agent           text not null,
    usr             text not null,
    persona         text not null,
    tool            text not null,
    decision        text not null,
    body            text not null,
    revision        integer not null default 0,
    agent_key       text not null default '',
    policy          text not null default '',
    client          text not null default '',
    trace           text not null default '',
    shadow          integer not null default 0,
    shadow_decision text not null default '',
    shadow_policy   text not null default ''
);
insert into audit_anew (seq, time, kind, person, agent, usr, persona, tool, decision, body, revision, agent_key, policy, client, trace, shadow, shadow_decision, shadow_policy)
    select seq, time, kind, person, agent, usr, persona, tool, decision, body, revision, agent_key, policy, client, trace, shadow, shadow_decision, shadow_policy from audit order by seq;
drop table audit;
alter table audit_anew rename to audit;
create index audit_persona on audit (persona);
create index audit_tool on audit (tool);
create index audit_key on audit (agent_key);
create index audit_trace on audit (trace) where trace <> '';
create index audit_shadow on audit (persona, shadow) where shadow > 0;

-- +goose Down
create table audit_anew (
    seq             bigint primary key,
    time            bigint not null,
    kind            text not null,
    person          text not null,
    agent           text not null,
    usr             text not null,
    persona         text not null,
    tool            text not null,
    decision        text not null,
    body            text not null,
    revision        integer not null default 0,
    agent_key       text not null default '',
    policy          text not null default '',
    client          text not null default '',
    trace           text not null default '',
    shadow          integer not null default 0,
    shadow_decision text not null default '',
    shadow_policy   text not null default ''
);
insert into audit_anew (seq, time, kind, person, agent, usr, persona, tool, decision, body, revision, agent_key, policy, client, trace, shadow, shadow_decision, shadow_policy)
    select seq, time, kind, person, agent, usr, persona, tool, decision, body, revision, agent_key, policy, client, trace, shadow, shadow_decision, shadow_policy from audit order by seq;
drop table audit;
alter table audit_anew rename to audit;
create index audit_persona on audit (persona, seq);
create index audit_tool on audit (tool, seq);
create index audit_trace on audit (trace, seq);
create index audit_key on audit (agent_key, seq);
create index audit_shadow on audit (persona, shadow, seq) where shadow > 0;
