-- +goose Up
-- A SQLite file serves one process: the answers to what servers ask reach the one that asked.
select 1;

-- +goose Down
select 1;
