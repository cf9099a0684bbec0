-- +goose Up
-- Whom an identity provider knows by issuer and subject, until when it vouches for them, and what their sessions show.
alter table person add column issuer text collate "C" not null default '';
alter table person add column subject text collate "C" not null default '';
alter table person add column vouched bigint not null default 0;
create unique index person_subject on person (issuer, subject) where issuer <> '';
alter table session add column provider_session text collate "C" not null default '';
alter table session add column browser text collate "C" not null default '';
alter table session add column address text collate "C" not null default '';
create index session_person on session (person);
create index access_key_user on access_key (usr);
-- Sign-ins that were sent to the provider and have not come back.
create table sign_in_flow (
    state   bytea primary key,
    browser bytea not null,
    next    text collate "C" not null,
    expires bigint not null
);
-- Logout tokens that were used, until they expire.
create table logout_token (
    id      bytea primary key,
    expires bigint not null
);

-- +goose Down
drop table logout_token;
drop table sign_in_flow;
drop index access_key_user;
drop index session_person;
alter table session drop column address;
alter table session drop column browser;
alter table session drop column provider_session;
drop index person_subject;
alter table person drop column vouched;
alter table person drop column subject;
alter table person drop column issuer;
