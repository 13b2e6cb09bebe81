-- Wrong passwords (backoff.py): by account and place, by account, by address.
create table guesses (
    -- SHA-256 of what is counted: neither accounts nor addresses can be read from here.
    key bytea primary key,
    failures int not null,
    failed_at timestamptz,
    -- Of an account at a place alone: when it last logged in there.
    succeeded_at timestamptz
);
create index guesses_failed_at on guesses (failed_at);
