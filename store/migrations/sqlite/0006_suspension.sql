-- +goose Up
-- What a person has stopped everywhere. It refers to nothing: it holds over new revisions, and for a server or tool that
-- goes and comes back.
create table suspension (
    kind   text not null,
    name   text not null,
    person text not null,
    reason text not null,
    at     bigint not null,
    primary key (kind, name)
);

-- +goose Down
drop table suspension;
