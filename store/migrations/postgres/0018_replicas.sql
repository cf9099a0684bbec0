-- +goose Up
-- Processes that serve on this database, and when each last said so. One that was not heard of for a while is taken for dead.
create table replica (
    id   text collate "C" primary key,
    beat bigint not null
);
-- What one of them does at a time, and until when which one does.
create table lease (
    name    text collate "C" primary key,
    holder  text collate "C" not null,
    fence   bigint not null,
    expires bigint not null
);
-- Which tools the revisions grant.
create view granted as
    select r.persona, r.number, g.value->>'Tool' as tool
    from revision r, json_array_elements(case when json_typeof(r.content::json->'Grants') = 'array' then r.content::json->'Grants' else '[]' end) g;
-- Limits that replicas share: calls by when they began, in counts of which whole says that everything is in it, and what runs now.
-- Whatever of this a crash could lose it loses altogether, and the counts are loaded anew from the record.
create unlogged table counting (
    name  text collate "C" primary key,
    whole integer not null
);
create unlogged table counted (
    name text collate "C" not null,
    at   bigint not null,
    id   text collate "C" not null
);
create index counted_at on counted (name, at);
create unlogged table running (
    name    text collate "C" not null,
    id      text collate "C" not null,
    expires bigint not null,
    primary key (name, id)
);
-- Other processes hear of what they keep in memory, or of what somebody waits for, when it is committed. The first argument is
-- the channel, the second the column that says what it is about.
-- +goose StatementBegin
create function tell() returns trigger language plpgsql as $$
begin
    perform pg_notify(tg_argv[0], coalesce(to_jsonb(new), to_jsonb(old)) ->> tg_argv[1]);
    return null;
end $$;
-- +goose StatementEnd
create trigger tell_persona after update on persona for each row when (old is distinct from new) execute function tell('remit_persona', 'id');
create trigger tell_revision after update on revision for each row when (old.state <> new.state) execute function tell('remit_persona', 'persona');
create trigger tell_live after insert on revision for each row when (new.state = 'live') execute function tell('remit_persona', 'persona');
create trigger tell_key after update of expires, revoked on access_key for each row when (old is distinct from new) execute function tell('remit_persona', 'persona');
create trigger tell_suspended after insert on suspension for each row when (new.kind = 'persona') execute function tell('remit_persona', 'name');
create trigger tell_resumed after delete on suspension for each row when (old.kind = 'persona') execute function tell('remit_persona', 'name');
create trigger tell_frozen after insert or delete on frozen for each row execute function tell('remit_persona', 'persona');
create trigger tell_person after update on person for each row when (old is distinct from new) execute function tell('remit_person', 'name');
create trigger tell_approval after update on approval for each row when (old.state <> new.state) execute function tell('remit_approval', 'id');
create trigger tell_listing after insert or update on listing for each row execute function tell('remit_catalog', 'server');

-- +goose Down
drop trigger tell_listing on listing;
drop trigger tell_approval on approval;
drop trigger tell_person on person;
drop trigger tell_frozen on frozen;
drop trigger tell_resumed on suspension;
drop trigger tell_suspended on suspension;
drop trigger tell_key on access_key;
drop trigger tell_live on revision;
drop trigger tell_revision on revision;
drop trigger tell_persona on persona;
drop function tell;
drop table running;
drop table counted;
drop table counting;
drop view granted;
drop table lease;
drop table replica;
