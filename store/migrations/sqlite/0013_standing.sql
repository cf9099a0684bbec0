-- +goose Up
-- What an agent's request is decided by has a version, so that whoever remembers it need not read it again.
create table standing (
    one     integer primary key check (one = 1),
    version bigint not null
);
insert into standing (one, version) values (1, 1);
-- +goose StatementBegin
create trigger persona_insert after insert on persona begin update standing set version = version + 1; end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger persona_update after update on persona begin update standing set version = version + 1; end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger persona_delete after delete on persona begin update standing set version = version + 1; end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger revision_insert after insert on revision begin update standing set version = version + 1; end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger revision_update after update on revision begin update standing set version = version + 1; end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger revision_delete after delete on revision begin update standing set version = version + 1; end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger person_insert after insert on person begin update standing set version = version + 1; end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger person_update after update on person begin update standing set version = version + 1; end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger person_delete after delete on person begin update standing set version = version + 1; end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger suspension_insert after insert on suspension begin update standing set version = version + 1; end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger suspension_update after update on suspension begin update standing set version = version + 1; end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger suspension_delete after delete on suspension begin update standing set version = version + 1; end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger frozen_insert after insert on frozen begin update standing set version = version + 1; end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger frozen_update after update on frozen begin update standing set version = version + 1; end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger frozen_delete after delete on frozen begin update standing set version = version + 1; end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger shadow_insert after insert on shadow begin update standing set version = version + 1; end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger shadow_update after update on shadow begin update standing set version = version + 1; end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger shadow_delete after delete on shadow begin update standing set version = version + 1; end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger access_key_insert after insert on access_key begin update standing set version = version + 1; end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger access_key_update after update of hash, agent, usr, persona, expires, revoked on access_key begin update standing set version = version + 1; end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger access_key_delete after delete on access_key begin update standing set version = version + 1; end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger term_insert after insert on term begin update standing set version = version + 1; end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger term_update after update on term begin update standing set version = version + 1; end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger term_delete after delete on term begin update standing set version = version + 1; end;
-- +goose StatementEnd

-- +goose Down
drop trigger term_delete;
drop trigger term_update;
drop trigger term_insert;
drop trigger access_key_delete;
drop trigger access_key_update;
drop trigger access_key_insert;
drop trigger frozen_delete;
drop trigger frozen_update;
drop trigger frozen_insert;
drop trigger suspension_delete;
drop trigger suspension_update;
drop trigger suspension_insert;
drop trigger person_delete;
drop trigger person_update;
drop trigger person_insert;
drop trigger revision_delete;
drop trigger revision_update;
drop trigger revision_insert;
drop trigger persona_delete;
drop trigger persona_update;
drop trigger persona_insert;
drop trigger shadow_insert;
drop trigger shadow_update;
drop trigger shadow_delete;
drop table standing;
