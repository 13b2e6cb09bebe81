-- What providers tell by webhooks. An event is a hint that an authorization is worth a look: it is kept once by its id,
-- and nothing else of it is believed. What the look found stands beside it until the row is pruned.
--
-- Kept 30 days: providers repeat for some days, and what comes again later is a hint like any other.
create table provider_events (
    provider text not null,
    -- The provider's own id of the event, the same in every repetition.
    id text not null,
    type text not null,
    -- The authorization that it is about.
    provider_ref text not null check (provider_ref <> ''),
    -- new: to be looked at. agrees: as we have it. hastened: a question was open and was asked again at once.
    -- differs, unknown: for a person, through reconcile.
    status text not null check (status in ('new', 'agrees', 'hastened', 'differs', 'unknown')),
    finding text not null,
    looks int not null,
    -- Also the lease of whoever looks now.
    next_look_at timestamptz not null,
    received_at timestamptz not null,
    primary key (provider, id)
);
create index provider_events_due on provider_events (next_look_at) where status = 'new';
create index provider_events_unknown on provider_events (provider, id) where status = 'unknown';
create index provider_events_age on provider_events (received_at);
