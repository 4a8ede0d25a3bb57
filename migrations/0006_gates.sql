-- What GitHub says about requirements is a fact of a pull request; what was shown of a plan is what approvals are for.
alter table pulls add column gates text;
alter table pulls add column gates_seen bigint not null default 0;
alter table pulls add column gates_at bigint;
alter table pulls add column gates_tries bigint not null default 0;
alter table runs add column asked bigint;
alter table runs add column evidence text;
create table shown (
  repo bigint not null, pull bigint not null, stack text not null, base_branch text not null, head text not null,
  fingerprint text not null, at bigint not null,
  primary key (repo, pull, stack, base_branch, head, fingerprint));
create table freezes (scope text primary key, why text not null, actor text not null, at bigint not null);
alter table lock_waiters add column request text;
alter table lock_waiters add column fingerprint text;
