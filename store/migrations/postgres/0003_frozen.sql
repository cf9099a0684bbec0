-- +goose Up
-- A pin that its tool once drifted from. It is refused until a person has approved a new revision or confirmed the tool.
create table frozen (
    persona text collate "C" not null,
    number  integer not null,
    tool    text collate "C" not null,
    digest  text collate "C" not null,
    since   bigint not null,
    primary key (persona, number, tool, digest)
);
create index frozen_tool on frozen (tool);
-- What deletes definitions looks for those that nothing refers to.
create index tool_digest on tool (digest);
create index revision_definition_digest on revision_definition (digest);
-- Pins that are drifted from now were frozen in effect; from here on they stay so.
insert into frozen (persona, number, tool, digest, since)
    select r.persona, r.number, t.id, g.value->>'Digest', l.listed_at
    from revision r, json_array_elements(case when json_typeof(r.content::json->'Grants') = 'array' then r.content::json->'Grants' else '[]' end) g
    join tool t on t.id = g.value->>'Tool'
    join listing l on l.server = t.server
    where t.gone = 1 or t.digest <> g.value->>'Digest';

-- +goose Down
drop index revision_definition_digest;
drop index tool_digest;
drop table frozen;
