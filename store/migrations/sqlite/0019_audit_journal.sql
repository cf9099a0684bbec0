-- +goose Up
-- How far the journal of calls, files beside the database, is in the record: the number of the last of its entries, and the last of
-- its epochs that was recovered. See store/journal.go.
create table audit_journal (
    one     integer primary key check (one = 1),
    applied bigint not null,
    epoch   bigint not null
);
insert into audit_journal (one, applied, epoch) values (1, 0, 0);

-- +goose Down
drop table audit_journal;
