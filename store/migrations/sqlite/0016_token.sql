-- +goose Up
create table token (
    id       text primary key,
    hash     blob not null,
    name     text not null,
    roles    text not null,
    created  bigint not null,
    creator  text not null,
    expires  bigint not null,
    revoked  bigint not null,
    last_use bigint not null
);
create index token_creator on token (creator);

-- +goose Down
drop table token;
