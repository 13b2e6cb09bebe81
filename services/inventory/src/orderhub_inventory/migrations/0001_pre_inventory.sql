-- Inventory's own tables.
--
-- vendors          who sells; `name_key` is the case-folded name, unique.
-- products         the catalogue; a SKU is unique per vendor whatever its case. Facts of a countable product's
--                  animals stand here; for kind individual only the species, the rest stands with each animal.
-- stocks           one narrow, hot row per product: on_hand (on the shelf and not sold), reserved (of these, held by
--                  orders), quarantined (came back from a journey, not for sale), and the product's version.
-- animals          one row per individual animal; order_id and line_no say who holds it.
-- reservations     one row per order line; what each status means stands with it below.
-- stock_movements  the journal: every change of a stocks row, with why and by whom. Never updated, never deleted.
-- saga_standings   (chassis) one row per order: its lock. Whoever changes an order's reservations holds that row.
--
-- Invariants, each with its query in orderhub_inventory.queries.CHECKS:
--   stocks.{on_hand, reserved, quarantined} = sum of the product's movements
--   stocks.reserved    = sum of quantity of its reservations in RESERVED
--   stocks.quarantined = sum of quantity of its reservations in QUARANTINED
--   individual: on_hand = animals free or reserved; reserved = animals reserved; quarantined = animals quarantined
--   an animal that is reserved, sold or quarantined is named by exactly one reservation in RESERVED, COMMITTED or
--   QUARANTINED respectively, of the order and line that its row names; a free or withdrawn one by none
--   reservations of one order are all FAILED or none is
--
-- Locks are taken in this order, each table by key: saga_standings, vendors, stocks, animals, reservations.
-- A product's row is only changed by who holds its stocks row. There are no foreign keys on the tables of the hot
-- path: each costs a lock on the referenced row, and the checks above find an orphan.

create table vendors (
    id uuid primary key,
    name text not null,
    name_key text not null unique,
    email text not null,
    phone text not null,
    line1 text not null,
    city text not null,
    postal_code text not null,
    country text not null check (country ~ '^[A-Z]{2}$'),
    lat double precision,
    lon double precision,
    version bigint not null check (version > 0),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    check ((lat is null) = (lon is null))
);

create table products (
    id uuid primary key,
    vendor_id uuid not null references vendors,
    sku text not null,
    title text not null,
    description text not null,
    kind text not null check (kind in ('good', 'countable', 'individual')),
    price_minor bigint not null check (price_minor > 0),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    status text not null check (status in ('active', 'archived')),
    species text not null check ((kind = 'good') = (species = '')),
    life_stage text not null,
    born_on date,
    weaned boolean,
    carapace_cm double precision,
    weight_kg double precision,
    with_mother boolean,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    -- Normalised by the service (case, accents, punctuation), so that search does not depend on a locale.
    words text[] not null,
    search tsvector not null generated always as (array_to_tsvector(words)) stored
);
create unique index products_vendor_sku on products (vendor_id, lower(sku));
create index products_sku on products (lower(sku));
create index products_search on products using gin (search);
create index products_vendor on products (vendor_id, id);
create index products_species on products (species, id);
create index products_price on products (price_minor, id) where status = 'active';
create index products_title on products (title, id) where status = 'active';

create table stocks (
    product_id uuid primary key references products,
    on_hand bigint not null,
    reserved bigint not null,
    quarantined bigint not null,
    -- Counts changes of the product's row and of on_hand. Reserving does not count: nobody edits what is reserved.
    version bigint not null check (version > 0),
    constraint stocks_never_oversold check (reserved >= 0 and on_hand >= reserved),
    constraint stocks_quarantined check (quarantined >= 0)
) with (fillfactor = 50);

create table animals (
    id uuid primary key,
    product_id uuid not null references products,
    vendor_id uuid not null,
    identifier text not null,
    status text not null check (status in ('free', 'reserved', 'sold', 'quarantined', 'withdrawn')),
    order_id uuid,
    line_no int,
    species text not null,
    life_stage text not null,
    born_on date,
    weaned boolean,
    carapace_cm double precision,
    weight_kg double precision,
    with_mother boolean,
    version bigint not null check (version > 0),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint animals_held_by_one_line check (
        (status in ('reserved', 'sold', 'quarantined')) = (order_id is not null)
        and (order_id is null) = (line_no is null)
    )
);
create index animals_product on animals (product_id, id);
create index animals_free on animals (product_id, id) where status = 'free';
create unique index animals_order_line on animals (order_id, line_no) where order_id is not null;

-- RESERVED: held for the order. COMMITTED: sold. RELEASED: given back. FAILED: refused, `refusal` says why; it never
-- held anything. QUARANTINED: sold, came back, and waits for the vendor. (PENDING is a line that is not decided yet;
-- it is never stored.)
create table reservations (
    order_id uuid not null,
    line_no int not null,
    product_id uuid,
    animal_id uuid,
    quantity bigint not null check (quantity > 0),
    status text not null check (status in ('RESERVED', 'COMMITTED', 'RELEASED', 'FAILED', 'QUARANTINED')),
    refusal text not null,
    -- When orders is asked whether its run is still alive.
    question_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (order_id, line_no),
    check (product_id is not null or status = 'FAILED')
) with (fillfactor = 50);
create index reservations_question on reservations (question_at) where status = 'RESERVED';
create index reservations_quarantined on reservations (product_id) where status = 'QUARANTINED';
create unique index reservations_animal_held_once on reservations (animal_id)
    where animal_id is not null and status in ('RESERVED', 'COMMITTED', 'QUARANTINED');

create table stock_movements (
    id bigint generated always as identity primary key,
    product_id uuid not null,
    kind text not null check (kind in (
        'opened', 'set', 'changed', 'animal_added', 'animal_withdrawn', 'quarantine_ended',
        'reserved', 'committed', 'released', 'returned', 'quarantined'
    )),
    delta_on_hand bigint not null,
    delta_reserved bigint not null,
    delta_quarantined bigint not null,
    -- What the vendor wrote; empty for what orders did.
    reason text not null,
    order_id uuid,
    line_no int,
    actor text not null,
    at timestamptz not null
);
