"""Loads orders with their runs under locks, and saves what changed, set-wise. Decides nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final
from uuid import UUID

import msgspec
from orderhub_chassis.clock import rfc3339
from orderhub_chassis.db import Transaction
from orderhub_chassis.messages import Outgoing
from orderhub_contracts.common.v1.common_pb2 import AnimalFacts, Reason
from orderhub_contracts.events.v1.events_pb2 import AnimalChanged, OrderEvent, ProductChanged, VendorChanged

from orderhub_orders.engine import Run, State
from orderhub_orders.model import NO_REASON, Line, Order, Status
from orderhub_orders.remembered import Remembered


class Answered(msgspec.Struct, frozen=True):
    """A step that was answered, and how long after its command."""

    definition: str
    step: str
    seconds: float


class Loaded(msgspec.Struct):
    """The orders that a batch names. `runs`: by their own id the runs that were live or have been started since, also
    when they are over by now; `live`: the last of them by order."""

    orders: dict[UUID, Order] = msgspec.field(default_factory=dict)
    runs: dict[UUID, Run] = msgspec.field(default_factory=dict)
    live: dict[UUID, Run] = msgspec.field(default_factory=dict)
    answered: list[Answered] = msgspec.field(default_factory=list)
    vendors: dict[str, VendorChanged] = msgspec.field(default_factory=dict)
    products: dict[str, ProductChanged] = msgspec.field(default_factory=dict)
    animals: dict[str, AnimalChanged] = msgspec.field(default_factory=dict)
    # By order: what seldom changes, as it was loaded.
    rests: dict[UUID, tuple[Any, ...]] = msgspec.field(default_factory=dict)
    # By order: which transaction wrote the row that was found; and the one that writes it anew.
    versions: dict[UUID, int] = msgspec.field(default_factory=dict)
    written_by: int = 0

    def add_run(self, run: Run) -> None:
        self.runs[run.id] = run
        self.live[run.subject_id] = run


LOCK: Final = (
    "select id, xmin, pg_current_xact_id()::xid as by from orders where id = any($1) order by id for update"
)


async def load_orders(
    tx: Transaction, ids: Iterable[UUID], *, now: datetime, remembered: Remembered | None = None
) -> Loaded:
    """Lock the orders in key order, with their lines and live runs: those `remembered`, and for the others their rows.

    Those are read in statements of their own, which see what the transaction that was waited for has written.
    """
    wanted = sorted(set(ids))
    loaded = Loaded()
    unknown = []
    for row in await tx.fetch(LOCK, wanted) if wanted else ():
        id, loaded.written_by = row["id"], row["by"]
        version = loaded.versions[id] = row["xmin"]
        kept = remembered.take(id, version) if remembered is not None else None
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
    for row in await tx.fetch("select * from orders where id = any($1)", ids):
        _add(loaded, _order(row, lines[row["id"]], now), _run(row) if row["run_id"] else None)


def _add(loaded: Loaded, order: Order, run: Run | None) -> None:
    loaded.orders[order.id] = order
    loaded.rests[order.id] = _rest(order, run)
    if run is not None:
        loaded.runs[run.id] = loaded.live[order.id] = run


def remember(loaded: Loaded, remembered: Remembered) -> None:
    """After the commit of what was loaded and saved: keep the orders whose run goes on."""
    for id, found in loaded.versions.items():
        order, run = loaded.orders[id], loaded.live.get(id)
        if run is None or run.over:
            continue
        version = loaded.written_by if order.changed or run.changed else found
        if order.changed:
            order.updated_at, order.changed = order.now, False
        if run.changed:
            run.moved_at, run.changed = order.now, False
        for line in order.lines:
            line.changed = False
        order.events = []
        remembered.keep(order, run, version)


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
    """The live run in an order's row."""
    return Run(
        row["run_id"], row["id"], row["run_definition"], row["run_definition_version"], State(row["run_state"]),
        row["run_step"], row["epoch"], row["run_attempts"], row["run_deadline_at"], row["run_expires_at"],
        row["run_created_at"], row["run_moved_at"], row["run_stop_requested"], _reason(row["run_reason"]),
        changed=False,
    )  # fmt: skip


