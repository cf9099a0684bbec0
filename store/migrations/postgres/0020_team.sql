-- +goose Up
-- Teams: whose a persona is (empty for nobody's), which ones a person is in, and to which a management token is held (JSON).
-- The triggers on persona and person count these columns, too.
alter table persona add column team text collate "C" not null default '';
alter table person add column teams text collate "C" not null default '[]';
alter table token add column teams text collate "C" not null default '[]';

-- +goose Down
alter table token drop column teams;
alter table person drop column teams;
alter table persona drop column team;
