-- +goose Up
-- Until when a persona may be used, and what Remit saw of it. Times are microseconds since 1970 UTC; 0 means never.
create table term (
    persona              text collate "C" primary key references persona (id),
    expires              bigint not null,
    recertify            bigint not null,
    missed               text collate "C" not null,
    seen                 bigint not null,
    ended                bigint not null,
    told_expiry          text collate "C" not null,
    told_recertification text collate "C" not null
);

-- +goose Down
drop table term;
