-- Since when a pull request goes into its base and has its head; what was shown, again each time that it changes.
alter table pulls add column into_since bigint;
alter table pulls add column head_since bigint;
create table shown_again (
  repo bigint not null, pull bigint not null, stack text not null, base_branch text not null, head text not null,
  fingerprint text not null, at bigint not null,
  primary key (repo, pull, stack, base_branch, head, at));
insert into shown_again (repo, pull, stack, base_branch, head, fingerprint, at)
  select repo, pull, stack, base_branch, head, min(fingerprint), at from shown
  group by repo, pull, stack, base_branch, head, at;
drop table shown;
alter table shown_again rename to shown;
