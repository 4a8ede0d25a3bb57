-- Tokens of people for the API, by their hash. `scopes` are words between spaces; `org` or `repo` bind a token, neither: it
-- is for all.
create table api_tokens (
  id text primary key, hash text not null, name text not null, owner text not null, scopes text not null,
  org text, repo bigint, created_at bigint not null, created_by text not null,
  expires_at bigint, used_at bigint, revoked_at bigint, revoked_by text);
create unique index api_tokens_hash on api_tokens (hash);

-- Who did what; each row is bound to the one before. The row of `audit_head` is the lock of all writers.
create table audit (
  seq bigint primary key, at bigint not null, actor text not null, token text, action text not null,
  place text not null, detail text not null, hash text not null);
create table audit_head (id bigint primary key check (id = 1), seq bigint not null, hash text not null);

-- People hold locks and write states by a token.
alter table state_stacks add column lock_token text;
alter table state_versions add column token text;
