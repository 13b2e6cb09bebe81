-- What is worth nothing before it ends by itself: written with its cause, then taken to Redis, where the gateways see it.
create table revocations (
    id bigint generated always as identity primary key,
    kind text not null check (kind in ('jti', 'sid', 'client', 'key', 'user')),
    value text not null,
    -- Of a user: tokens of a smaller epoch are meant.
    epoch int not null default 0,
    revoked_at timestamptz not null,
    -- No token that this is about lives longer.
    until timestamptz not null,
    -- When Redis had it.
    sent_at timestamptz
);
create index revocations_unsent on revocations (id) where sent_at is null;
create index revocations_until on revocations (until);

-- Rises when all access tokens of a user are to end at once; a token says which it is of.
alter table users add column epoch int not null default 0;
