-- Deliveries, where they are, and the decisions of the live-animal rules.
--
-- What always holds; `check` reads these tables and may rely on it:
--   1. An order has at most one live delivery (CREATED, ASSIGNED, IN_PROGRESS, RETURNING): deliveries_live.
--   2. Another delivery of an order is made only while all of its earlier ones are CANCELLED and none is `closed`
--      (closed: a saga has stopped or undone the booking; nothing of this order is delivered any more).
--   3. `held` deliveries are CREATED, or CANCELLED from there: no courier ever had them.
--   4. A courier is named from ASSIGNED on and never changes. IN_PROGRESS, COMPLETED, RETURNING and RETURNED are
--      picked up, CREATED, ASSIGNED and CANCELLED are not; FAILED may be either.
--   5. `version` starts at 1 and grows by 1 with each change of the status and with the release of a held one; every
--      version but that of a release is one DeliveryChanged event.
--   6. All deliveries of an order have its vendor and its customer.
--   7. Whoever plans an order with animals leaves a row in welfare_decisions; `verdict` is refuse exactly where the plan
--      step (or the creation by hand) was refused. Orders of goods alone leave none.
-- Across services: an order that is CONFIRMED or IN_DELIVERY has been booked here; an order that ended CANCELLED or
-- REJECTED has no live delivery; a COMPLETED order has exactly one COMPLETED delivery.

create table deliveries (
    id uuid primary key,
    order_id uuid not null,
    vendor_id uuid not null,
    customer_id text not null,
    -- Empty while nobody has taken it.
    courier_id text not null default '',
    status text not null check (status in
        ('CREATED', 'ASSIGNED', 'IN_PROGRESS', 'COMPLETED', 'FAILED', 'RETURNING', 'RETURNED', 'CANCELLED')),
    held boolean not null,
    closed boolean not null default false,
    picked_up boolean not null default false,
    version bigint not null check (version > 0),
    description text not null,
    -- orderhub.common.v1.Address, serialised.
    pickup bytea not null,
    ship_to bytea not null,
    -- Great circle; null where a position is not known.
    distance_km double precision check (distance_km >= 0),
    eta_at timestamptz,
    recipient text not null default '',
    reason_code text not null default '',
    reason_message text not null default '',
    created_at timestamptz not null,
    updated_at timestamptz not null,
    check (not held or (status in ('CREATED', 'CANCELLED') and courier_id = '')),
    check (courier_id <> '' or status in ('CREATED', 'CANCELLED')),
    check (picked_up or status in ('CREATED', 'ASSIGNED', 'FAILED', 'CANCELLED')),
    check (not picked_up or status in ('IN_PROGRESS', 'COMPLETED', 'FAILED', 'RETURNING', 'RETURNED'))
) with (fillfactor = 50);

create unique index deliveries_live on deliveries (order_id)
    where status in ('CREATED', 'ASSIGNED', 'IN_PROGRESS', 'RETURNING');
create index deliveries_order on deliveries (order_id, id);
create index deliveries_vendor on deliveries (vendor_id, id);
create index deliveries_customer on deliveries (customer_id, id);
create index deliveries_courier on deliveries (courier_id, id) where courier_id <> '';
-- What couriers look for. `held` is no part of it, so that a release stays within the row's page.
create index deliveries_free on deliveries (id) where status = 'CREATED';

-- The last report of each delivery: a lossy stream beside the deliveries, which it never locks.
create table delivery_positions (
    delivery_id uuid primary key references deliveries (id),
    lat double precision not null check (lat between -90 and 90),
    lon double precision not null check (lon between -180 and 180),
    at timestamptz not null
) with (fillfactor = 60);

-- One row per judged plan: enough to judge it again and to say which animals were allowed and why the others not.
create table welfare_decisions (
    id uuid primary key,
    order_id uuid not null,
    rule_set_hash text not null,
    inputs jsonb not null,
    verdict text not null check (verdict in ('allow', 'warn', 'refuse')),
    findings jsonb not null,
    at timestamptz not null
);
create index welfare_decisions_order on welfare_decisions (order_id, id);
