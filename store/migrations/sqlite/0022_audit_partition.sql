-- +goose Up
-- A SQLite table has no parts: on a file, entries are removed row by row.
select 1;

-- +goose Down
select 1;
