-- +goose Up
-- Keys that Remit makes for itself, such as that of masked values.
create table secret (
    name text collate "C" primary key,
    body bytea not null
);

-- +goose Down
drop table secret;
