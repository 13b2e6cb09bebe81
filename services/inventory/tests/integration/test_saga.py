"""The commands of orders over the real bus and a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from orderhub_chassis.clock import ManualClock
from orderhub_chassis.consumer import Context
from orderhub_chassis.db import Transaction
from orderhub_chassis.messages import Envelope
from orderhub_chassis.service import Surroundings
from orderhub_contracts.events.v1.records_pb2 import Record, SagaRef
from orderhub_contracts.inventory.v1 import commands_pb2
from orderhub_contracts.inventory.v1 import inventory_pb2 as pb
from orderhub_contracts.orders.v1 import replies_pb2
from orderhub_inventory import consumers
from orderhub_inventory.app import Service, build
from orderhub_inventory.settings import Settings

from .conftest import (
    Client,
    Orders,
    a_cat,
    a_reserve,
    a_vendor_user,
    animals_of,
    client_of,
    make_product,
    make_vendor,
    waiting_for_locks,
)

OK, FAILED, REFUSED = replies_pb2.OUTCOME_SUCCEEDED, replies_pb2.OUTCOME_FAILED, replies_pb2.OUTCOME_REFUSED


def commit(order_id: str) -> commands_pb2.CommitStock:
    return commands_pb2.CommitStock(order_id=order_id)


def release(order_id: str, disposition: Any = commands_pb2.DISPOSITION_RESTOCK) -> commands_pb2.ReleaseStock:
    return commands_pb2.ReleaseStock(order_id=order_id, disposition=disposition)


async def stock_of(api: Client, product: pb.Product) -> tuple[int, int, int]:
    stock = (await api.GetProduct(pb.GetProductRequest(id=product.id))).stock
    return stock.on_hand, stock.reserved, stock.quarantined


async def test_a_reservation_is_committed_and_given_back(
    api: Client, orders: Orders, vendor: pb.Vendor, sql: asyncpg.Connection
) -> None:
    fish = await make_product(api, vendor)
    command = a_reserve(fish, 2)
    (reserved,) = await orders.ask(command)
    assert (reserved.outcome, [line.line_no for line in reserved.stock_reserved.lines]) == (OK, [1])
    assert await stock_of(api, fish) == (5, 2, 0)
    assert (await orders.ask(commit(command.order_id), step=1))[0].HasField("stock_committed")
    assert await stock_of(api, fish) == (3, 0, 0)
    (released,) = await orders.ask(release(command.order_id), step=2, epoch=2)
    assert released.stock_released.disposition == "restock"
    assert await stock_of(api, fish) == (5, 0, 0)
    journal = await sql.fetch(
        "select kind, delta_on_hand, delta_reserved, actor from stock_movements order by id"
    )
    assert [tuple(row)[:3] for row in journal] == [
        ("opened", 5, 0), ("reserved", 0, 2), ("committed", -2, -2), ("returned", 2, 0)
    ]  # fmt: skip


async def test_a_hundred_orders_for_five_fish_at_two_replicas_give_exactly_five(
    api: Client, orders: Orders, vendor: pb.Vendor, sql: asyncpg.Connection, settings: Settings
) -> None:
    fish = await make_product(api, vendor)
    commands = [a_reserve(fish) for _ in range(100)]
    twin = settings.model_copy(update={"instance": "twin", "consumer_batch": 9})
    async with build(twin, Surroundings()):
        await asyncio.gather(*(orders.send(*commands[start : start + 7]) for start in range(0, 100, 7)))
        await orders.wait_for(100)
    outcomes = Counter(envelope.payload.outcome for envelope in orders.replies)
    assert outcomes == {OK: 5, FAILED: 95}
    codes = {line.code for e in orders.replies for line in e.payload.reason.lines}
    assert codes == {"out_of_stock"}
    assert await stock_of(api, fish) == (5, 5, 0)
    statuses = await sql.fetch("select status, count(*) from reservations group by status order by status")
    assert [tuple(row) for row in statuses] == [("FAILED", 95), ("RESERVED", 5)]
    assert await sql.fetchval("select count(*) from dead_letters") == 0


async def test_a_batch_waits_for_another_replicas_batch_and_sees_what_it_took(
    api: Client, vendor: pb.Vendor, service: Service, sql: asyncpg.Connection, eventually: Any
) -> None:
    fish, db = await make_product(api, vendor), service.chassis.db

    async def batch(tx: Transaction, started: asyncio.Event, go: asyncio.Event) -> int:
        """A batch of one order for three fish, held open until `go`; returns the outcome."""
        command = a_reserve(fish, 3)
        saga = SagaRef(order_id=command.order_id, run_id="run", epoch=1)
        record = Record(id=str(uuid4()), key=command.order_id, saga=saga)
        envelope = Envelope("inventory.commands.v1", 0, uuid4(), record, command)
        context = Context(db.clock.now(), db.new_id)
        desk = await consumers.load_desk(tx, [envelope], timedelta(minutes=10))
        started.set()
        await go.wait()
        (answer,) = consumers.HANDLERS[type(command)](desk, envelope, context)
        await consumers.save_desk(tx, desk, context)
        return answer.payload.outcome

    first_loaded, second_loaded, go = asyncio.Event(), asyncio.Event(), asyncio.Event()
    first = asyncio.create_task(db.run(lambda tx: batch(tx, first_loaded, go)))
    await first_loaded.wait()
    second = asyncio.create_task(db.run(lambda tx: batch(tx, second_loaded, go)))
    assert await eventually(lambda: waiting_for_locks(sql)) == 1
    assert not second_loaded.is_set()
    go.set()
    assert (await first, await second) == (OK, FAILED)
    assert await stock_of(api, fish) == (5, 3, 0)


async def test_one_animal_wanted_by_fifty_orders_goes_to_exactly_one(
    api: Client, orders: Orders, vendor: pb.Vendor, sql: asyncpg.Connection
) -> None:
    cat = await make_product(api, vendor, a_cat())
    (tom,) = await animals_of(api, cat)
    commands = [a_reserve(cat, animals=[tom.id]) for _ in range(50)]
    answers = await orders.ask(*commands)
    assert Counter(answer.outcome for answer in answers) == {OK: 1, FAILED: 49}
    winner = next(answer for answer in answers if answer.outcome == OK)
    assert winner.stock_reserved.lines[0].animal_id == tom.id
    row = await sql.fetchrow("select status, order_id from animals")
    assert tuple(row) == ("reserved", UUID(winner.order_id))


async def test_the_same_command_in_two_batches_is_answered_twice_and_applied_once(
    api: Client, orders: Orders, vendor: pb.Vendor, sql: asyncpg.Connection
) -> None:
    fish = await make_product(api, vendor)
    command = a_reserve(fish, 2)
    first = await orders.ask(command)
    assert await orders.ask(command) == first
    assert await stock_of(api, fish) == (5, 2, 0)


async def test_a_release_that_overtakes_its_reserve_leaves_a_tombstone(
    api: Client, orders: Orders, vendor: pb.Vendor, sql: asyncpg.Connection
) -> None:
    fish = await make_product(api, vendor)
    command = a_reserve(fish)
    assert (await orders.ask(release(command.order_id), step=1, epoch=2))[0].outcome == OK
    (late,) = await orders.ask(command, epoch=1)
    assert (late.outcome, late.reason.code) == (REFUSED, "saga.stale_epoch")
    assert await stock_of(api, fish) == (5, 0, 0)


async def test_a_command_with_a_broken_order_id_is_a_dead_letter_and_disturbs_nobody(
    api: Client, orders: Orders, vendor: pb.Vendor, sql: asyncpg.Connection, eventually: Any
) -> None:
    fish = await make_product(api, vendor)
    await orders.send(commands_pb2.CommitStock(order_id="no-id"))
    (answer,) = await orders.ask(a_reserve(fish))
    assert answer.outcome == OK
    assert (
        await eventually(lambda: sql.fetchval("select count(*) from dead_letters where status = 'dead'")) == 1
    )


async def test_an_animal_that_has_travelled_waits_for_its_vendor(
    api: Client, orders: Orders, vendor: pb.Vendor, sql: asyncpg.Connection
) -> None:
    cat = await make_product(api, vendor, a_cat())
    (tom,) = await animals_of(api, cat)
    command = a_reserve(cat, animals=[tom.id])
    for step, sent in enumerate([command, commit(command.order_id)]):
        await orders.ask(sent, step=step)
    await orders.ask(release(command.order_id, commands_pb2.DISPOSITION_QUARANTINE), step=2, epoch=2)
    assert (await animals_of(api, cat))[0].status == "quarantined"
    assert await stock_of(api, cat) == (0, 0, 1)
    (refused,) = await orders.ask(a_reserve(cat, animals=[tom.id]))
    assert [line.code for line in refused.reason.lines] == ["out_of_stock"]
    freed = await api(a_vendor_user(vendor.id)).ReleaseAnimal(pb.ReleaseAnimalRequest(id=tom.id))
    assert freed.status == "free"
    assert await stock_of(api, cat) == (1, 0, 0)
    (again,) = await orders.ask(a_reserve(cat, animals=[tom.id]))
    assert again.outcome == OK


async def test_fish_that_have_travelled_are_not_on_hand_until_the_vendor_says_so(
    api: Client, orders: Orders, vendor: pb.Vendor, sql: asyncpg.Connection
) -> None:
    fish = await make_product(api, vendor)
    for _ in range(2):
        command = a_reserve(fish, 2)
        await orders.ask(command)
        await orders.ask(commit(command.order_id), step=1)
        await orders.ask(release(command.order_id, commands_pb2.DISPOSITION_QUARANTINE), step=2, epoch=2)
    assert await stock_of(api, fish) == (1, 0, 4)
    request = pb.ChangeStockRequest(product_id=fish.id, release_quarantine=True, reason="the vet says yes")
    answer = await api(a_vendor_user(vendor.id)).ChangeStock(request)
    assert (answer.stock.on_hand, answer.stock.quarantined, answer.stock.available) == (5, 0, 5)
    reasons = await sql.fetch("select distinct kind from stock_movements where reason = 'the vet says yes'")
    assert [row["kind"] for row in reasons] == ["quarantine_ended"]


async def test_an_old_reservation_makes_a_question_until_it_is_extended_or_ended(
    make_settings: Any, settings: Any, orders: Orders, eventually: Any
) -> None:
    clock = ManualClock()
    async with build(settings, Surroundings(clock=clock)) as service, client_of(service) as api:
        fish = await make_product(api, await make_vendor(api, "Fish and Co"))
        command = a_reserve(fish)
        await orders.ask(command, epoch=4)
        clock.advance(timedelta(minutes=9, seconds=59))
        await service.chassis.db.fetchval("select 1")
        assert orders.questions == []

        async def questions(count: int) -> Any:
            return await eventually(lambda: asyncio.sleep(0, len(orders.questions) == count))

        clock.advance(timedelta(seconds=1))
        await questions(1)
        asked = orders.questions[0]
        assert (asked.payload.order_id, asked.payload.epoch, asked.key) == (
            command.order_id,
            4,
            command.order_id,
        )
        clock.advance(timedelta(minutes=1))
        await questions(2)
        await orders.send(commands_pb2.ExtendReservation(order_id=command.order_id))
        db = service.chassis.db
        due = clock.now() + timedelta(minutes=10)
        await eventually(lambda: db.fetchval("select count(*) from reservations where question_at = $1", due))
        clock.advance(timedelta(minutes=10))
        await questions(3)
        await orders.ask(release(command.order_id), step=1, epoch=5)
        clock.advance(timedelta(hours=1))
        # A second order's question shows that the sweep has run, and passed the ended one by.
        other = a_reserve(fish, order_id=uuid4())
        await orders.ask(other)
        clock.advance(timedelta(minutes=10))
        await questions(4)
        assert orders.questions[-1].payload.order_id == other.order_id
