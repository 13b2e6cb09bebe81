"""The hot tables: stocks, animals, reservations and the journal. Every statement is for a whole batch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from orderhub_chassis.db import Transaction

from orderhub_inventory.model.stock import (
    Animal,
    AnimalStatus,
    Facts,
    Kind,
    Movement,
    Offer,
    Reservation,
    ReservationStatus,
    Shelf,
    Stock,
)

FACTS = ("species", "life_stage", "born_on", "weaned", "carapace_cm", "weight_kg", "with_mother")
ASKED_AT_ONCE = 500

ASK = """
with due as (
    select order_id, line_no from reservations where status = 'RESERVED' and question_at <= $1
    order by question_at limit $3 for update skip locked
), asked as (
    update reservations r set question_at = $2 from due
    where r.order_id = due.order_id and r.line_no = due.line_no returning r.order_id
)
select distinct a.order_id, coalesce(s.epoch, 0) as epoch
from asked a left join saga_standings s on s.order_id = a.order_id order by a.order_id
"""
UPDATE_STOCKS = """
update stocks s set on_hand = u.o, reserved = u.r, quarantined = u.q, version = u.v
from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) u (id, o, r, q, v)
where s.product_id = u.id
"""
INSERT_STOCKS = """
insert into stocks (product_id, on_hand, reserved, quarantined, version)
select * from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
"""
UPDATE_ANIMALS = """
update animals a set status = u.status, order_id = u.order_id, line_no = u.line_no, version = u.version,
    life_stage = u.life_stage, born_on = u.born_on, weaned = u.weaned, carapace_cm = u.carapace_cm,
    weight_kg = u.weight_kg, with_mother = u.with_mother, updated_at = $13
from unnest($1::uuid[], $2::text[], $3::uuid[], $4::int[], $5::bigint[], $6::text[], $7::text[], $8::date[],
    $9::boolean[], $10::double precision[], $11::double precision[], $12::boolean[])
    u (id, status, order_id, line_no, version, species, life_stage, born_on, weaned, carapace_cm, weight_kg, with_mother)
where a.id = u.id and a.species = u.species
"""
INSERT_ANIMALS = """
insert into animals (id, product_id, vendor_id, identifier, status, version,
    species, life_stage, born_on, weaned, carapace_cm, weight_kg, with_mother, created_at, updated_at)
select *, $14, $14 from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::bigint[],
    $7::text[], $8::text[], $9::date[], $10::boolean[], $11::double precision[], $12::double precision[], $13::boolean[])
"""
INSERT_RESERVATIONS = """
insert into reservations
    (order_id, line_no, product_id, animal_id, quantity, status, refusal, question_at, updated_at)
select *, $9 from unnest($1::uuid[], $2::int[], $3::uuid[], $4::uuid[], $5::bigint[], $6::text[], $7::text[],
    $8::timestamptz[])
"""
UPDATE_RESERVATIONS = """
update reservations r set status = u.status, question_at = u.question_at, updated_at = $5
from unnest($1::uuid[], $2::int[], $3::text[], $4::timestamptz[]) u (order_id, line_no, status, question_at)
where r.order_id = u.order_id and r.line_no = u.line_no
"""
INSERT_MOVEMENTS = """
insert into stock_movements
    (product_id, kind, delta_on_hand, delta_reserved, delta_quarantined, reason, order_id, line_no, actor, at)
select *, $9, $10 from unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[],
    $7::uuid[], $8::int[])
"""


def columns(rows: Iterable[Sequence[Any]], width: int) -> list[list[Any]]:
    """Rows turned into the arrays that `unnest` takes."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]


def facts_of(row: Any) -> Facts:
    return Facts(*(row[name] for name in FACTS))


def facts_values(facts: Facts) -> tuple[Any, ...]:
    return tuple(getattr(facts, name) for name in FACTS)


async def lines_of(tx: Transaction, order_ids: Collection[UUID]) -> dict[UUID, list[Reservation]]:
    """The orders' lines. Not locked: whoever changes them holds the orders' standings, as the caller must."""
    rows = await tx.fetch(
        "select order_id, line_no, product_id, quantity, status, question_at, animal_id, refusal"
        " from reservations where order_id = any($1) order by order_id, line_no",
        order_ids,
    )
    lines: dict[UUID, list[Reservation]] = {}
    for row in rows:
        values = dict(row) | {"status": ReservationStatus(row["status"])}
        lines.setdefault(row["order_id"], []).append(Reservation(**values))
    return lines


async def lock_stocks(tx: Transaction, product_ids: Iterable[UUID]) -> dict[UUID, Stock]:
    rows = await tx.fetch(
        "select product_id, on_hand, reserved, quarantined, version from stocks"
        " where product_id = any($1) order by product_id for update",
        sorted(set(product_ids)),
    )
    return {row["product_id"]: Stock(*row) for row in rows}


async def offers_of(tx: Transaction, product_ids: Collection[UUID]) -> dict[UUID, Offer]:
    """Read after the stocks are locked: who changes a product holds that lock, so this is the last word."""
    rows = await tx.fetch(
        "select id, vendor_id, kind, status = 'active', price_minor, currency from products where id = any($1)",
        product_ids,
    )
    return {row[0]: Offer(row[0], row[1], Kind(row[2]), *row[3:]) for row in rows}


