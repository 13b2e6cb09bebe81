"""The last guards: what the database itself refuses, and that each check names the row that was corrupted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest
from orderhub_contracts.inventory.v1 import commands_pb2
from orderhub_contracts.inventory.v1 import inventory_pb2 as pb
from orderhub_inventory import queries
from orderhub_inventory.settings import Settings

from .conftest import Client, Orders, a_cat, a_reserve, animals_of, make_product


@pytest.fixture
async def busy(
    api: Client, orders: Orders, vendor: pb.Vendor, settings: Settings
) -> AsyncIterator[asyncpg.Connection]:
    """Fish held, sold and in quarantine, a cat held and one sold; all checks are clean."""
    fish = await make_product(api, vendor)
    cats = [await make_product(api, vendor, a_cat(sku=sku)) for sku in ("CAT-1", "CAT-2")]
    tom, kit = [(await animals_of(api, cat))[0].id for cat in cats]
    held = [a_reserve(fish), a_reserve(cats[0], animals=[tom])]
    sold = [a_reserve(fish), a_reserve(cats[1], animals=[kit])]
    back = a_reserve(fish)
    await orders.ask(*held, *sold, back)
    await orders.ask(*(commands_pb2.CommitStock(order_id=c.order_id) for c in (*sold, back)), step=1)
    await orders.ask(
        commands_pb2.ReleaseStock(order_id=back.order_id, disposition=commands_pb2.DISPOSITION_QUARANTINE),
        step=2,
    )
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    assert await queries.findings(connection) == []
    yield connection
    await connection.close()


CORRUPTIONS = {
    "stock differs from its journal": "update stock_movements set delta_on_hand = 6 where id = 1",
    "stock differs from its reservations": "update reservations set quantity = 2 where status = 'RESERVED' and animal_id is null",
    "stock differs from its animals": "update animals set status = 'withdrawn', order_id = null, line_no = null where status = 'reserved'",
    "an animal is held twice": (
        "drop index reservations_animal_held_once; insert into reservations"
        " select gen_random_uuid(), line_no, product_id, animal_id, quantity, status, refusal, question_at, updated_at"
        " from reservations where animal_id is not null and status = 'COMMITTED'"
    ),
    "an animal and the order line that holds it differ": "update animals set status = 'quarantined' where status = 'sold'",
    "an order is half refused": (
        "insert into reservations select order_id, 2, product_id, null, 1, 'FAILED', 'archived', question_at, updated_at"
        " from reservations where status = 'QUARANTINED'"
    ),
    "an order line holds no animal, or one of no product": "update reservations set animal_id = null where status = 'COMMITTED'",
    "a product has no stock row": "delete from stocks where on_hand = 0",
}


def test_every_check_is_corrupted_once() -> None:
    assert set(CORRUPTIONS) == {check.name for check in queries.CHECKS}


async def test_a_corrupted_row_is_named(busy: asyncpg.Connection) -> None:
    for name, statement in CORRUPTIONS.items():
        transaction = busy.transaction()
        await transaction.start()
        await busy.execute(statement)
        found = [row for check, row in await queries.findings(busy) if check == name]
        assert len(found) == 1, name
        assert any(isinstance(value, UUID) for value in found[0].values()), name
        await transaction.rollback()
    assert await queries.findings(busy) == []


GUARDS = {
    "more reserved than on hand": ("update stocks set reserved = on_hand + 1", asyncpg.CheckViolationError),
    "less than nothing reserved": ("update stocks set reserved = -1", asyncpg.CheckViolationError),
    "less than nothing quarantined": ("update stocks set quarantined = -1", asyncpg.CheckViolationError),
    "a held animal without an order": (
        "update animals set order_id = null, line_no = null where status = 'reserved'",
        asyncpg.CheckViolationError,
    ),
    "a free animal with an order": (
        "update animals set status = 'free' where status = 'reserved'",
        asyncpg.CheckViolationError,
    ),
    "an animal for a second order": (
        "insert into reservations select gen_random_uuid(), line_no, product_id, animal_id, quantity, status,"
        " refusal, question_at, updated_at from reservations where animal_id is not null and status = 'RESERVED'",
        asyncpg.UniqueViolationError,
    ),
    "a product twice by another case": (
        "update products set sku = 'cat-2' where sku = 'CAT-1'",
        asyncpg.UniqueViolationError,
    ),
}


async def test_the_database_itself_refuses_what_must_never_be(busy: asyncpg.Connection) -> None:
    refused = {}
    for name, (statement, _) in GUARDS.items():
        try:
            await busy.execute(statement)
        except asyncpg.IntegrityConstraintViolationError as error:
            refused[name] = type(error)
    assert refused == {name: error for name, (_, error) in GUARDS.items()}
    assert await queries.findings(busy) == []
