"""Loads orders with their runs under locks, and saves what changed, set-wise. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from orderhub_chassis.clock import rfc3339
from orderhub_chassis.db import Transaction
from orderhub_chassis.messages import Outgoing
from orderhub_contracts.common.v1.common_pb2 import AnimalFacts, Reason
from orderhub_contracts.events.v1.events_pb2 import AnimalChanged, OrderEvent, ProductChanged, VendorChanged

from orderhub_orders.engine import OVER, Run, State
from orderhub_orders.model import NO_REASON, Line, Order, Status
from orderhub_orders.remembered import Remembered, Versions


class Answered(msgspec.Struct, frozen=True):
    """A step that was answered, and how long after its command."""

    definition: str
    step: str
    seconds: float


class Loaded(msgspec.Struct):
    """The orders that a batch names, with their live run (or, by id, the run that a reply names)."""

    orders: dict[UUID, Order] = msgspec.field(default_factory=dict)
    runs: dict[UUID, Run] = msgspec.field(default_factory=dict)
    live: dict[UUID, Run] = msgspec.field(default_factory=dict)
    created: list[Run] = msgspec.field(default_factory=list)
    answered: list[Answered] = msgspec.field(default_factory=list)
    vendors: dict[str, VendorChanged] = msgspec.field(default_factory=dict)
    products: dict[str, ProductChanged] = msgspec.field(default_factory=dict)
    animals: dict[str, AnimalChanged] = msgspec.field(default_factory=dict)
    # By order or run: what seldom changes, as it was loaded.
    rests: dict[UUID, tuple[Any, ...]] = msgspec.field(default_factory=dict)
    # Whose rows were found, and the transaction that writes them anew.
    versions: dict[UUID, Versions] = msgspec.field(default_factory=dict)
    written_by: int = 0

    def add_run(self, run: Run) -> None:
        self.created.append(run)
        self.runs[run.id] = run
        self.live[run.subject_id] = run


LIVE = "state not in ({})".format(", ".join(f"'{state}'" for state in State if state in OVER))
"""A saga run that is not over, in SQL: word for word what the index of the live runs says."""
LOCK = (
    "select id, xmin, pg_current_xact_id()::xid as by from orders where id = any($1) order by id for update"
)
LIVE_RUNS = f"select order_id, id, xmin from saga_runs where order_id = any($1) and {LIVE}"


async def load_orders(
    tx: Transaction, ids: Iterable[UUID], *, now: datetime, remembered: Remembered | None = None
) -> Loaded:
    """Lock the orders in key order, with their lines and live runs: those `remembered`, and for the others their rows.

    The runs are looked at in a statement of their own, which sees what the one that was waited for has written.
    """
    wanted = sorted(set(ids))
    loaded = Loaded()
    if not wanted:
        return loaded
    locked = await tx.fetch(LOCK, wanted)
    live = {row["order_id"]: (row["id"], row["xmin"]) for row in await tx.fetch(LIVE_RUNS, wanted)}
    unknown = []
    for row in locked:
        id, loaded.written_by = row["id"], row["by"]
        versions = loaded.versions[id] = Versions(row["xmin"], *live.get(id, ()))
        kept = remembered.take(id, versions) if remembered is not None else None
        if kept is None:
            unknown.append(id)
        else:
            kept.order.now = now
            _add(loaded, kept.order, kept.run)
    if unknown:
        await _read(tx, loaded, unknown, now)
    return loaded


async def _read(tx: Transaction, loaded: Loaded, ids: list[UUID], now: datetime) -> None:
    lines: dict[UUID, list[Line]] = {id: [] for id in ids}
    query = "select * from order_lines where order_id = any($1) order by order_id, line_no"
    for row in await tx.fetch(query, ids):
        lines[row["order_id"]].append(_line(row))
    runs = {
        row["order_id"]: _run(row)
        for row in await tx.fetch(f"select * from saga_runs where order_id = any($1) and {LIVE}", ids)
    }
    for row in await tx.fetch("select * from orders where id = any($1)", ids):
        _add(loaded, _order(row, lines[row["id"]], now), runs.get(row["id"]))


def _add(loaded: Loaded, order: Order, run: Run | None) -> None:
    loaded.orders[order.id] = order
    loaded.rests[order.id] = _rest_of_order(order)
    if run is not None:
        loaded.runs[run.id] = loaded.live[order.id] = run
        loaded.rests[run.id] = _rest_of_run(run)


def remember(loaded: Loaded, remembered: Remembered) -> None:
    """After the commit of what was loaded and saved: keep the orders whose run goes on."""
    by = loaded.written_by
    for id, found in loaded.versions.items():
        order, run = loaded.orders[id], loaded.live.get(id)
        if run is None or run.over:
            continue
        versions = Versions(by if order.changed else found.order, run.id, by if run.changed else found.run)
        if order.changed:
            order.updated_at, order.changed = order.now, False
        if run.changed:
            run.moved_at, run.changed = order.now, False
        for line in order.lines:
            line.changed = False
        order.events = []
        remembered.keep(order, run, versions)


def _order(row: Any, lines: list[Line], now: datetime) -> Order:
    return Order(
        id=row["id"], customer_id=row["customer_id"], vendor_id=row["vendor_id"], currency=row["currency"], lines=lines,
        payment_token=row["payment_token"], pickup=row["pickup"],
        ship_to=row["ship_to"], comment=row["comment"], created_at=row["created_at"],
        updated_at=row["updated_at"], status=Status(row["status"]), former_status=row["former_status"],
        reason=_reason(row["reason"]), cancel_reason=row["cancel_reason"], items_minor=row["items_minor"],
        delivery_minor=row["delivery_minor"], tax_minor=row["tax_minor"], payment_id=row["payment_id"],
        payment_status=row["payment_status"], payment_version=row["payment_version"], delivery_id=row["delivery_id"],
        delivery_status=row["delivery_status"], delivery_version=row["delivery_version"], picked_up=row["picked_up"],
        epoch=row["epoch"], last_seq=row["last_seq"], trace_id=row["trace_id"], now=now,
    )  # fmt: skip


def _reason(data: bytes) -> Reason:
    return Reason.FromString(data) if data else NO_REASON


def _reason_bytes(reason: Reason) -> bytes:
    return b"" if reason is NO_REASON else reason.SerializeToString()


def _line(row: Any) -> Line:
    return Line(
        row["line_no"], row["product_id"], row["sku"], row["title"], row["kind"], row["quantity"],
        row["unit_price_minor"], [AnimalFacts.FromString(c) for c in row["candidates"]], row["allowed_animals"],
        row["animal_id"], row["animal_species"], row["animal_born_on"],
    )  # fmt: skip


def _run(row: Any) -> Run:
    return Run(
        row["id"], row["order_id"], row["definition"], row["definition_version"], State(row["state"]), row["step"],
        row["epoch"], row["attempts"], row["deadline_at"], row["expires_at"], row["created_at"], row["updated_at"],
        row["stop_requested"], _reason(row["reason"]), changed=False,
    )  # fmt: skip


INSERT_ORDERS = """
insert into orders (id, customer_id, vendor_id, status, currency, items_minor, delivery_minor, tax_minor, total_minor,
    payment_token, pickup, ship_to, comment, epoch, last_seq, trace_id, created_at, updated_at)
