-- +goose Up
-- What a person has stopped everywhere. It refers to nothing: it holds over new revisions, and for a server or tool that
-- goes and comes back.
create table suspension (
    kind   text collate "C" not null,
    name   text collate "C" not null,
    person text collate "C" not null,
    reason text collate "C" not null,
    at     bigint not null,
    primary key (kind, name)
);

-- +goose Down
drop table suspension;
