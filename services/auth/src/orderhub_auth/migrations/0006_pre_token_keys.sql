-- The keys that sign tokens, each with the time from which it signs; what it is at any time follows from these rows
-- alone (schedule.py). Code from before this table goes on with its own key in `signing_keys`, which is here too.
create table token_keys (
    kid text primary key,
    alg text not null check (alg in ('ES256', 'RS256')),
    public_jwk text not null,
    -- The private JWK as a JWE; empty as soon as the key signs no more.
    sealed text not null,
    created_at timestamptz not null,
    signs_from timestamptz not null,
    -- Taken back by an operator: out of the published set from then on.
    revoked_at timestamptz
);
insert into token_keys (kid, alg, public_jwk, sealed, created_at, signs_from)
select kid, 'ES256', public_jwk, sealed, created_at, created_at from signing_keys;
