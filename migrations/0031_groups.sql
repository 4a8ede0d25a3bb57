-- What merge queues test together.
create table groups (
  repo bigint not null, branch text not null, base_branch text not null, head text not null, base text not null,
  members text not null, survey text, primary key (repo, branch));
