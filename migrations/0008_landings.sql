-- Commits on trusted branches, served one after the other: what each does to which stack, and how that ended.
create table branches (
  repo bigint not null, name text not null, walked text not null, asked bigint not null default 1,
  seen bigint not null default 0, primary key (repo, name));
create table landings (
  repo bigint not null, id bigint not null, branch text not null, before text not null, commit_id text not null,
  pull bigint, survey text, done bigint not null default 0 check (done in (0, 1)), seen_at bigint not null,
  primary key (repo, id));
create index landings_open on landings (repo, branch, done);
create index landings_pull on landings (repo, pull);
create table landed_stacks (
  repo bigint not null, landing bigint not null, stack text not null, outcome text, why text, actor text,
  ended_at bigint, asked_plan text, asked_by text, request text,
  primary key (repo, landing, stack));
alter table runs add column landing bigint;
