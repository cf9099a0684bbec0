-- +goose Up
-- Secrets and tokens, each encrypted for its place with a key that is not in the database.
create table sealed (
    kind    text not null,
    name    text not null,
    owner   text not null,
    version bigint not null,
    changed bigint not null,
    expires bigint not null,
    body    blob not null,
    primary key (kind, name, owner)
);
-- Which key that is.
create table sealing_key (
    one   integer primary key check (one = 1),
    id    text not null,
    proof blob not null
);

-- +goose Down
drop table sealing_key;
drop table sealed;
