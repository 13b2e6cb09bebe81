-- What a user sees of a session: where it was opened or last refreshed from, and when.
alter table sessions
    add column address text not null default '',
    add column user_agent text not null default '',
    add column last_seen_at timestamptz;
