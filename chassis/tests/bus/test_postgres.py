"""What only the embedded bus promises: its locks, its clock, and how it fails."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import asyncpg
import msgspec
import pytest
from orderhub_chassis.bus import postgres
from orderhub_chassis.errors import Unavailable
from orderhub_chassis.hints import Hints
from orderhub_chassis.messages import unpack
from orderhub_contracts import topics
from orderhub_contracts.events.v1.records_pb2 import PartitionedBatch, RecordBatch

PUBLISH = "select publish($1, $2, $3, $4, $5)"


async def _row(bus, batch):
    """The arguments of one server-side publish call."""
    row = (bus._ids[batch.topic.name], batch.batch_id, batch.count, "{0,1}", batch.data)
    return [[value] for value in row]


async def test_positions_are_given_out_under_the_topics_lock(on_postgres, kit, eventually):
    async with (
        on_postgres.open() as bus,
        bus.consumer("group", [kit.topic, topics.ORDERS_REPLIES], "m") as consumer,
    ):
        held = await asyncpg.connect(on_postgres.url)
        transaction = held.transaction()
        await transaction.start()
        await held.execute(PUBLISH, *await _row(bus, kit.batch(("k5", 1))))

        behind = asyncio.create_task(bus.publish([kit.batch(("k5", 2))]))
        await bus.publish([kit.batch(("k6", 1), topic=topics.ORDERS_REPLIES)])
        assert kit.pairs(await kit.read(consumer, 1)) == [("k6", 1)], "another topic does not wait"

        async def waits_for_the_lock():
            return await on_postgres.sql(
                "select 1 from pg_stat_activity where datname = $1 and wait_event_type = 'Lock'"
                " and query like 'select publish%'",
                on_postgres.name,
            )

        await eventually(waits_for_the_lock)
        assert not behind.done()
        assert await kit.nothing(consumer)
        await transaction.commit()
        await behind
        await held.close()
        assert kit.pairs(await kit.read(consumer, 2)) == [("k5", 1), ("k5", 2)]


async def test_a_publisher_that_rolls_back_leaves_no_gap(on_postgres, kit):
    async with on_postgres.open() as bus, bus.consumer("group", [kit.topic], "m") as consumer:
        held = await asyncpg.connect(on_postgres.url)
        transaction = held.transaction()
        await transaction.start()
        await held.execute(PUBLISH, *await _row(bus, kit.batch(("k5", 1))))
        await transaction.rollback()
        await held.close()
        await bus.publish([kit.batch(("k5", 2))])
        got = await kit.read(consumer, 1)
        assert (kit.pairs(got), got[0].position) == ([("k5", 2)], 0)


async def test_a_reader_whose_partition_came_anew_during_the_read_takes_nothing_of_it(on_postgres, kit):
    async with on_postgres.open(ttl=30) as bus, bus.consumer("group", [kit.topic], "m") as consumer:
        await bus.publish([kit.batch(("k5", n)) for n in range(3)])
        rows_read = asyncio.Event()
        go_on = asyncio.Event()
        fetch = bus._db.fetch

        async def slow(query, *arguments):
            rows = await fetch(query, *arguments)
            if query is postgres.READ:
                rows_read.set()
                await go_on.wait()
            return rows

        bus._db.fetch = slow
        reading = asyncio.create_task(consumer.poll(10, timeout=0))
        await rows_read.wait()
        await on_postgres.sql("update leases set member = null, expires_at = '-infinity'")
        await consumer._heartbeat()
        go_on.set()
        assert await reading == []
        bus._db.fetch = fetch
        assert kit.pairs(await kit.read(consumer, 3)) == [("k5", 0), ("k5", 1), ("k5", 2)]


async def test_records_of_an_unknown_format_stop_their_partition_and_no_other(on_postgres, kit):
    async with on_postgres.open() as bus, bus.consumer("group", [kit.topic], "m") as consumer:
        batch = kit.batch(("k5", 1), ("k6", 1))
        packed = unpack(batch.data)
        packed.parts[0].batch = RecordBatch(format_version=9).SerializeToString()
        await bus.publish([msgspec.structs.replace(batch, data=packed.SerializeToString())])
        await bus.publish([kit.batch(("k5", 2), ("k6", 2))])
        assert kit.pairs(await kit.read(consumer, 2)) == [("k6", 1), ("k6", 2)]
        with pytest.raises(
            Unavailable, match=r"payments\.commands\.v1/0 at 0: record batch of format version 9"
        ):
            await consumer.poll(10, timeout=0.1)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (PartitionedBatch(format_version=9).SerializeToString(), "partitioned batch of format version 9"),
        (b"\x28\xb5\x2f\xfdx", "partitioned batch"),
    ],
    ids=["of-another-format", "a-broken-frame"],
)
async def test_a_batch_that_cannot_be_read_stops_its_topic_and_no_other(on_postgres, kit, data, why):
    async with (
        on_postgres.open() as bus,
        bus.consumer("group", [kit.topic, topics.ORDERS_REPLIES], "m") as consumer,
    ):
        batch = kit.batch(("k5", 1))
        await bus.publish([msgspec.structs.replace(batch, data=data)])
        await bus.publish([kit.batch(("k6", 2)), kit.batch(("k6", 3), topic=topics.ORDERS_REPLIES)])
        assert kit.pairs(await kit.read(consumer, 1)) == [("k6", 3)]
        with pytest.raises(Unavailable, match=rf"payments\.commands\.v1/\d+ at 0: {why}"):
            await consumer.poll(10, timeout=0.1)
        assert (await bus.lag("group"))[kit.topic.name] == 2, "nothing of it is passed over"


async def test_a_partition_that_nothing_came_for_is_confirmed_along(on_postgres, kit):
    async with on_postgres.open() as bus:
        async with bus.consumer("group", [kit.topic], "m") as consumer:
            await bus.publish([kit.batch(("k5", n)) for n in range(3)])
            await consumer.commit(await kit.read(consumer, 3))
            assert await bus.lag("group") == {kit.topic.name: 0}
            await bus.publish([kit.batch(("k6", 1)), kit.batch(("k5", 3))])
            got = await kit.read(consumer, 2)
            await consumer.commit([d for d in got if d.partition == 0])
        assert await bus.lag("group") == {kit.topic.name: 2}, "the other is still under way"
        async with bus.consumer("group", [kit.topic], "m") as consumer:
            assert kit.pairs(await kit.read(consumer, 1)) == [("k6", 1)]


async def test_one_partition_that_is_behind_brings_nothing_of_the_others_again(on_postgres, kit):
    async with on_postgres.open() as bus:
        async with bus.consumer("group", [kit.topic], "m") as consumer:
            await bus.publish([kit.batch(("k5", n), ("k6", n)) for n in range(250)])
            got = await kit.read(consumer, 500)
            await consumer.commit([d for d in got if d.partition == 1 or d.position < 10])
        async with bus.consumer("group", [kit.topic], "m") as consumer:
            again = await kit.read(consumer, 240)
            assert kit.pairs(again) == [("k5", n) for n in range(10, 250)]
            await bus.publish([kit.batch(("k5", 250), ("k6", 250))])
            assert set(kit.pairs(await kit.read(consumer, 2))) == {("k5", 250), ("k6", 250)}


async def test_a_bug_in_the_heartbeat_ends_the_reader_loudly(on_postgres, kit):
    async with on_postgres.open(ttl=0.4) as bus, bus.consumer("group", [kit.topic], "m") as consumer:
        await on_postgres.sql("drop function heartbeat")
        with pytest.raises(asyncpg.UndefinedFunctionError):
            await kit.read(consumer, 1)


async def test_a_commit_that_arrives_late_does_not_take_a_later_one_back(on_postgres, kit):
    async with on_postgres.open() as bus, bus.consumer("group", [kit.topic], "m") as consumer:
        await bus.publish([kit.batch(("k5", n)) for n in range(3)])
        await consumer.commit(await kit.read(consumer, 3))
        place = (bus._ids[kit.topic.name], 0)
        consumer._uncommitted[place] = (consumer._held[place].generation, 1)
        await consumer._flush()
        assert await bus.lag("group") == {kit.topic.name: 0}


async def test_idle_polls_grow_rarer_instead_of_starting_anew(on_postgres, kit, monkeypatch):
    async with on_postgres.open() as bus, bus.consumer("group", [kit.topic], "m") as consumer:
        reads = 0
        read = consumer._read

        async def counted(max_records):
            nonlocal reads
            reads += 1
            return await read(max_records)

        monkeypatch.setattr(consumer, "_read", counted)
        for _ in range(4):
            await consumer.poll(10, timeout=0.25)
        # 5, 10, 20 … 200 ms once, then every 200 ms: some 13 reads in a second, and not 4 x 7.
        assert reads < 20


async def test_the_launcher_can_free_all_leases_of_a_group_that_was_killed(on_postgres, kit):
    async with on_postgres.open(ttl=60) as bus:
        await bus.publish([kit.batch(*((key, 1) for key in kit.keys))])
        killed = postgres.PostgresConsumer(
            bus._db, "group", "killed", {bus._ids[kit.topic.name]: kit.topic.name}, bus._ttl
        )
        await killed._heartbeat()
        await bus.forget_members()
        async with bus.consumer("group", [kit.topic], "m") as consumer:
            assert len(await kit.read(consumer, 12)) == 12


async def test_retention_follows_the_table_of_topics(on_postgres, monkeypatch):
    from dataclasses import replace
    from datetime import timedelta

    async with on_postgres.open():
        pass
    changed = tuple(replace(t, retention=timedelta(days=2)) for t in topics.TOPICS)
    monkeypatch.setattr(topics, "TOPICS", changed)
    async with on_postgres.open():
        pass
    rows = await on_postgres.sql("select distinct retention from topics")
    assert [row["retention"] for row in rows] == [timedelta(days=2)]


async def test_a_new_group_begins_with_the_oldest_that_is_still_there(on_postgres, kit):
    async with on_postgres.open() as bus:
        await bus.publish([kit.batch(("a", 1))])
        await on_postgres.age(kit.topic.retention + timedelta(days=1))
        await bus.publish([kit.batch(("a", 2))])
        await on_postgres.prune()
        async with bus.consumer("late", [kit.topic], "m") as consumer:
            assert kit.pairs(await kit.read(consumer, 1)) == [("a", 2)]
            assert await bus.lag("late") == {kit.topic.name: 1}


async def test_retention_drops_what_is_old_and_committed_by_every_group(on_postgres, kit):
    async with on_postgres.open() as bus:
        await bus.publish([kit.batch(("a", n)) for n in range(3)])
        async with bus.consumer("one", [kit.topic], "m") as one, bus.consumer("two", [kit.topic], "m") as two:
            await one.commit(await kit.read(one, 3))
            await two.commit((await kit.read(two, 3))[:2])
            await on_postgres.prune()
            assert await on_postgres.keep(kit.topic) == 3, "nothing is old yet"
            await on_postgres.age(kit.topic.retention - timedelta(hours=1))
            await on_postgres.prune()
            assert await on_postgres.keep(kit.topic) == 3, "nothing is old enough yet"
            await on_postgres.age(timedelta(hours=2))
            await on_postgres.prune()
            assert await on_postgres.keep(kit.topic) == 1, "the second group has still to commit one"
        async with bus.consumer("two", [kit.topic], "m") as two:
            assert kit.pairs(await kit.read(two, 1)) == [("a", 2)]


async def test_a_hint_wakes_a_poll_at_once(on_postgres, kit):
    hints = Hints()
    async with (
        on_postgres.open(hints=hints) as publishing,
        on_postgres.open(hints=hints) as bus,
        bus.consumer("group", [kit.topic], "m") as consumer,
    ):
        woken = []
        notify = hints.notify
        hints.notify = lambda name: (woken.append(name), notify(name))[1]
        waiting = asyncio.create_task(consumer.poll(10, timeout=10))
        await asyncio.sleep(0)
        await publishing.publish([kit.batch(("a", 1))])
        assert kit.pairs(await waiting) == [("a", 1)]
        assert woken == [f"topic:{kit.topic.name}"]


async def test_a_poll_of_what_is_there_brings_what_was_asked_for(on_postgres, kit):
    async with on_postgres.open() as bus, bus.consumer("group", [kit.topic], "m") as consumer:
        await bus.publish([kit.batch(*((key, n) for key in kit.keys)) for n in range(20)])
        assert 24 <= len(kit.pairs(await consumer.poll(24, timeout=5))) <= 36
