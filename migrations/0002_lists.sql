-- What lists show of large values stands beside them, so that a list reads none of them.
alter table pulls add column changed_at bigint not null default 0;
alter table pulls add column brief text;
create index pulls_changed on pulls (open, changed_at);
alter table plans add column brief text;
