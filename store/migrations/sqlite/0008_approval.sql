-- +goose Up
-- Calls that a person decides on. arguments is emptied when a request is over; open is 1 while it answers the same call.
create table approval (
    id        text primary key,
    open      integer not null,
    state     text not null,
    agent_key text not null,
    agent     text not null,
    usr       text not null,
    persona   text not null,
    revision  integer not null,
    tool      text not null,
    digest    text not null,
    argument_digest text not null,
    arguments blob not null,
    minutes   integer not null,
    created   bigint not null,
    expires   bigint not null,
    decided   bigint not null,
    person    text not null,
    reason    text not null,
    solo      integer not null
);
create unique index approval_open on approval (agent_key, persona, revision, tool, digest, argument_digest) where open = 1;
create index approval_state on approval (state, created);

-- +goose Down
drop table approval;
