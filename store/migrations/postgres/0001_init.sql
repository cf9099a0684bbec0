-- +goose Up
-- Times are microseconds since 1970 UTC; 0 means never.
create table definition (
    digest text collate "C" primary key,
    body   bytea not null
);
create table tool (
    id         text collate "C" primary key,
    server     text collate "C" not null,
    digest     text collate "C" not null references definition (digest),
    tokens     integer not null,
    first_seen bigint not null,
    gone       integer not null
);
create index tool_server on tool (server);
create table listing (
    server    text collate "C" primary key,
    listed_at bigint not null
);
create table vector (
    model text collate "C" not null,
    text  bytea not null,
    body  bytea not null,
    primary key (model, text)
);
create table persona (
    id      text collate "C" primary key,
    title   text collate "C" not null,
    created bigint not null
);
create table revision (
    persona text collate "C" not null references persona (id),
    number  integer not null,
    state   text collate "C" not null,
    content text collate "C" not null,
    review  text collate "C" not null,
    primary key (persona, number)
);
create table revision_definition (
    persona text collate "C" not null,
    number  integer not null,
    digest  text collate "C" not null references definition (digest),
    primary key (persona, number, digest)
);
create table person (
    name     text collate "C" primary key,
    roles    text collate "C" not null,
    password text collate "C" not null,
    disabled integer not null,
    created  bigint not null
);
create table access_key (
    id      text collate "C" primary key,
    hash    bytea not null,
    agent   text collate "C" not null,
    usr     text collate "C" not null,
    persona text collate "C" not null,
    created bigint not null,
    creator text collate "C" not null,
    expires bigint not null,
    revoked bigint not null,
    last_use bigint not null
);
create index access_key_persona on access_key (persona);
create table session (
    hash    bytea primary key,
    person  text collate "C" not null,
    created bigint not null,
    seen    bigint not null
);
create table link (
    hash    bytea primary key,
    person  text collate "C" not null,
    expires bigint not null
);
create table audit (
    seq      bigint primary key,
    time     bigint not null,
    kind     text collate "C" not null,
    person   text collate "C" not null,
    agent    text collate "C" not null,
    usr      text collate "C" not null,
    persona  text collate "C" not null,
    tool     text collate "C" not null,
    decision text collate "C" not null,
    body     text collate "C" not null
);
create index audit_persona on audit (persona, seq);
create table audit_head (
    one  integer primary key check (one = 1),
    seq  bigint not null,
    hash text collate "C" not null
);
insert into audit_head (one, seq, hash) values (1, 0, '');
create table audit_intent (
    ticket bigint generated always as identity primary key,
    owner  text collate "C" not null,
    body   text collate "C" not null
);

-- +goose Down
drop table audit_intent;
drop table audit_head;
drop table audit;
drop table link;
drop table session;
drop table access_key;
drop table person;
drop table revision_definition;
drop table revision;
drop table persona;
drop table vector;
drop table listing;
drop table tool;
drop table definition;