select i, c, v, 'PENDING', cu, it, dm, tm, it + dm + tm, pt, pu, st, co, ep, ls, tr, $1, $1
from unnest($2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[],
    $10::bytea[], $11::bytea[], $12::text[], $13::bigint[], $14::bigint[], $15::text[])
    as u (i, c, v, cu, it, dm, tm, pt, pu, st, co, ep, ls, tr)
"""
INSERT_LINES = """
insert into order_lines (order_id, line_no, product_id, sku, title, kind, quantity, unit_price_minor, candidates, animal_id)
select o, n, p, s, t, k, q, m,
    coalesce((select array_agg(b order by c) from unnest($10::int[], $11::bytea[]) as f (c, b) where c / 1000 = g), '{}'), a
from unnest($1::uuid[], $2::int[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[],
    $9::uuid[], $12::int[]) as u (o, n, p, s, t, k, q, m, a, g)
"""


def insert_orders(tx: Transaction, orders: Sequence[Order], *, now: datetime) -> None:
    """New orders with their lines; runs and events come with `save`."""
    rows = [
        (
            o.id, o.customer_id, o.vendor_id, o.currency, o.items_minor, o.delivery_minor, o.tax_minor, o.payment_token,
            o.pickup, o.ship_to, o.comment, o.epoch, o.last_seq, o.trace_id,
        )
        for o in orders
    ]  # fmt: skip
    tx.write(INSERT_ORDERS, now, *_columns(rows))
    lines = [(o.id, line) for o in orders for line in o.lines]
    facts = [
        (number * 1000 + place, fact.SerializeToString())
        for number, (_, line) in enumerate(lines)
        for place, fact in enumerate(line.candidates[:999])
    ]
    columns = _columns(
        [
            (i, x.line_no, x.product_id, x.sku, x.title, x.kind, x.quantity, x.unit_price_minor, x.animal_id)
            for i, x in lines
        ]
    )
    tx.write(INSERT_LINES, *columns, [n for n, _ in facts], [b for _, b in facts], list(range(len(lines))))


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


# What moves with nearly every message, and beside it what changes once in an order's life if at all: a value that is
# sent, unpacked and written for nothing costs as much as one that is new.
UPDATE_ORDERS = """
update orders o set status = s, payment_id = pi, payment_status = ps, payment_version = pv, delivery_id = di,
    delivery_status = ds, delivery_version = dv, picked_up = pu, epoch = e, last_seq = l, updated_at = $1
from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[], $9::bigint[],
    $10::boolean[], $11::bigint[], $12::bigint[]) as u (i, s, pi, ps, pv, di, ds, dv, pu, e, l)
