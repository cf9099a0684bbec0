-- +goose Up
-- Which revision of a persona runs beside the live one, and what such revisions would have decided.
create table shadow (
    persona text collate "C" primary key references persona (id),
    number  integer not null,
    person  text collate "C" not null,
    since   bigint not null
);
alter table audit add column shadow integer not null default 0;
alter table audit add column shadow_decision text collate "C" not null default '';
alter table audit add column shadow_policy text collate "C" not null default '';
create index audit_shadow on audit (persona, shadow, seq) where shadow > 0;

-- +goose Down
drop index audit_shadow;
alter table audit drop column shadow_policy;
alter table audit drop column shadow_decision;
alter table audit drop column shadow;
drop table shadow;
