-- The first schema. Types: bigint, text, bytea. Times are microseconds since 1970 UTC; JSON is text.
create table settings (name text primary key, value text not null);

create table repositories (
  id bigint primary key, installation bigint not null, name text not null, name_key text not null,
  snapshot text, observed_at bigint not null default 0);
create index repositories_name on repositories (name_key);

create table deliveries (id text primary key, event text not null, action text, received_at bigint not null);

create table due (
  key text primary key, tenant text not null, due_at bigint not null, turn bigint not null,
  generation bigint not null default 1, attempt bigint not null default 0, claim text);
create index due_turn on due (turn);
create index due_claim on due (claim);

create table leases (key text primary key, fence bigint not null, until bigint not null, beat bigint not null, owner text);

create table pulls (
  repo bigint not null, number bigint not null, asked bigint not null default 1, seen bigint not null default 0,
  first_seen bigint not null, observed_at bigint not null default 0,
  snapshot text, base_branch text, head text, open bigint not null default 1 check (open in (0, 1)),
  default_tip text, heard bigint not null default 0, cursor bigint, survey text, survey_key text, trouble text,
  primary key (repo, number));
create index pulls_head on pulls (repo, head);

create table commands (
  id text primary key, comment bigint, repo bigint not null, number bigint not null, author text not null,
  bot bigint not null check (bot in (0, 1)), edited bigint not null check (edited in (0, 1)),
  body text not null, created_at bigint not null, role text,
  state text not null check (state in ('new', 'done')), outcome text);
create index commands_pull on commands (repo, number);

create table reruns (
  id text primary key, repo bigint not null, head text not null, check_id bigint, created_at bigint not null,
  state text not null check (state in ('new', 'done')));

create table runs (
  id text primary key, number bigint not null unique, repo bigint not null, pull bigint not null,
  stack text not null, path text not null, head text not null, base text not null, tree text not null,
  inputs text not null, detail text not null, options text not null, request text,
  state text not null, wanted text not null, version bigint not null default 1, attempt bigint not null default 1,
  created_at bigint not null, claimed_at bigint, started_at bigint, ended_at bigint,
  job_started bigint not null default 0 check (job_started in (0, 1)),
  job_lost bigint not null default 0 check (job_lost in (0, 1)),
  job_removed bigint not null default 0 check (job_removed in (0, 1)),
  interrupted_at bigint, job_end text, tool text, failure text, tail text, cursor bigint not null default 0,
  skip bigint not null default 0, log_bytes bigint not null default 0, phase text);
create index runs_pull on runs (repo, pull);
create index runs_state on runs (state);

create table run_log_chunks (
  run text not null, start bigint not null, length bigint not null, sealed bytea not null, primary key (run, start));

create table plans (run text primary key, document text not null);

create table publications (
  target text primary key, repo bigint not null, number bigint not null, commit_id text, attempted text, published text,
  remote_id bigint, content text, closed bigint not null default 0 check (closed in (0, 1)));
create index publications_pull on publications (repo, number);

create table blobs (key text primary key, length bigint not null, generation text not null);
create table blob_chunks (
  key text not null, generation text not null, seq bigint not null, sealed bytea not null,
  primary key (key, generation, seq));
