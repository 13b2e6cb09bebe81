-- What every service's own database has beside its own tables.

create table outbox (
    id bigint generated always as identity primary key,
    batch_id uuid not null,
    topic text not null,
    count int not null check (count > 0),
    records bytea not null,
    created_at timestamptz not null
);
alter table outbox set (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, toast_tuple_target = 8160
);
-- Compressing a batch costs more time than writing it whole, and it is read and deleted a moment later.
alter table outbox alter column records set storage external;

-- Counted when a row is deleted, which happens once, however often it was published.
create table outbox_totals (
    topic text primary key,
    messages bigint not null
);

create table relay_lease (
    id int primary key check (id = 1),
    holder text not null,
    expires_at timestamptz not null
);

create table inbox (
    consumer text not null,
    batch_id uuid not null,
    partition int not null,
    topic text not null,
    -- The highest index of the batch whose effects are committed.
    upto int not null,
    admitted int not null,
    at timestamptz not null,
    primary key (batch_id, partition, consumer)
);
create index inbox_at on inbox using brin (at);

-- What pruned inbox rows had admitted, so that sent = admitted can be checked for ever.
create table inbox_totals (
    consumer text not null,
    topic text not null,
    messages bigint not null,
    primary key (consumer, topic)
);

create table message_attempts (
    consumer text not null,
    message_id text not null,
    attempts int not null,
    at timestamptz not null,
    primary key (consumer, message_id)
);

create table parked_keys (
    consumer text not null,
    topic text not null,
    key text not null,
    since timestamptz not null,
    primary key (consumer, topic, key)
);

-- status dead: given up. parked: waits behind a dead letter of its key. done: replayed.
create table dead_letters (
    id uuid primary key,
    seq bigint generated always as identity,
    consumer text not null,
    topic text not null,
    key text not null,
    message_id text not null,
    type text not null,
    record bytea not null,
    reason text not null,
    stack text not null,
    attempts int not null,
    status text not null check (status in ('dead', 'parked', 'done')),
    created_at timestamptz not null,
    done_at timestamptz
);
create index dead_letters_key on dead_letters (consumer, topic, key, seq) where status <> 'done';
create unique index dead_letters_message on dead_letters (consumer, message_id);

create table idempotency_keys (
    principal text not null,
    route text not null,
    key text not null,
    fingerprint bytea not null,
    response bytea not null,
    created_at timestamptz not null,
    primary key (principal, route, key)
);
create index idempotency_keys_created_at on idempotency_keys using brin (created_at);

-- What a saga participant remembers of an order: the highest epoch it has seen and its definite answers. The row
-- grows with each answer to about three times its first size, and finds the room for it in its page.
create table saga_standings (
    order_id uuid primary key,
    epoch bigint not null,
    answers bytea not null
) with (fillfactor = 30);
