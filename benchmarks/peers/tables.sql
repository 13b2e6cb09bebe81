-- What the peers' saga works on: the same amount of state as an order of ours has at the least.
create table stock (sku int primary key, available int not null check (available >= 0), reserved int not null);
insert into stock select n, 1000000000, 0 from generate_series(1, 1000) n;
create table orders (id uuid primary key, status text not null, sku int not null, quantity int not null,
    total_minor bigint not null);
create table payments (order_id uuid primary key, status text not null, amount_minor bigint not null);
create table ledger_entries (id bigint generated always as identity primary key, order_id uuid not null,
    account text not null, amount_minor bigint not null);
create table deliveries (id uuid primary key, order_id uuid not null, status text not null);
create table saga_runs (order_id uuid primary key, step int not null, state text not null,
    deadline_at timestamptz not null);
create table outbox (id bigint generated always as identity primary key, topic text not null, key uuid not null,
    payload bytea not null, created_at timestamptz not null default now());
create table inbox (consumer text not null, message_id uuid not null, primary key (consumer, message_id));