where o.id = u.i
"""
UPDATE_ORDERS_WHOLE = """
update orders o set status = s, payment_id = pi, payment_status = ps, payment_version = pv, delivery_id = di,
    delivery_status = ds, delivery_version = dv, picked_up = pu, epoch = e, last_seq = l, updated_at = $1,
    former_status = f, reason = r, cancel_reason = c
from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[], $9::bigint[],
    $10::boolean[], $11::bigint[], $12::bigint[], $13::text[], $14::bytea[], $15::text[])
    as u (i, s, pi, ps, pv, di, ds, dv, pu, e, l, f, r, c)
where o.id = u.i
"""
INSERT_RUNS = """
insert into saga_runs (id, order_id, definition, definition_version, state, step, epoch, attempts, deadline_at,
    expires_at, stop_requested, reason, created_at, updated_at)
select i, o, d, dv, s, st, e, a, dl, ex, sr, r, cr, $14
from unnest($1::uuid[], $2::uuid[], $3::text[], $4::int[], $5::text[], $6::int[], $7::bigint[], $8::int[],
    $9::timestamptz[], $10::timestamptz[], $11::boolean[], $12::bytea[], $13::timestamptz[])
    as u (i, o, d, dv, s, st, e, a, dl, ex, sr, r, cr)
"""
UPDATE_RUNS = """
update saga_runs g set state = s, step = st, attempts = a, deadline_at = dl, updated_at = $1
from unnest($2::uuid[], $3::text[], $4::int[], $5::int[], $6::timestamptz[]) as u (i, s, st, a, dl)
where g.id = u.i
"""
UPDATE_RUNS_WHOLE = """
update saga_runs g set state = s, step = st, attempts = a, deadline_at = dl, updated_at = $1, epoch = e,
    stop_requested = sr, reason = r
