-- +goose Up
-- Who may use a persona with a client of their own, as JSON, and which groups a person had at the last sign-in. The triggers
-- on both tables count these columns, too.
alter table persona add column users text collate "C" not null default '{}';
alter table person add column provider_groups text collate "C" not null default '[]';

-- +goose Down
alter table person drop column provider_groups;
alter table persona drop column users;
