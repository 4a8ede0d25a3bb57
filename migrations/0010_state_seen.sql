-- The state that a plan was made on: "none", or lineage, serial and the digest of what is kept here.
alter table runs add column state_seen text;
