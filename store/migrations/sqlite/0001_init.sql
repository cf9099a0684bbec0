-- +goose Up
-- Times are microseconds since 1970 UTC; 0 means never.
create table definition (
    digest text primary key,
    body   blob not null
);
create table tool (
    id         text primary key,
    server     text not null,
    digest     text not null references definition (digest),
    tokens     integer not null,
    first_seen bigint not null,
    gone       integer not null
);
create index tool_server on tool (server);
create table listing (
    server    text primary key,
    listed_at bigint not null
);
create table vector (
    model text not null,
    text  blob not null,
    body  blob not null,
    primary key (model, text)
);
create table persona (
    id      text primary key,
    title   text not null,
    created bigint not null
);
create table revision (
    persona text not null references persona (id),
    number  integer not null,
    state   text not null,
    content text not null,
    review  text not null,
    primary key (persona, number)
);
create table revision_definition (
    persona text not null,
    number  integer not null,
    digest  text not null references definition (digest),
    primary key (persona, number, digest)
);
create table person (
    name     text primary key,
    roles    text not null,
    password text not null,
    disabled integer not null,
    created  bigint not null
);
create table access_key (
    id      text primary key,
    hash    blob not null,
    agent   text not null,
    usr     text not null,
    persona text not null,
    created bigint not null,
    creator text not null,
    expires bigint not null,
    revoked bigint not null,
    last_use bigint not null
);
create index access_key_persona on access_key (persona);
create table session (
    hash    blob primary key,
    person  text not null,
    created bigint not null,
    seen    bigint not null
);
create table link (
    hash    blob primary key,
    person  text not null,
    expires bigint not null
);
create table audit (
    seq      bigint primary key,
    time     bigint not null,
    kind     text not null,
    person   text not null,
    agent    text not null,
    usr      text not null,
    persona  text not null,
    tool     text not null,
    decision text not null,
    body     text not null
);
create index audit_persona on audit (persona, seq);
create table audit_head (
    one  integer primary key check (one = 1),
    seq  bigint not null,
    hash text not null
);
insert into audit_head (one, seq, hash) values (1, 0, '');
create table audit_intent (
    ticket integer primary key autoincrement,
    owner  text not null,
    body   text not null
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
