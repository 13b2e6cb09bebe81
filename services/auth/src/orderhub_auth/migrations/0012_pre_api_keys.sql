-- Keys with which vendors' own programs call. A key that is neither revoked nor over is good only as long as whoever made it
-- is enabled and has the standing that it was made with; that is looked at when it is presented.
create table api_keys (
    id uuid primary key,
    vendor_id uuid not null,
    -- The part of the key that finds it. The rest is known by the SHA-256 of the whole alone.
    public_id text not null unique check (length(public_id) = 12),
    key_hash bytea not null check (length(key_hash) = 32),
    name text not null,
    scopes text[] not null check (scopes <> '{}'),
    created_by uuid not null references users,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    last_used_at timestamptz,
    revoked_at timestamptz
);
create index api_keys_vendor_id on api_keys (vendor_id, id);
create index api_keys_created_by on api_keys (created_by);
create index api_keys_expires_at on api_keys (expires_at);
