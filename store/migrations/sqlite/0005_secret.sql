-- +goose Up
-- Keys that Remit makes for itself, such as that of masked values.
create table secret (
    name text primary key,
    body blob not null
);

-- +goose Down
drop table secret;
