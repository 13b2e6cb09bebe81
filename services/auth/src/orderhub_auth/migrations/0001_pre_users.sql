-- Users, their sessions, and the keys that sign access tokens.

create table users (
    id uuid primary key,
    -- Lower case; two spellings are one address.
    email text not null unique check (email = lower(email)),
    name text not null,
    password_hash text not null,
    roles text[] not null check (roles <@ array['customer', 'vendor', 'courier', 'operator'] and roles <> '{}'),
    vendor_id uuid,
    email_verified boolean not null,
    disabled boolean not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint users_vendor check (('vendor' = any (roles)) = (vendor_id is not null))
);

-- One login and everything refreshed from it: the family that a reused refresh token ends.
create table sessions (
    id uuid primary key,
    user_id uuid not null references users,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    revoked_at timestamptz,
    revoked_reason text not null default ''
);
create index sessions_user_id on sessions (user_id);
create index sessions_expires_at on sessions (expires_at);

-- Only the SHA-256 of a token is kept: 256 random bits need no slow hash.
create table refresh_tokens (
    token_hash bytea primary key,
    session_id uuid not null references sessions on delete cascade,
    issued_at timestamptz not null,
    spent_at timestamptz,
    -- How often it was exchanged; more than once only within the grace time.
    uses int not null default 0
);
create index refresh_tokens_session_id on refresh_tokens (session_id);

-- `sealed` is the private JWK as a JWE; the key that opens it is a setting and never in the database.
create table signing_keys (
    kid text primary key,
    public_jwk text not null,
    sealed text not null,
    created_at timestamptz not null
);
