-- +goose Up
-- What an agent's request is decided by has a version, so that whoever remembers it need not read it again. Who listens hears
-- of each change when it is committed.
create table standing (
    one     integer primary key check (one = 1),
    version bigint not null
);
insert into standing (one, version) values (1, 1);
-- +goose StatementBegin
create function standing_moves() returns trigger language plpgsql as $$
begin
    update standing set version = version + 1;
    notify remit_standing;
    return null;
end $$;
-- +goose StatementEnd
create trigger persona_insert after insert on persona for each row execute function standing_moves();
create trigger persona_update after update on persona for each row execute function standing_moves();
create trigger persona_delete after delete on persona for each row execute function standing_moves();
create trigger revision_insert after insert on revision for each row execute function standing_moves();
create trigger revision_update after update on revision for each row execute function standing_moves();
create trigger revision_delete after delete on revision for each row execute function standing_moves();
create trigger person_insert after insert on person for each row execute function standing_moves();
create trigger person_update after update on person for each row execute function standing_moves();
create trigger person_delete after delete on person for each row execute function standing_moves();
create trigger suspension_insert after insert on suspension for each row execute function standing_moves();
create trigger suspension_update after update on suspension for each row execute function standing_moves();
create trigger suspension_delete after delete on suspension for each row execute function standing_moves();
create trigger frozen_insert after insert on frozen for each row execute function standing_moves();
create trigger frozen_update after update on frozen for each row execute function standing_moves();
create trigger frozen_delete after delete on frozen for each row execute function standing_moves();
create trigger shadow_insert after insert on shadow for each row execute function standing_moves();
create trigger shadow_update after update on shadow for each row execute function standing_moves();
create trigger shadow_delete after delete on shadow for each row execute function standing_moves();
create trigger access_key_insert after insert on access_key for each row execute function standing_moves();
create trigger access_key_update after update of hash, agent, usr, persona, expires, revoked on access_key for each row execute function standing_moves();
create trigger access_key_delete after delete on access_key for each row execute function standing_moves();
create trigger term_insert after insert on term for each row execute function standing_moves();
create trigger term_update after update on term for each row execute function standing_moves();
create trigger term_delete after delete on term for each row execute function standing_moves();

-- +goose Down
drop trigger term_delete on term;
drop trigger term_update on term;
drop trigger term_insert on term;
drop trigger access_key_delete on access_key;
drop trigger access_key_update on access_key;
drop trigger access_key_insert on access_key;
drop trigger shadow_delete on shadow;
drop trigger shadow_update on shadow;
drop trigger shadow_insert on shadow;
drop trigger frozen_delete on frozen;
drop trigger frozen_update on frozen;
drop trigger frozen_insert on frozen;
drop trigger suspension_delete on suspension;
drop trigger suspension_update on suspension;
drop trigger suspension_insert on suspension;
drop trigger person_delete on person;
drop trigger person_update on person;
drop trigger person_insert on person;
drop trigger revision_delete on revision;
drop trigger revision_update on revision;
drop trigger revision_insert on revision;
drop trigger persona_delete on persona;
drop trigger persona_update on persona;
drop trigger persona_insert on persona;
drop function standing_moves;
drop table standing;
