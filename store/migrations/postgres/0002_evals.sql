-- +goose Up
-- summary is what a list shows of a run; body is the whole run as gzipped JSON.
create table eval_run (
    id      text collate "C" primary key,
    saved   bigint not null,
    summary text collate "C" not null,
    body    bytea not null
);

-- +goose Down
drop table eval_run;
