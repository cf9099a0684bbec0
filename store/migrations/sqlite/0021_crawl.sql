-- +goose Up
-- Whose turn it is to crawl a server, and how that went; the empty server is the embedding of texts. asked counts what may have changed the
-- server's tools, answered is how much of that was known before the listing that was kept last began, kept counts the listings that changed
-- something. report is JSON.
create table crawl (
    server   text primary key,
    holder   text not null,
    place    text not null,
    fence    bigint not null,
    expires  bigint not null,
    asked    bigint not null,
    answered bigint not null,
    kept     bigint not null,
    listed   bigint not null,
    report   text not null
);

-- +goose Down
drop table crawl;