from unnest($2::uuid[], $3::text[], $4::int[], $5::int[], $6::timestamptz[], $7::bigint[], $8::boolean[], $9::bytea[])
    as u (i, s, st, a, dl, e, sr, r)
where g.id = u.i
"""
UPDATE_LINES = """
update order_lines x set animal_id = a, animal_species = s, animal_born_on = b,
    allowed_animals = case when al = '' then null else string_to_array(nullif(al, '-'), ',')::uuid[] end
from unnest($1::uuid[], $2::int[], $3::uuid[], $4::text[], $5::date[], $6::text[]) as u (o, n, a, s, b, al)
where x.order_id = u.o and x.line_no = u.n
"""
INSERT_EVENTS = """
insert into order_events (order_id, seq, kind, title, detail, service, trace_id, at)
select o, s, k, t, d, sv, tr, $1
from unnest($2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
    as u (o, s, k, t, d, sv, tr)
"""


async def save(tx: Transaction, loaded: Loaded, *, now: datetime) -> None:
    """Each changed aggregate once; every new fact also goes out as an OrderEvent."""
    await save_views(tx, loaded)
    save_orders(tx, loaded, now=now)
    await save_runs(tx, loaded, now=now)
    lines = [(o.id, line) for o in loaded.orders.values() for line in o.lines if line.changed]
    if lines:
        tx.write(UPDATE_LINES, *_columns([_line_row(order_id, line) for order_id, line in lines]))
    save_events(tx, loaded.orders.values(), now=now)


def save_orders(tx: Transaction, loaded: Loaded, *, now: datetime) -> None:
    moved, whole = [], []
    for o in loaded.orders.values():
        if not o.changed:
            continue
        row = (
            o.id, o.status, o.payment_id, o.payment_status, o.payment_version, o.delivery_id, o.delivery_status,
            o.delivery_version, o.picked_up, o.epoch, o.last_seq,
        )  # fmt: skip
        rest = _rest_of_order(o)
        if loaded.rests.get(o.id) == rest:
            moved.append(row)
        else:
            whole.append(row + rest)
    _write_both(tx, UPDATE_ORDERS, moved, UPDATE_ORDERS_WHOLE, whole, now)


def _rest_of_order(o: Order) -> tuple[Any, ...]:
    return o.former_status, _reason_bytes(o.reason), o.cancel_reason


def _rest_of_run(r: Run) -> tuple[Any, ...]:
    return r.epoch, r.stop_requested, _reason_bytes(r.reason)


def _write_both(
    tx: Transaction, moving: str, moved: list[Any], writing_whole: str, whole: list[Any], now: datetime
) -> None:
    if moved:
        tx.write(moving, now, *_columns(moved))
    if whole:
        tx.write(writing_whole, now, *_columns(whole))


def _line_row(order_id: UUID, line: Line) -> tuple[Any, ...]:
    allowed = "" if line.allowed_animals is None else ",".join(map(str, line.allowed_animals)) or "-"
    return order_id, line.line_no, line.animal_id, line.animal_species, line.animal_born_on, allowed


async def save_runs(tx: Transaction, loaded: Loaded, *, now: datetime) -> None:
    """Updates first: an order has one live run at most, and a new one may follow the one that ends here."""
    new = {run.id for run in loaded.created}
    updated = [run for run in loaded.runs.values() if run.changed and run.id not in new]
    moved, whole = [], []
    for r in updated:
        row, rest = (r.id, r.state, r.step, r.attempts, r.deadline_at), _rest_of_run(r)
        if loaded.rests.get(r.id) == rest:
            moved.append(row)
        else:
            whole.append(row + rest)
    _write_both(tx, UPDATE_RUNS, moved, UPDATE_RUNS_WHOLE, whole, now)
    if loaded.created:
        inserted = [
            (
                r.id, r.subject_id, r.definition, r.version, r.state, r.step, r.epoch, r.attempts, r.deadline_at,
                r.expires_at, r.stop_requested, _reason_bytes(r.reason), r.created_at,
            )
            for r in loaded.created
        ]  # fmt: skip
        if updated:
            await tx.flush()
        tx.write(INSERT_RUNS, *_columns(inserted), now)


def save_events(tx: Transaction, orders: Iterable[Order], *, now: datetime) -> None:
    """The new facts, all of this moment."""
    rows = [(o.id, e.seq, e.kind, e.title, e.detail, e.service, o.trace_id) for o in orders for e in o.events]
    if not rows:
        return
    tx.write(INSERT_EVENTS, now, *_columns(rows))
    for order in orders:
        tx.send_all(_messages(order))


def _messages(order: Order) -> Iterable[Outgoing]:
    order_id, vendor_id = str(order.id), str(order.vendor_id)
    for event in order.events:
        yield Outgoing(
            OrderEvent(
                order_id=order_id, seq=event.seq, kind=event.kind, title=event.title, detail=event.detail,
                at=rfc3339(event.at), service=event.service, order_status=event.status, customer_id=order.customer_id,
                vendor_id=vendor_id, reason=order.reason if order.reason.code else None,
            ),
            order_id,
            vendor_id=vendor_id,
        )  # fmt: skip


UPSERT_VENDORS = """
insert into vendor_views select i, n, a, v from unnest($1::uuid[], $2::text[], $3::bytea[], $4::bigint[]) u (i, n, a, v)
on conflict (id) do update set name = excluded.name, address = excluded.address, version = excluded.version
where vendor_views.version < excluded.version
"""
UPSERT_PRODUCTS = """
insert into product_views (id, vendor_id, sku, sku_folded, title, kind, price_minor, currency, status, facts, version)
select i, ve, s, sf, t, k, p, c, st, f, v
from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[],
    $9::bytea[], $10::bigint[], $11::text[]) u (i, ve, s, t, k, p, c, st, f, v, sf)
