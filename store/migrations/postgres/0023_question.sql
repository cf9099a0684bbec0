-- +goose Up
-- What servers asked in the middle of calls that wait in a replica, and the client's answer, encrypted, where it reached another. A crash
-- of the database loses it; the replicas that wait keep their questions anew.
create unlogged table question (
    id      text collate "C" primary key,
    session text collate "C" not null,
    expires bigint not null,
    answer  bytea
);
create trigger tell_answer after update on question for each row when (old.answer is null and new.answer is not null) execute function tell('remit_answer', 'id');

-- +goose Down
drop table question;
