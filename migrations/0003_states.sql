-- States of stacks that are kept here. A row of `state_stacks` is the lock of all writes to the stack's state.
create table state_stacks (
  repo bigint not null, stack text not null, writes bigint not null default 0,
  epoch bigint not null default 0, last_number bigint not null default 0, head text,
  lock_id text, lock_info text, lock_run text, locked_at bigint, released_id text,
  frozen text, frozen_at bigint, primary key (repo, stack));

create table state_versions (
  id text primary key, repo bigint not null, stack text not null, number bigint not null,
  kind text not null check (kind in ('pending', 'accepted', 'orphan')),
  lineage text not null, serial bigint not null, digest text not null, length bigint not null,
  encrypted bigint not null check (encrypted in (0, 1)), tool text,
  previous text not null, binding text not null,
  origin text not null, source bigint, run text, epoch bigint, actor text not null, refused text,
  created_at bigint not null);
create unique index state_versions_number on state_versions (repo, stack, number);
create index state_versions_serial on state_versions (repo, stack, lineage, serial);

create table state_tokens (
  hash text primary key, nonce text not null, run text not null, repo bigint not null, stack text not null,
  access text not null check (access in ('read', 'write')), epoch bigint, created_at bigint not null, ended_at bigint);
create index state_tokens_run on state_tokens (run);
