-- +goose Up
-- Secrets and tokens, each encrypted for its place with a key that is not in the database.
create table sealed (
    kind    text collate "C" not null,
    name    text collate "C" not null,
    owner   text collate "C" not null,
    version bigint not null,
    changed bigint not null,
    expires bigint not null,
    body    bytea not null,
    primary key (kind, name, owner)
);
-- Which key that is.
create table sealing_key (
    one   integer primary key check (one = 1),
    id    text collate "C" not null,
    proof bytea not null
);

-- +goose Down
drop table sealing_key;
drop table sealed;