INSERT_ORDERS = """
insert into orders (id, customer_id, vendor_id, status, currency, items_minor, delivery_minor, tax_minor, total_minor,
    payment_token, pickup, ship_to, comment, epoch, last_seq, trace_id, created_at, updated_at,
    run_id, run_definition, run_definition_version, run_state, run_step, run_attempts, run_deadline_at, run_expires_at,
    run_stop_requested, run_reason, run_created_at, run_moved_at)
select i, c, v, 'PENDING', cu, it, dm, tm, it + dm + tm, pt, pu, st, co, ep, ls, tr, $1, $1,
    ri, rd, rv, rs, rn, ra, rl, rx, false, '', $1, $1
from unnest($2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[],
    $10::bytea[], $11::bytea[], $12::text[], $13::bigint[], $14::bigint[], $15::text[], $16::uuid[], $17::text[],
    $18::int[], $19::text[], $20::int[], $21::int[], $22::timestamptz[], $23::timestamptz[])
    as u (i, c, v, cu, it, dm, tm, pt, pu, st, co, ep, ls, tr, ri, rd, rv, rs, rn, ra, rl, rx)
"""
INSERT_LINES = """
insert into order_lines (order_id, line_no, product_id, sku, title, kind, quantity, unit_price_minor, candidates, animal_id)
select o, n, p, s, t, k, q, m,
    coalesce((select array_agg(b order by c) from unnest($10::int[], $11::bytea[]) as f (c, b) where c / 1000 = g), '{}'), a
from unnest($1::uuid[], $2::int[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[],
    $9::uuid[], $12::int[]) as u (o, n, p, s, t, k, q, m, a, g)
"""


def insert_orders(tx: Transaction, loaded: Loaded, *, now: datetime) -> None:
    """New orders with their lines and the runs that have just been started; events come with `save_events`."""
    orders = loaded.orders.values()
    rows = [_new_row(order, loaded.live[order.id]) for order in orders]
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


def _new_row(o: Order, r: Run) -> tuple[Any, ...]:
    return (
        o.id, o.customer_id, o.vendor_id, o.currency, o.items_minor, o.delivery_minor, o.tax_minor, o.payment_token,
        o.pickup, o.ship_to, o.comment, o.epoch, o.last_seq, o.trace_id, r.id, r.definition, r.version, r.state, r.step,
        r.attempts, r.deadline_at, r.expires_at,
    )  # fmt: skip


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


# The columns of an order's row that change together: what the order tells others, where its run stands, and what changes
# once in an order's life if at all. A value that is sent, unpacked and written for nothing costs as much as a new one.
TOLD: Final = (
    ("status", "text"), ("payment_id", "text"), ("payment_status", "text"), ("payment_version", "bigint"),
    ("delivery_id", "text"), ("delivery_status", "text"), ("delivery_version", "bigint"), ("picked_up", "boolean"),
    ("epoch", "bigint"), ("last_seq", "bigint"),
)  # fmt: skip
STEP: Final = (
    ("run_state", "text"), ("run_step", "int"), ("run_attempts", "int"), ("run_deadline_at", "timestamptz"),
)  # fmt: skip
REST: Final = (
    ("former_status", "text"), ("reason", "bytea"), ("cancel_reason", "text"), ("run_id", "uuid"),
    ("run_definition", "text"), ("run_definition_version", "int"), ("run_expires_at", "timestamptz"),
    ("run_stop_requested", "boolean"), ("run_reason", "bytea"), ("run_created_at", "timestamptz"),
)  # fmt: skip
NO_RUN: Final = (None,) * 7
NO_STEP: Final = (None,) * 4


