-- +goose Up
-- Whom an identity provider knows by issuer and subject, until when it vouches for them, and what their sessions show.
alter table person add column issuer text not null default '';
alter table person add column subject text not null default '';
alter table person add column vouched bigint not null default 0;
create unique index person_subject on person (issuer, subject) where issuer <> '';
alter table session add column provider_session text not null default '';
alter table session add column browser text not null default '';
alter table session add column address text not null default '';
create index session_person on session (person);
create index access_key_user on access_key (usr);
-- Sign-ins that were sent to the provider and have not come back.
create table sign_in_flow (
    state   blob primary key,
    browser blob not null,
    next    text not null,
    expires bigint not null
);
-- Logout tokens that were used, until they expire.
create table logout_token (
    id      blob primary key,
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
