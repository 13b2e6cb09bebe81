-- What was mailed to a user to prove that the address is its own: for a new password, or to verify the address.
create table codes (
    -- SHA-256: the code itself is in the mail alone.
    code_hash bytea primary key,
    user_id uuid not null references users,
    purpose text not null check (purpose in ('password_reset', 'email_verification')),
    created_at timestamptz not null,
    expires_at timestamptz not null,
    -- Used, or followed by a newer one: either way worth nothing any more.
    spent_at timestamptz
);
create index codes_user_id on codes (user_id, purpose, created_at);
create index codes_expires_at on codes (expires_at);
