-- +goose Up
create table token (
    id       text collate "C" primary key,
    hash     bytea not null,
    name     text collate "C" not null,
    roles    text collate "C" not null,
    created  bigint not null,
    creator  text collate "C" not null,
    expires  bigint not null,
    revoked  bigint not null,
    last_use bigint not null
);
create index token_creator on token (creator);

-- +goose Down
drop table token;
