-- +goose Up
-- Processes that serve on this database, and when each last said so. One that was not heard of for a while is taken for dead.
create table replica (
    id   text collate "C" primary key,
    beat bigint not null
);
-- Which tools the revisions grant.
create view granted as
    select r.persona, r.number, g.value->>'Tool' as tool
    from revision r, json_array_elements(case when json_typeof(r.content::json->'Grants') = 'array' then r.content::json->'Grants' else '[]' end) g;

-- +goose Down
drop view granted;
drop table replica;
