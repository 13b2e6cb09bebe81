"""SQL of the write path: load and lock in key order, save set-wise. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

from orderhub_chassis.db import Transaction

from orderhub_delivery.commands.plan import DecisionRow
from orderhub_delivery.model import Delivery, Position, Status

COLUMNS: Final = (
    "d.id, d.order_id, d.vendor_id, d.customer_id, d.description, d.pickup, d.ship_to, d.distance_km,"
    " d.created_at, d.updated_at, d.eta_at, d.status, d.held, d.closed, d.picked_up, d.version, d.courier_id,"
    " d.recipient, d.reason_code, d.reason_message"
)
WITH_POSITION: Final = f"select {COLUMNS}, p.lat, p.lon, p.at from deliveries d left join delivery_positions p on p.delivery_id = d.id"
LOAD_ORDERS: Final = f"select {COLUMNS} from deliveries d where d.order_id = any($1) order by d.id for update"
LOAD_ONE: Final = f"{WITH_POSITION} where d.id = $1 for update of d"
INSERT: Final = """
insert into deliveries (id, order_id, vendor_id, customer_id, description, pickup, ship_to, distance_km, created_at,
    updated_at, eta_at, status, held, closed, picked_up, version, courier_id, recipient, reason_code, reason_message)
select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::bytea[], $7::bytea[],
    $8::double precision[], $9::timestamptz[], $10::timestamptz[], $11::timestamptz[], $12::text[], $13::bool[],
    $14::bool[], $15::bool[], $16::bigint[], $17::text[], $18::text[], $19::text[], $20::text[])
"""
UPDATE: Final = """
update deliveries d set updated_at = n.updated_at, eta_at = n.eta_at, status = n.status, held = n.held,
    closed = n.closed, picked_up = n.picked_up, version = n.version, courier_id = n.courier_id,
    recipient = n.recipient, reason_code = n.reason_code, reason_message = n.reason_message
from unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::text[], $5::bool[], $6::bool[], $7::bool[],
    $8::bigint[], $9::text[], $10::text[], $11::text[], $12::text[])
    as n (id, updated_at, eta_at, status, held, closed, picked_up, version, courier_id, recipient, reason_code,
          reason_message)
where d.id = n.id
"""
INSERT_DECISIONS: Final = """
insert into welfare_decisions (id, order_id, rule_set_hash, inputs, verdict, findings, at)
select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::jsonb[], $5::text[], $6::jsonb[], $7::timestamptz[])
"""
LAST_DECISION: Final = """
select id, order_id, rule_set_hash, inputs, verdict, findings, at from welfare_decisions
where order_id = $1 and verdict <> 'refuse' order by id desc limit 1
"""
# The comparison is the model's own, said again where two reports meet: a row that is never locked needs it.
SAVE_POSITION: Final = """
insert into delivery_positions as p (delivery_id, lat, lon, at) values ($1, $2, $3, $4)
on conflict (delivery_id) do update set lat = excluded.lat, lon = excluded.lon, at = excluded.at
where p.at < excluded.at
"""

_CONSTANT = ("id", "order_id", "vendor_id", "customer_id", "description", "pickup", "ship_to", "distance_km")
_CHANGING = ("eta_at", "status", "held", "closed", "picked_up", "version", "courier_id", "recipient")
_REASON = ("reason_code", "reason_message")
ALL: Final = attrgetter(*_CONSTANT, "created_at", "updated_at", *_CHANGING, *_REASON)
CHANGED: Final = attrgetter("id", "updated_at", *_CHANGING, *_REASON)
ALL_OF_DECISION: Final = attrgetter(*DecisionRow.__struct_fields__)


async def load_orders(tx: Transaction, order_ids: Iterable[UUID]) -> dict[UUID, list[Delivery]]:
    """All deliveries of these orders, locked, without positions; no entry for an order that has none."""
    found: dict[UUID, list[Delivery]] = {}
    for row in await tx.fetch(LOAD_ORDERS, sorted(order_ids)):
        found.setdefault(row["order_id"], []).append(delivery_of(row))
    return found


async def load_delivery(tx: Transaction, id: UUID) -> Delivery | None:
    row = await tx.fetchrow(LOAD_ONE, id)
    return delivery_of(row) if row else None


def delivery_of(row: Any) -> Delivery:
    """From a row of COLUMNS, or of WITH_POSITION."""
    values = (*row[:11], Status(row[11]), *row[12:20])
    delivery = Delivery(*values)
    if len(row) > 20 and row[22] is not None:
        delivery.position = Position(*row[20:23])
    return delivery


async def save(tx: Transaction, deliveries: Sequence[Delivery]) -> None:
    """What is new and what has changed, each in one statement."""
    if new := [delivery for delivery in deliveries if delivery.new]:
        tx.write(INSERT, *_columns(map(ALL, new)))
    if changed := [delivery for delivery in deliveries if delivery.changed and not delivery.new]:
        tx.write(UPDATE, *_columns(map(CHANGED, changed)))


async def add_decisions(tx: Transaction, decisions: Sequence[DecisionRow]) -> None:
    if decisions:
        tx.write(INSERT_DECISIONS, *_columns(map(ALL_OF_DECISION, decisions)))


async def last_decision(tx: Transaction, order_id: UUID) -> DecisionRow | None:
    """The last one that let the order's animals go; None for an order of goods."""
    row = await tx.fetchrow(LAST_DECISION, order_id)
    return DecisionRow(*row) if row else None


async def save_position(tx: Transaction, id: UUID, position: Position) -> None:
    await tx.execute(SAVE_POSITION, id, position.lat, position.lon, position.at)


def _columns(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return list(zip(*rows, strict=True))
