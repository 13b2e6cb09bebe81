-- The OpenID Provider: who may ask, who is logged in with which browser, and what was issued to whom.

create table clients (
    id uuid primary key,
    name text not null,
    -- SHA-256: 256 random bits need no slow hash. Null where there is no secret.
    secret_hash bytea,
    auth_method text not null,
    jwks text not null default '',
    redirect_uris text[] not null,
    post_logout_redirect_uris text[] not null,
    backchannel_logout_uri text not null default '',
    grant_types text[] not null,
    scopes text[] not null,
    id_token_alg text not null,
    require_pkce boolean not null,
    first_party boolean not null,
    roles text[] not null check (roles <@ array['customer', 'vendor', 'courier', 'operator']),
    vendor_id uuid,
    disabled boolean not null default false,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint clients_secret check ((auth_method in ('client_secret_basic', 'client_secret_post')) = (secret_hash is not null)),
    constraint clients_vendor check (('vendor' = any (roles)) = (vendor_id is not null))
);

-- A session is one of three: opened by auth/login; of a browser that logged in here (`cookie_hash`), whose id is the `sid`
-- that relying parties see; or of a client that a person let in (`client_id`), from such a browser (`parent_id`) or a device.
alter table sessions
    add column cookie_hash bytea unique,
    add column client_id uuid references clients on delete cascade,
    add column parent_id uuid references sessions on delete set null,
    add column scopes text[] not null default '{api}',
    -- Claims that were asked for by name, for userinfo.
    add column claims text[] not null default '{}',
    -- Wrong codes of devices that were typed here lately.
    add column misses int not null default 0,
    add column missed_at timestamptz;
create index sessions_parent_id on sessions (parent_id) where parent_id is not null;
create index sessions_client_id on sessions (client_id) where client_id is not null;

-- A page that a browser was shown, until its form comes back.
create table interactions (
    secret_hash bytea primary key,
    -- Of the cookie of the browser that it was made for.
    cookie_hash bytea not null,
    kind text not null check (kind in ('authorize', 'logout', 'device')),
    parameters jsonb not null,
    -- Who has given the password here, while the second factor is missing.
    user_id uuid references users on delete cascade,
    password_digest bytea,
    misses int not null default 0,
    created_at timestamptz not null,
    expires_at timestamptz not null
);
create index interactions_expires_at on interactions (expires_at);

create table authorization_codes (
    code_hash bytea primary key,
    client_id uuid not null references clients on delete cascade,
    user_id uuid not null references users on delete cascade,
    login_id uuid not null references sessions on delete cascade,
    redirect_uri text not null,
    scopes text[] not null,
    nonce text not null,
    challenge text not null,
    userinfo_claims text[] not null,
    id_token_claims text[] not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    spent_at timestamptz,
    -- What it was exchanged for: ended when the code comes again.
    session_id uuid
);
create index authorization_codes_expires_at on authorization_codes (expires_at);

create table consents (
    user_id uuid not null references users on delete cascade,
    client_id uuid not null references clients on delete cascade,
    scopes text[] not null,
    granted_at timestamptz not null,
    primary key (user_id, client_id)
);

create table device_grants (
    device_hash bytea primary key,
    user_code text not null unique,
    client_id uuid not null references clients on delete cascade,
    scopes text[] not null,
    state text not null default 'pending' check (state in ('pending', 'allowed', 'denied', 'spent')),
    login_id uuid references sessions on delete cascade,
    interval_seconds int not null,
    polled_at timestamptz,
    created_at timestamptz not null,
    expires_at timestamptz not null
);
create index device_grants_expires_at on device_grants (expires_at);

-- Assertions of clients that were taken once (RFC 7523, section 3).
create table client_assertions (
    client_id uuid not null references clients on delete cascade,
    jti_hash bytea not null,
    expires_at timestamptz not null,
    primary key (client_id, jti_hash)
);
create index client_assertions_expires_at on client_assertions (expires_at);

-- Clients that have to be told that somebody logged out. A row goes when its client has heard it, or when nobody can be
-- told any more.
create table logout_notices (
    id uuid primary key,
    client_id uuid not null references clients on delete cascade,
    login_id uuid not null,
    user_id uuid not null,
    attempts int not null default 0,
    due_at timestamptz not null,
    leased_until timestamptz,
    created_at timestamptz not null
);
create index logout_notices_due_at on logout_notices (due_at);
