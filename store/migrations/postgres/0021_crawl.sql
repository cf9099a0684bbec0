-- +goose Up
-- Whose turn it is to crawl a server, and how that went; the empty server is the embedding of texts. asked counts what may have changed the
-- server's tools, answered is how much of that was known before the listing that was kept last began, kept counts the listings that changed
-- something. report is JSON.
create table crawl (
    server   text collate "C" primary key,
    holder   text collate "C" not null,
    place    text collate "C" not null,
    fence    bigint not null,
    expires  bigint not null,
    asked    bigint not null,
    answered bigint not null,
    kept     bigint not null,
    listed   bigint not null,
    report   text collate "C" not null
);
create trigger tell_crawl after update on crawl for each row
    when (old.asked <> new.asked or old.answered <> new.answered or old.kept <> new.kept or old.report <> new.report or new.expires = 0) execute function tell('remit_catalog', 'server');

-- +goose Down
drop table crawl;
