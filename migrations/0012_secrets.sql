-- Secrets by scope ("org:acme", "repo:5") and name. Without a value it was removed; its version goes on.
create table secrets (
  scope text not null, name text not null, version bigint not null, sealed bytea, changed_at bigint not null,
  actor text not null, primary key (scope, name));
-- Values of before, so that what still runs with them is masked.
create table secrets_before (
  scope text not null, name text not null, version bigint not null, sealed bytea not null, until bigint not null,
  primary key (scope, name, version));
