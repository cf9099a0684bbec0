-- +goose Up
create index audit_tool on audit (tool, seq);

-- +goose Down
drop index audit_tool;
