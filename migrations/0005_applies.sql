-- Applies are runs of their own kind; who may apply to a stack is a row.
alter table runs add column kind text not null default 'plan';
alter table runs add column plan text;
alter table runs add column epoch bigint;
alter table runs add column done bigint not null default 0;
create table applied_items (run text not null, seq bigint not null, item text not null, primary key (run, seq));
create table locks (
  repo bigint not null, stack text not null, pull bigint not null, since bigint not null, primary key (repo, stack));
create table lock_waiters (
  repo bigint not null, stack text not null, pull bigint not null, since bigint not null,
  primary key (repo, stack, pull));
