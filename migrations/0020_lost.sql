-- What a lost apply made and the state does not know, for whoever looks at it.
alter table runs add column unknown text;