on conflict (id) do update set sku = excluded.sku, sku_folded = excluded.sku_folded, title = excluded.title,
    kind = excluded.kind, price_minor = excluded.price_minor, currency = excluded.currency, status = excluded.status,
    facts = excluded.facts, version = excluded.version
where product_views.version < excluded.version
"""
UPSERT_ANIMALS = """
insert into animal_views (id, product_id, vendor_id, status, facts, version)
select i, p, ve, s, f, v
from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::bytea[], $6::bigint[]) u (i, p, ve, s, f, v)
on conflict (id) do update set status = excluded.status, facts = excluded.facts, version = excluded.version
where animal_views.version < excluded.version
"""


async def save_views(tx: Transaction, loaded: Loaded) -> None:
    """Snapshots of inventory, the highest version of each; in key order, as replicas may save the same."""
    if loaded.vendors:
        vendors = sorted(loaded.vendors.values(), key=lambda v: v.vendor_id)
        rows = [(UUID(v.vendor_id), v.name, v.address.SerializeToString(), v.version) for v in vendors]
        await tx.execute(UPSERT_VENDORS, *_columns(rows))
    if loaded.products:
        products = sorted(loaded.products.values(), key=lambda p: p.product_id)
        await tx.execute(UPSERT_PRODUCTS, *_columns([_product_row(p) for p in products]))
    if loaded.animals:
        animals = sorted(loaded.animals.values(), key=lambda a: a.animal_id)
        animal_rows = [
            (
                UUID(a.animal_id),
                UUID(a.product_id),
                UUID(a.vendor_id),
                a.status,
                a.facts.SerializeToString(),
                a.version,
            )
            for a in animals
        ]
        await tx.execute(UPSERT_ANIMALS, *_columns(animal_rows))


def _product_row(p: ProductChanged) -> tuple[Any, ...]:
    return (
        UUID(p.product_id), UUID(p.vendor_id), p.sku, p.title, p.kind, p.price.amount_minor, p.price.currency, p.status,
        p.facts.SerializeToString(), p.version, p.sku.casefold(),
    )  # fmt: skip
