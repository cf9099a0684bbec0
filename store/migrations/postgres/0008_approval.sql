-- +goose Up
-- Calls that a person decides on. arguments is emptied when a request is over; open is 1 while it answers the same call.
create table approval (
    id        text collate "C" primary key,
    open      integer not null,
    state     text collate "C" not null,
    agent_key text collate "C" not null,
    agent     text collate "C" not null,
    usr       text collate "C" not null,
    persona   text collate "C" not null,
    revision  integer not null,
    tool      text collate "C" not null,
    digest    text collate "C" not null,
    argument_digest text collate "C" not null,
    arguments bytea not null,
    minutes   integer not null,
    created   bigint not null,
    expires   bigint not null,
    decided   bigint not null,
    person    text collate "C" not null,
    reason    text collate "C" not null,
    solo      integer not null
);
create unique index approval_open on approval (agent_key, persona, revision, tool, digest, argument_digest) where open = 1;
create index approval_state on approval (state, created);

-- +goose Down
drop table approval;
