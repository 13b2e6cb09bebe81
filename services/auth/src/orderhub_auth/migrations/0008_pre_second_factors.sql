-- Second factors: an authenticator app (RFC 6238), recovery codes, and logins whose second step is open.
-- `mfa_enabled` is true exactly where there is a confirmed authenticator.
alter table users add column mfa_enabled boolean not null default false;

create table authenticators (
    user_id uuid primary key references users on delete cascade,
    -- The secret as a JWE, and the name of the key that it was sealed with; the key itself is never in the database.
    sealed text not null,
    sealed_by text not null,
    created_at timestamptz not null,
    -- Null while no code has shown that the app has it: until then nobody is asked for one.
    confirmed_at timestamptz,
    -- The last time step that a code was taken of: that code, and every older one, is worth nothing any more.
    last_step bigint not null default -1,
    -- Wrong codes since, and when the last of them came.
    failures int not null default 0,
    failed_at timestamptz
);
create index authenticators_sealed_by on authenticators (sealed_by);

create table recovery_codes (
    user_id uuid not null references users on delete cascade,
    -- SHA-256: 80 random bits need no slow hash.
    code_hash bytea not null,
    created_at timestamptz not null,
    spent_at timestamptz,
    primary key (user_id, code_hash)
);

-- A login that has shown the password and has yet to show the second factor.
create table mfa_tokens (
    token_hash bytea primary key,
    user_id uuid not null references users on delete cascade,
    -- SHA-256 of the password hash that was verified: with another password the login begins again.
    password_digest bytea not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    guesses int not null default 0,
    spent_at timestamptz
);
create index mfa_tokens_user_id on mfa_tokens (user_id);
create index mfa_tokens_expires_at on mfa_tokens (expires_at);
