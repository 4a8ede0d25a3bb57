-- Who pressed which button of a check. Without a name, as from a server before this one, nobody is authorised.
alter table reruns add column action text not null default 'replan';
alter table reruns add column author text not null default '';
alter table reruns add column bot bigint not null default 0;
