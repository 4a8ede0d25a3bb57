-- The lineage of a stack's state when it was last applied, and who forced an apply, and why.
create table stack_lineages (
  repo bigint not null, stack text not null, lineage text not null, primary key (repo, stack));
alter table runs add column forced text;
alter table pulls add column merged bigint not null default 0;
