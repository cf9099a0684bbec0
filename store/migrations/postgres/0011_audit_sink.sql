-- +goose Up
-- How far the record was sent to each place outside, and what is wrong there now.
create table audit_sink (
    name    text collate "C" primary key,
    seq     bigint not null,
    hash    text collate "C" not null,
    sent    bigint not null,
    failed  bigint not null,
    problem text collate "C" not null
);

-- +goose Down
drop table audit_sink;
