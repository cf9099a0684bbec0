-- +goose Up
-- Processes that serve on this database, and when each last said so. A SQLite file has one, which does not say so.
create table replica (
    id   text primary key,
    beat bigint not null
);
-- What one of them does at a time, and until when which one does.
create table lease (
    name    text primary key,
    holder  text not null,
    fence   bigint not null,
    expires bigint not null
);
-- Which tools the revisions grant.
create view granted as
    select r.persona, r.number, json_extract(g.value, '$.Tool') as tool from revision r, json_each(r.content, '$.Grants') g;

-- +goose Down
drop view granted;
drop table lease;
drop table replica;
