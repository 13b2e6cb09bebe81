-- Work that one replica does per period: when it was last begun.
create table jobs (
    name text primary key,
    began_at timestamptz not null
);

-- Refresh tokens that were exchanged are deleted when nobody can tell anything from them any more.
create index refresh_tokens_spent_at on refresh_tokens (spent_at) where spent_at is not null;
create index codes_spent_at on codes (spent_at) where spent_at is not null;
