-- +goose Up
-- What a key allows less than its persona (JSON), from where it was last used, and the keys before and after it.
alter table access_key add column bounds text collate "C" not null default '{}';
alter table access_key add column last_from text collate "C" not null default '';
alter table access_key add column replaces text collate "C" not null default '';
alter table access_key add column replaced_by text collate "C" not null default '';
drop trigger access_key_update on access_key;
create trigger access_key_update after update of hash, agent, usr, persona, expires, revoked, bounds on access_key for each row execute function standing_moves();

-- +goose Down
drop trigger access_key_update on access_key;
create trigger access_key_update after update of hash, agent, usr, persona, expires, revoked on access_key for each row execute function standing_moves();
alter table access_key drop column replaced_by;
alter table access_key drop column replaces;
alter table access_key drop column last_from;
alter table access_key drop column bounds;
