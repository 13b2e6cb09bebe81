-- Orders, their saga runs and their one public history.
--
-- Invariants that `orderhub check` reads here:
--   * an order that is not settled has a run that is not over;
--   * order_events.seq counts 1, 2, 3 … per order and orders.last_seq is the highest;
--   * orders.epoch is the highest epoch of the order's runs;
--   * lines, runs and events have their order. There are no foreign keys: each row would lock its order once more.

create table orders (
    id uuid primary key,
    customer_id text not null,
    vendor_id uuid not null,
    status text not null check (status in ('PENDING', 'CONFIRMED', 'IN_DELIVERY', 'COMPLETED', 'ON_HOLD',
        'REJECTED', 'CANCELLING', 'CANCELLED')),
    -- The status before CANCELLING: where the order returns to when the courier was faster.
    former_status text not null default '',
    reason bytea not null default '',
    cancel_reason text,
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    items_minor bigint not null check (items_minor >= 0),
    delivery_minor bigint not null default 0 check (delivery_minor >= 0),
    tax_minor bigint not null default 0 check (tax_minor >= 0),
    total_minor bigint not null check (total_minor = items_minor + delivery_minor + tax_minor),
    payment_token text not null,
    payment_id text not null default '',
    payment_status text not null default '',
    payment_version bigint not null default 0,
    delivery_id text not null default '',
    delivery_status text not null default '',
    delivery_version bigint not null default 0,
    picked_up boolean not null default false,
    pickup bytea not null,
    ship_to bytea not null,
    comment text not null default '',
    epoch bigint not null,
    -- The number of public facts, and with it the version that clients see.
    last_seq bigint not null,
    trace_id text not null default '',
    created_at timestamptz not null,
    updated_at timestamptz not null
) with (fillfactor = 50);
-- The status is in no index, so that no update of an order writes to one; the open ones are found by their runs.
create index orders_customer on orders (customer_id, id desc);
create index orders_vendor on orders (vendor_id, id desc);

create table order_lines (
    order_id uuid not null,
    line_no int not null,
    product_id uuid not null,
    sku text not null,
    title text not null,
    kind text not null check (kind in ('good', 'countable', 'individual')),
    quantity bigint not null check (quantity > 0),
    unit_price_minor bigint not null check (unit_price_minor >= 0),
    -- Serialised AnimalFacts of what may be taken, and which of them the rules allow.
    candidates bytea[] not null default '{}',
    allowed_animals uuid[],
    animal_id uuid,
    animal_species text not null default '',
    animal_born_on date,
    primary key (order_id, line_no)
) with (fillfactor = 90);

create table saga_runs (
    id uuid primary key,
    order_id uuid not null,
    definition text not null,
    definition_version int not null,
    state text not null check (state in ('RUNNING', 'HELD', 'PIVOT_UNKNOWN', 'COMPENSATING', 'COMPENSATION_FAILED',
        'STUCK', 'SUCCEEDED', 'FAILED')),
    step int not null,
    epoch bigint not null,
    attempts int not null,
    deadline_at timestamptz,
    expires_at timestamptz not null,
    stop_requested boolean not null default false,
    reason bytea not null default '',
    created_at timestamptz not null,
    updated_at timestamptz not null
) with (fillfactor = 50);
create index saga_runs_order on saga_runs (order_id);
-- The sweeper reads the live runs only; deadline_at is in no index, so that a step is a HOT update.
create unique index saga_runs_one_live on saga_runs (order_id) where state not in ('SUCCEEDED', 'FAILED');

create table order_events (
    order_id uuid not null,
    seq bigint not null,
    kind text not null,
    title text not null,
    detail text not null,
    service text not null,
    trace_id text not null,
    at timestamptz not null,
    primary key (order_id, seq)
);

-- Orders' own projection of inventory.events.v1: enough to price a line and to plan its delivery.
create table vendor_views (
    id uuid primary key,
    name text not null,
    address bytea not null,
    version bigint not null
);

create table product_views (
    id uuid primary key,
    vendor_id uuid not null,
    sku text not null,
    sku_folded text not null,
    title text not null,
    kind text not null,
    price_minor bigint not null,
    currency text not null,
    status text not null,
    facts bytea not null,
    version bigint not null
);
create index product_views_sku on product_views (sku_folded, vendor_id);

create table animal_views (
    id uuid primary key,
    product_id uuid not null,
    vendor_id uuid not null,
    status text not null,
    facts bytea not null,
    version bigint not null
);
create index animal_views_free on animal_views (product_id, id) where status = 'free';
