"""Reads: plain SQL to what the API shows. Nothing here locks or decides."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from orderhub_chassis.clock import rfc3339
from orderhub_chassis.db import Database
from orderhub_contracts.common.v1.common_pb2 import Address, AnimalFacts, Money, Reason
from orderhub_contracts.orders.v1 import orders_pb2 as pb

from orderhub_orders import sagas
from orderhub_orders.engine import OVER
from orderhub_orders.model import Order, Status
from orderhub_orders.placing import CANDIDATES, AnimalView, Catalogue, ProductView

ORDERS = """
select o.*, (
    select array_agg((l.line_no, l.product_id::text, l.sku, l.title, l.quantity, l.unit_price_minor, l.animal_id::text,
        l.animal_species, l.animal_born_on) order by l.line_no)
    from order_lines l where l.order_id = o.id) as lines
from {orders} o
"""
BY_ID = ORDERS.format(orders="orders") + "where o.id = any($1)"
AMONG = "select id from orders where id = any($1) and status = any($2)"
# Live runs are few, whatever there ever was: read before anything else, never by walking the table until some are found.
WITH_LIVE = "with live as materialized (select * from {table})"
IN_A_RUN = frozenset({Status.PENDING, Status.ON_HOLD, Status.CANCELLING})


async def by_id(db: Database, ids: Sequence[UUID], *, now: datetime) -> dict[UUID, pb.Order]:
    """Those of them that there are."""
    return {row["id"]: _order(row, now) for row in await db.fetch(BY_ID, ids)}


async def among(db: Database, ids: Sequence[UUID], states: Collection[Status]) -> list[UUID]:
    """Which of these orders are in one of the states."""
    return [row["id"] for row in await db.fetch(AMONG, ids, list(states))]


async def orders(
    db: Database, filters: Sequence[Any], before: UUID | None, limit: int, *, now: datetime
) -> list[pb.Order]:
    """Newest first. `filters` are customer id, vendor id, status, created from, created before."""
    columns = (
        "o.customer_id =",
        "o.vendor_id =",
        "o.status =",
        "o.created_at >=",
        "o.created_at <",
        "o.id <",
    )
    where, arguments = _conditions(columns, [*filters, before])
    in_a_run = filters[2] in IN_A_RUN
    begin = WITH_LIVE.format(table="orders where run_id is not null") if in_a_run else ""
    table = "live" if in_a_run else "orders"
    query = f"{begin} {ORDERS.format(orders=table)} {where} order by o.id desc limit {limit:d}"
    return [_order(row, now) for row in await db.fetch(query, *arguments)]


def _conditions(columns: Sequence[str], values: Sequence[Any]) -> tuple[str, list[Any]]:
    """Only what is asked for stands in the statement, so that its plan is one for just that."""
    asked = [(column, value) for column, value in zip(columns, values, strict=True) if value]
    found = [f"{column} ${number}" for number, (column, _) in enumerate(asked, 1)]
    return f"where {' and '.join(found)}" if found else "", [value for _, value in asked]


def _order(row: Any, now: datetime) -> pb.Order:
    currency = row["currency"]
    order = pb.Order(
        id=str(row["id"]), status=row["status"], customer_id=row["customer_id"], vendor_id=str(row["vendor_id"]),
        lines=[_line(line, currency, now) for line in row["lines"]],
        totals=_totals(row["items_minor"], row["delivery_minor"], row["tax_minor"], currency),
        ship_to=Address.FromString(row["ship_to"]), comment=row["comment"], created_at=rfc3339(row["created_at"]),
        updated_at=rfc3339(row["updated_at"]), version=row["last_seq"],
    )  # fmt: skip
    _parts(order, row["payment_id"], row["payment_status"], row["delivery_id"], row["delivery_status"])
    if row["reason"]:
        order.reason.CopyFrom(Reason.FromString(row["reason"]))
    return order


def _parts(
    order: pb.Order, payment_id: str, payment_status: str, delivery_id: str, delivery_status: str
) -> None:
    if payment_id:
        order.payment.CopyFrom(pb.PartRef(id=payment_id, status=payment_status))
    if delivery_id:
        order.delivery.CopyFrom(pb.PartRef(id=delivery_id, status=delivery_status))


def _line(line: Any, currency: str, now: datetime) -> pb.OrderLine:
    number, product_id, sku, title, quantity, price, animal_id, species, born_on = line
    shown = pb.OrderLine(
        line_no=number, product_id=product_id, sku=sku, title=title, quantity=quantity,
        unit_price=Money(amount_minor=price, currency=currency),
        line_total=Money(amount_minor=price * quantity, currency=currency),
    )  # fmt: skip
    if animal_id:
        shown.animal.CopyFrom(pb.OrderedAnimal(id=animal_id, species=species, age_days=_age(born_on, now)))
    return shown


def _age(born_on: date | None, now: datetime) -> int | None:
    return (now.date() - born_on).days if born_on else None


def _totals(items: int, delivery: int, tax: int, currency: str) -> pb.Totals:
    return pb.Totals(
        items=Money(amount_minor=items, currency=currency), delivery=Money(amount_minor=delivery, currency=currency),
        tax=Money(amount_minor=tax, currency=currency),
        total=Money(amount_minor=items + delivery + tax, currency=currency),
    )  # fmt: skip


def shown(o: Order) -> pb.Order:
    """The answer for an order that has just been decided, without reading it back."""
    lines = [
        (x.line_no, str(x.product_id), x.sku, x.title, x.quantity, x.unit_price_minor,
         str(x.animal_id) if x.animal_id else "", x.animal_species, x.animal_born_on)
        for x in o.lines
    ]  # fmt: skip
    order = pb.Order(
        id=str(o.id), status=o.status, customer_id=o.customer_id, vendor_id=str(o.vendor_id),
        lines=[_line(line, o.currency, o.now) for line in lines],
        totals=_totals(o.items_minor, o.delivery_minor, o.tax_minor, o.currency), ship_to=Address.FromString(o.ship_to), comment=o.comment,
        created_at=rfc3339(o.created_at), updated_at=rfc3339(o.updated_at), version=o.version,
    )  # fmt: skip
    _parts(order, o.payment_id, o.payment_status, o.delivery_id, o.delivery_status)
    if o.reason.code:
        order.reason.CopyFrom(o.reason)
    return order


async def timeline(db: Database, order_id: UUID) -> list[pb.TimelineItem]:
    rows = await db.fetch("select * from order_events where order_id = $1 order by seq", order_id)
    return [
        pb.TimelineItem(
            at=rfc3339(r["at"]), seq=r["seq"], kind=r["kind"], title=r["title"], detail=r["detail"],
            service=r["service"], trace_id=r["trace_id"],
        )
        for r in rows
    ]  # fmt: skip


async def sagas_page(
    db: Database, state: str, order_id: UUID | None, before: UUID | None, limit: int
) -> list[pb.Saga]:
    """Newest first."""
    where, arguments = _conditions(("state =", "order_id =", "id <"), [state, order_id, before])
    live = state and state not in OVER
    begin, table = (WITH_LIVE.format(table="live_runs"), "live") if live else ("", "saga_runs")
    query = f"{begin} select * from {table} {where} order by id desc limit {limit:d}"
    return [_saga(row) for row in await db.fetch(query, *arguments)]


async def saga(db: Database, run_id: UUID) -> pb.Saga | None:
    row = await db.fetchrow("select * from saga_runs where id = $1", run_id)
    return _saga(row) if row else None


def _saga(row: Any) -> pb.Saga:
    definition = sagas.DEFINITIONS[row["definition"], row["definition_version"]]
    return pb.Saga(
        run_id=str(row["id"]), order_id=str(row["order_id"]), definition=row["definition"],
        definition_version=row["definition_version"], state=row["state"], step=row["step"],
        step_name=definition.steps[row["step"]].name, epoch=row["epoch"], attempts=row["attempts"],
        deadline_at=rfc3339(row["deadline_at"]) if row["deadline_at"] else "", created_at=rfc3339(row["created_at"]),
        updated_at=rfc3339(row["updated_at"]), reason=Reason.FromString(row["reason"]),
    )  # fmt: skip


PRODUCTS = "select * from product_views where id = any($1) or sku_folded = any($2)"
FREE = """
select w.id as product, a.id, a.facts from unnest($1::uuid[]) w (id)
cross join lateral (select id, facts from animal_views where product_id = w.id and status = 'free' order by id limit $2) a
"""


async def catalogue(db: Database, requests: Sequence[pb.PlaceOrderRequest]) -> Catalogue:
    """What these requests name, as far as orders knows it."""
    lines = [line for request in requests for line in request.lines]
    found = Catalogue()
    animal_ids = _uuids(line.animal_id for line in lines)
    if animal_ids:
        for row in await db.fetch("select * from animal_views where id = any($1)", animal_ids):
            facts = AnimalFacts.FromString(row["facts"])
            found.animals[row["id"]] = AnimalView(row["id"], row["product_id"], row["status"], facts)
    ids = _uuids(line.product_id for line in lines) + [a.product_id for a in found.animals.values()]
    skus = sorted({line.sku.casefold() for line in lines if line.sku})
    for row in await db.fetch(PRODUCTS, ids, skus):
        view = ProductView(
            row["id"], row["vendor_id"], row["sku"], row["title"], row["kind"], row["price_minor"], row["currency"],
            row["status"], AnimalFacts.FromString(row["facts"]),
        )  # fmt: skip
        found.products[view.id] = view
        found.by_sku[view.sku.casefold()].append(view)
    await _add_surroundings(db, found)
    return found


async def _add_surroundings(db: Database, found: Catalogue) -> None:
    individuals = [p.id for p in found.products.values() if p.kind == "individual"]
    if individuals:
        for row in await db.fetch(FREE, individuals, CANDIDATES):
            facts = AnimalFacts.FromString(row["facts"])
            found.free[row["product"]].append(AnimalView(row["id"], row["product"], "free", facts))
    vendors = sorted({p.vendor_id for p in found.products.values()})
    for row in await db.fetch("select id, name, address from vendor_views where id = any($1)", vendors):
        address = Address.FromString(row["address"])
        address.name = address.name or row["name"]
        found.vendors[row["id"]] = address


def _uuids(values: Any) -> list[UUID]:
    found = []
    for value in values:
        try:
            found.append(UUID(value))
        except ValueError:
            continue
    return found
