"""The inbox: duplicates, zombies and twins all end in the same rule."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from orderhub_chassis import inbox
from orderhub_chassis.ids import uuid7
from orderhub_chassis.messages import Delivery
from orderhub_contracts.events.v1.records_pb2 import Record

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def a_delivery(*indexes, batch_id=None, partition=0, position=0):
    records = [Record(id=f"{i}", key="k", index=i) for i in indexes]
    return Delivery("payments.commands.v1", partition, position, batch_id or uuid7(), records)


async def admitted(db, *deliveries):
    fresh = await db.run(lambda tx: inbox.admit(tx, "payments", deliveries, now=NOW))
    return [record.index for _, record in fresh]


@pytest.fixture
async def db(small_world):
    async with small_world.db() as db:
        yield db


async def test_a_batch_is_admitted_once(db):
    batch = a_delivery(0, 1, 2)
    assert await admitted(db, batch) == [0, 1, 2]
    assert await admitted(db, batch) == []


async def test_a_batch_that_comes_twice_in_one_poll_counts_once(db, small_world):
    batch = a_delivery(0, 1)
    assert await admitted(db, batch, batch, a_delivery(5)) == [0, 1, 5]
    assert await small_world.database.value("select sum(admitted) from inbox") == 3


async def test_one_consumers_batches_are_not_anothers(db):
    batch = a_delivery(0)
    await admitted(db, batch)
    fresh = await db.run(lambda tx: inbox.admit(tx, "orders", [batch], now=NOW))
    assert len(fresh) == 1


async def test_parts_of_a_batch_in_other_partitions_are_batches_of_their_own(db):
    batch_id = uuid7()
    assert await admitted(db, a_delivery(0, 2, batch_id=batch_id, partition=3)) == [0, 2]
    assert await admitted(db, a_delivery(1, batch_id=batch_id, partition=4)) == [1]


async def test_after_a_half_only_the_other_half_is_new(db, small_world):
    batch_id = uuid7()
    assert await admitted(db, a_delivery(0, 1, batch_id=batch_id)) == [0, 1]
    assert await admitted(db, a_delivery(0, 1, 2, 3, batch_id=batch_id), a_delivery(9)) == [2, 3, 9]
    rows = await small_world.database.sql("select upto, admitted from inbox where batch_id = $1", batch_id)
    assert [tuple(row) for row in rows] == [(3, 4)]


async def test_a_twin_waits_for_the_open_transaction_and_then_finds_nothing(db, small_world, eventually):
    batch, effects_done = a_delivery(0, 1), asyncio.Event()

    async def first(tx):
        fresh = await inbox.admit(tx, "payments", [batch], now=NOW)
        await effects_done.wait()
        return len(fresh)

    holding = asyncio.create_task(db.run(first))
    await eventually(small_world.database.idle_in_transaction)
    late = asyncio.create_task(admitted(db, batch))
    await eventually(small_world.database.waiting_for_locks)
    effects_done.set()
    assert (await holding, await late) == (2, [])


async def test_when_the_open_transaction_fails_the_twin_takes_over(db, small_world, eventually):
    batch, fail = a_delivery(0, 1), asyncio.Event()

    async def first(tx):
        await inbox.admit(tx, "payments", [batch], now=NOW)
        await fail.wait()
        raise ZeroDivisionError

    holding = asyncio.create_task(db.run(first))
    await eventually(small_world.database.idle_in_transaction)
    late = asyncio.create_task(admitted(db, batch))
    await eventually(small_world.database.waiting_for_locks)
    fail.set()
    with pytest.raises(ZeroDivisionError):
        await holding
    assert await late == [0, 1]


async def test_twins_that_meet_the_same_batches_in_another_order_do_not_deadlock(db, small_world):
    batches = [a_delivery(0, 1, 2, position=n) for n in range(40)]
    found = await asyncio.gather(
        admitted(db, *batches), admitted(db, *reversed(batches)), admitted(db, *batches[20:], *batches[:20])
    )
    assert sum(map(len, found)) == 120
    assert await small_world.database.value("select sum(admitted) from inbox") == 120


async def test_pruned_rows_stay_in_the_totals(db, small_world):
    for _ in range(3):
        await admitted(db, a_delivery(0, 1))
    await db.run(lambda tx: inbox.prune(tx, before=NOW))
    assert await small_world.database.value("select count(*) from inbox") == 3, "not older than that"
    pruned = await db.run(lambda tx: inbox.prune(tx, before=NOW + timedelta(seconds=1), limit=2))
    assert pruned == 2
    await db.run(lambda tx: inbox.prune(tx, before=NOW + timedelta(seconds=1)))
    rows = await small_world.database.sql("select consumer, topic, messages from inbox_totals")
    assert [tuple(row) for row in rows] == [("payments", "payments.commands.v1", 6)]
    assert await small_world.database.value("select count(*) from inbox") == 0
