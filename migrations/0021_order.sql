-- The states of the stacks before it that a plan's inputs came from.
alter table runs add column upstream text;
