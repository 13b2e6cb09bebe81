-- When this user was last told that somebody tried to register with its address.
alter table users add column warned_at timestamptz;