def _told(o: Order) -> tuple[Any, ...]:
    return (
        o.status, o.payment_id, o.payment_status, o.payment_version, o.delivery_id, o.delivery_status,
        o.delivery_version, o.picked_up, o.epoch, o.last_seq,
    )  # fmt: skip


def _step(r: Run | None) -> tuple[Any, ...]:
    return NO_STEP if r is None or r.over else (r.state, r.step, r.attempts, r.deadline_at)


def _rest(o: Order, r: Run | None) -> tuple[Any, ...]:
    return o.former_status, _reason_bytes(o.reason), o.cancel_reason, *_rest_of_run(r)


def _rest_of_run(r: Run | None) -> tuple[Any, ...]:
    if r is None or r.over:
        return NO_RUN
    return (
        r.id,
        r.definition,
        r.version,
        r.expires_at,
        r.stop_requested,
        _reason_bytes(r.reason),
        r.created_at,
    )


@cache
def _update(told: bool, step: bool, rest: bool) -> str:
    """The statement that writes these groups of columns, at $1."""
    columns = TOLD * told + STEP * step + REST * rest
    moved = "run_moved_at = case when u.run_state is not null then $1::timestamptz end"
    times = ["updated_at = $1"] * told + [moved] * step
    arrays = ", ".join(
        f"${number}::{type}[]" for number, (_, type) in enumerate((("id", "uuid"), *columns), 2)
    )
    return (
        f"update orders o set {', '.join([*times, *(f'{name} = u.{name}' for name, _ in columns)])}"
        f" from unnest({arrays}) as u (id, {', '.join(name for name, _ in columns)}) where o.id = u.id"
    )


INSERT_ENDED = """
insert into ended_runs (id, order_id, definition, definition_version, state, step, epoch, attempts, expires_at,
    stop_requested, reason, created_at, updated_at)
select i, o, d, dv, s, st, e, a, ex, sr, r, cr, $1
from unnest($2::uuid[], $3::uuid[], $4::text[], $5::int[], $6::text[], $7::int[], $8::bigint[], $9::int[],
    $10::timestamptz[], $11::boolean[], $12::bytea[], $13::timestamptz[])
    as u (i, o, d, dv, s, st, e, a, ex, sr, r, cr)
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
    _save_orders(tx, loaded, now)
    _save_ended(tx, loaded, now)
    lines = [(o.id, line) for o in loaded.orders.values() for line in o.lines if line.changed]
    if lines:
        tx.write(UPDATE_LINES, *_columns([_line_row(order_id, line) for order_id, line in lines]))
    save_events(tx, loaded.orders.values(), now=now)


def _save_orders(tx: Transaction, loaded: Loaded, now: datetime) -> None:
    rows: defaultdict[tuple[bool, bool, bool], list[tuple[Any, ...]]] = defaultdict(list)
    for o in loaded.orders.values():
        run = loaded.live.get(o.id)
        moved = run is not None and run.changed
        if o.changed or moved:
            rest = _rest(o, run)
            other = loaded.rests[o.id] != rest
            row = (
                o.id,
                *(_told(o) if o.changed else ()),
                *(_step(run) if moved else ()),
                *(rest if other else ()),
            )
            rows[o.changed, moved, other].append(row)
    for groups, found in rows.items():
        tx.write(_update(*groups), now, *_columns(found))


def _save_ended(tx: Transaction, loaded: Loaded, now: datetime) -> None:
    ended = [
        (
            r.id, r.subject_id, r.definition, r.version, r.state, r.step, r.epoch, r.attempts, r.expires_at,
            r.stop_requested, _reason_bytes(r.reason), r.created_at,
        )
        for r in loaded.runs.values()
        if r.over
    ]  # fmt: skip
    if ended:
        tx.write(INSERT_ENDED, now, *_columns(ended))


def _line_row(order_id: UUID, line: Line) -> tuple[Any, ...]:
    allowed = "" if line.allowed_animals is None else ",".join(map(str, line.allowed_animals)) or "-"
    return order_id, line.line_no, line.animal_id, line.animal_species, line.animal_born_on, allowed


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
