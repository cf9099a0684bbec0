-- +goose Up
-- How far the record was sent to each place outside, and what is wrong there now.
create table audit_sink (
    name    text primary key,
    seq     bigint not null,
    hash    text not null,
    sent    bigint not null,
    failed  bigint not null,
    problem text not null
);

-- +goose Down
drop table audit_sink;
