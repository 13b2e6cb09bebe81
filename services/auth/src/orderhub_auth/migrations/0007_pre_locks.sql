-- An operator's lock: no grant gives this user a token before then.
alter table users add column locked_until timestamptz;