async def lock_animals(tx: Transaction, animal_ids: Iterable[UUID]) -> dict[UUID, Animal]:
    rows = await tx.fetch(
        "select * from animals where id = any($1) order by id for update", sorted(set(animal_ids))
    )
    return {row["id"]: animal_of(row) for row in rows}


def animal_of(row: Any) -> Animal:
    return Animal(
        row["id"], row["product_id"], row["vendor_id"], row["identifier"], AnimalStatus(row["status"]),
        facts_of(row), row["version"], row["order_id"], row["line_no"],
    )  # fmt: skip


async def load(
    tx: Transaction, order_ids: Collection[UUID], product_ids: Iterable[UUID], animal_ids: Iterable[UUID]
) -> Shelf:
    """These products and animals, and all that these orders hold. The caller holds the orders' standings."""
    lines = await lines_of(tx, order_ids) if order_ids else {}
    held = [line for order in lines.values() for line in order]
    stocks = await lock_stocks(tx, [*product_ids, *(line.product_id for line in held if line.product_id)])
    offers = await offers_of(tx, list(stocks))
    wanted = {*animal_ids, *(line.animal_id for line in held if line.animal_id)}
    animals = await lock_animals(tx, wanted) if wanted else {}
    return Shelf(offers, stocks, animals, lines)


async def save(tx: Transaction, shelf: Shelf, *, actor: str, now: datetime) -> None:
    """Each changed row once. `actor` signs the journal."""
    await save_stocks(tx, [stock for stock in shelf.stocks.values() if stock.changed])
    await save_animals(tx, [animal for animal in shelf.animals.values() if animal.changed], now=now)
    await _save_lines(tx, [line for order in shelf.lines.values() for line in order], now)
    await add_movements(tx, shelf.movements, actor=actor, now=now)


async def save_stocks(tx: Transaction, stocks: Sequence[Stock]) -> None:
    if stocks:
        tx.write(UPDATE_STOCKS, *columns(map(_stock_values, stocks), 5))


async def save_animals(tx: Transaction, animals: Sequence[Animal], *, now: datetime) -> None:
    if animals:
        tx.write(UPDATE_ANIMALS, *columns(map(_animal_changes, animals), 12), now)


def _stock_values(stock: Stock) -> tuple[Any, ...]:
    return stock.product_id, stock.on_hand, stock.reserved, stock.quarantined, stock.version


def _animal_changes(animal: Animal) -> tuple[Any, ...]:
    held = (animal.order_id, animal.line_no)
    return animal.id, animal.status, *held, animal.version, *facts_values(animal.facts)


async def _save_lines(tx: Transaction, lines: Sequence[Reservation], now: datetime) -> None:
    # Ended lines first: they free an animal that a new line of the same batch may hold.
    if changed := [_line_changes(line) for line in lines if line.changed and not line.new]:
        tx.write(UPDATE_RESERVATIONS, *columns(changed, 4), now)
    if new := [_line_values(line) for line in lines if line.new]:
        if changed:
            await tx.flush()
        tx.write(INSERT_RESERVATIONS, *columns(new, 8), now)


def _line_changes(line: Reservation) -> tuple[Any, ...]:
    return line.order_id, line.line_no, line.status, line.question_at


def _line_values(line: Reservation) -> tuple[Any, ...]:
    held = (line.product_id, line.animal_id, line.quantity)
    return line.order_id, line.line_no, *held, line.status, line.refusal, line.question_at


async def add_movements(tx: Transaction, movements: Sequence[Movement], *, actor: str, now: datetime) -> None:
    if movements:
        values = (
            (m.product_id, m.kind, m.on_hand, m.reserved, m.quarantined, m.reason, m.order_id, m.line_no)
            for m in movements
        )
        tx.write(INSERT_MOVEMENTS, *columns(values, 8), actor, now)


async def add_stocks(tx: Transaction, stocks: Sequence[Stock]) -> None:
    if stocks:
        await tx.execute(INSERT_STOCKS, *columns(map(_stock_values, stocks), 5))


async def add_animals(tx: Transaction, animals: Sequence[Animal], *, now: datetime) -> None:
    if animals:
        values = (
            (a.id, a.product_id, a.vendor_id, a.identifier, a.status, a.version, *facts_values(a.facts))
            for a in animals
        )
        await tx.execute(INSERT_ANIMALS, *columns(values, 13), now)


async def first_animals(tx: Transaction, product_ids: Collection[UUID]) -> dict[UUID, Animal]:
    """By product: the animal that came with it, locked."""
    rows = await tx.fetch(
        "select a.id from unnest($1::uuid[]) p (id) cross join lateral"
        " (select id from animals where product_id = p.id order by id limit 1) a",
        product_ids,
    )
    animals = await lock_animals(tx, (row["id"] for row in rows))
    return {animal.product_id: animal for animal in animals.values()}


async def quarantined_orders(tx: Transaction, product_id: UUID) -> list[UUID]:
    """Orders with a line of this product in quarantine; read without a lock, to know whose standings to lock."""
    rows = await tx.fetch(
        "select distinct order_id from reservations where product_id = $1 and status = 'QUARANTINED'",
        product_id,
    )
    return [row["order_id"] for row in rows]


async def ask(tx: Transaction, *, now: datetime, again_at: datetime) -> list[tuple[UUID, int]]:
    """Orders whose question is due, with their epoch; the next question is set for `again_at`."""
    rows = await tx.fetch(ASK, now, again_at, ASKED_AT_ONCE)
    return [(row["order_id"], row["epoch"]) for row in rows]
