-- What people allowed of a pull request, and how merging it by ourselves went.
alter table pulls add column allowed text;
alter table pulls add column merge_tries bigint not null default 0;
alter table pulls add column merge_at bigint;
alter table pulls add column merge_head text;
alter table pulls add column merge_why text;
