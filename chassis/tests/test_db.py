"""The transaction wrapper: what it retries, what it sends and in which order, and what "away" means."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict

import asyncpg
import pytest
from orderhub_chassis import metrics
from orderhub_chassis.db import ATTEMPTS, Database, Transaction
from orderhub_chassis.errors import Unavailable
from orderhub_chassis.messages import (
    BATCH_BYTES,
    MessageTooLarge,
    Outgoing,
    batch_from_bytes,
    partition_of,
    unpack,
)
from orderhub_chassis.telemetry import current_traceparent
from orderhub_contracts import topics
from orderhub_contracts.events.v1.events_pb2 import OrderEvent
from orderhub_contracts.payments.v1.commands_pb2 import AuthorizePayment


@pytest.fixture
async def db(small_world):
    await small_world.database.sql("create table counters (key text primary key, n int not null default 0)")
    await small_world.database.sql("insert into counters select 'c' || n from generate_series(0, 9) n")
    async with small_world.db() as db:
        yield db


def retries(reason):
    return metrics.DB_RETRIES.labels("payments", reason)._value.get()


async def test_a_deadlock_is_resolved_by_running_one_side_again(db, small_world):
    both_hold_one, attempts = asyncio.Barrier(2), []

    def work(first, second):
        async def run(tx):
            attempts.append(first)
            await tx.execute("update counters set n = n + 1 where key = $1", first)
            if attempts.count(first) == 1:
                await both_hold_one.wait()
            await tx.execute("update counters set n = n + 1 where key = $1", second)
            tx.send(small_world.command(first, len(attempts)))

        return run

    before = retries("DeadlockDetectedError")
    await asyncio.gather(db.run(work("c1", "c2")), db.run(work("c2", "c1")))
    assert sorted(attempts) in (["c1", "c1", "c2"], ["c1", "c2", "c2"])
    assert retries("DeadlockDetectedError") - before == 1
    assert [r[0] for r in await small_world.database.sql("select n from counters where n > 0")] == [2, 2]
    assert len(await small_world.sent()) == 2, "the attempt that failed has sent nothing"


async def test_a_serialisation_failure_is_run_again_on_fresh_data(db, small_world):
    both_have_read, attempts = asyncio.Barrier(2), []

    async def work(tx):
        await tx.execute("set transaction isolation level serializable")
        n = await tx.fetchval("select n from counters where key = 'c0'")
        attempts.append(n)
        if len(attempts) <= 2:
            await both_have_read.wait()
        await tx.execute("update counters set n = $1 where key = 'c0'", n + 1)

    before = retries("SerializationError")
    await asyncio.gather(db.run(work), db.run(work))
    assert attempts == [0, 0, 1]
    assert await small_world.database.value("select n from counters where key = 'c0'") == 2
    assert retries("SerializationError") - before == 1


async def test_contention_without_end_becomes_unavailable(db):
    attempts = 0

    async def work(tx):
        nonlocal attempts
        attempts += 1
        await tx.execute("do $$ begin raise exception using errcode = '40001'; end $$")

    with pytest.raises(Unavailable, match="too much contention"):
        await db.run(work)
    assert attempts == ATTEMPTS


async def test_a_plain_statement_survives_a_deadlock_too(db, small_world, eventually):
    """Leases, attempts and the relay's deletions are single statements; their task would die of it."""
    attempts = []
    held = await asyncpg.connect(small_world.database.url)
    transaction = held.transaction()
    await transaction.start()
    await held.execute("set local deadlock_timeout = '10s'")
    await held.execute("update counters set n = n + 1 where key = 'c5'")

    async def statement():
        attempts.append(1)
        return await db.execute(
            "with a as (update counters set n = n + 1 where key = 'c1' returning 1)"
            " update counters set n = n + 1 where key = 'c5' and exists (select from a)"
        )

    other = asyncio.create_task(statement())
    await eventually(small_world.database.waiting_for_locks)
    before = retries("DeadlockDetectedError")
    await held.execute("update counters set n = n + 1 where key = 'c1'")
    await transaction.commit()
    await held.close()
    assert await other == "UPDATE 1"
    assert retries("DeadlockDetectedError") - before == 1


async def test_rows_of_the_outbox_stand_in_the_order_of_the_commits_per_aggregate(db, small_world):
    async def add(key):
        async def work(tx):
            n = await tx.fetchval("select n from counters where key = $1 for update", key)
            tx.send(small_world.command(key, n))
            await asyncio.sleep(random.uniform(0, 0.003))
            await tx.execute("update counters set n = n + 1 where key = $1", key)

        await db.run(work)

    await asyncio.gather(*(add(f"c{n % 3}") for n in range(90)))
    found = defaultdict(list)
    for _, record in await small_world.sent():
        found[record.key].append(int(AuthorizePayment.FromString(record.payload).token))
    assert found == {key: list(range(30)) for key in ("c0", "c1", "c2")}


async def test_a_rollback_sends_nothing_and_wakes_nobody(db, small_world):
    woken = db.hints.subscribe("outbox:payments")

    async def work(tx):
        tx.send(small_world.command("a", 1))
        raise LookupError

    with pytest.raises(LookupError):
        await db.run(work)
    async with db.transaction() as tx:
        await tx.execute("select 1")
    assert await small_world.sent() == []
    assert not woken.is_set()
    async with db.transaction() as tx:
        tx.send(small_world.command("a", 1))
        assert not woken.is_set(), "not before the commit"
    assert woken.is_set()


async def test_a_message_over_the_limit_is_refused_at_the_producer_and_nothing_remains(db, small_world):
    def message(size):
        return Outgoing(OrderEvent(order_id="a", detail="x" * size), "a")

    overhead = message(0).payload.ByteSize() + 4
    async with db.transaction() as tx:
        tx.send(message(topics.MAX_MESSAGE_BYTES - overhead))
    assert len(await small_world.sent()) == 1

    async def work(tx):
        tx.send(small_world.command("a", 1))
        await tx.execute("update counters set n = 99")
        tx.send(message(topics.MAX_MESSAGE_BYTES))

    with pytest.raises(MessageTooLarge, match=r"orderhub\.events\.v1\.OrderEvent of \d+ bytes"):
        await db.run(work)
    assert len(await small_world.sent()) == 1
    assert await small_world.database.value("select max(n) from counters") == 0


async def test_a_transaction_writes_one_row_per_topic(db, small_world):
    async with db.transaction() as tx:
        for n in range(5):
            tx.send(small_world.command(f"k{n}", n))
            tx.send(Outgoing(OrderEvent(order_id="a", seq=n), "a"))
    rows = await small_world.database.sql("select topic, count from outbox order by id")
    assert [tuple(row) for row in rows] == [("payments.commands.v1", 5), ("orders.events.v1", 5)]


async def test_a_row_is_cut_at_256_kib_and_the_index_begins_anew(db, small_world):
    async with db.transaction() as tx:
        for n in range(400):
            tx.send(Outgoing(OrderEvent(order_id=f"o{n % 7}", seq=n, detail="x" * 1500), f"o{n % 7}"))
        tx.send(Outgoing(OrderEvent(order_id="big", seq=400, detail="x" * 300_000), "big"))
        tx.send(Outgoing(OrderEvent(order_id="o0", seq=401), "o0"))
    rows = await small_world.database.sql("select batch_id, count, records from outbox order by id")
    assert len(rows) == 5
    sizes = [unpack(row["records"]).ByteSize() for row in rows]
    assert all(size <= BATCH_BYTES for size in sizes if size != max(sizes))
    assert [row["count"] for row, size in zip(rows, sizes, strict=True) if size > BATCH_BYTES] == [1]
    order, ids = defaultdict(list), set()
    for row in rows:
        records = []
        for part in unpack(row["records"]).parts:
            batch = batch_from_bytes(part.batch).records
            assert part.count == len(batch)
            assert {partition_of(r.key, 12) for r in batch} == {part.partition}
            records += batch
        assert sorted(r.index for r in records) == list(range(row["count"]))
        for record in sorted(records, key=lambda r: r.index):
            order[record.key].append(OrderEvent.FromString(record.payload).seq)
            ids.add(record.id)
    assert len(ids) == 402
    assert all(seqs == sorted(seqs) for seqs in order.values())
    assert sum(map(len, order.values())) == 402


async def test_a_record_says_where_it_comes_from(db, small_world):
    trace = f"00-{'12' * 16}-{'34' * 8}-01"
    token = current_traceparent.set(trace)
    async with db.transaction() as tx:
        tx.send(small_world.command("a", 1, actor="u1", vendor_id="v1"))
        tx.send(small_world.command("a", 2, traceparent="another"))
    current_traceparent.reset(token)
    (topic, first), (_, second) = await small_world.sent()
    assert (topic, first.type) == ("payments.commands.v1", "orderhub.payments.v1.AuthorizePayment")
    assert (first.source, first.actor, first.vendor_id) == ("payments", "u1", "v1")
    assert (first.traceparent, second.traceparent) == (trace, "another")
    assert (first.saga.run_id, first.saga.step, first.saga.epoch) == ("run-a", 1, 1)
    assert abs(first.time_us / 1e6 - db.clock.now().timestamp()) < 60


async def test_a_dry_run_is_rolled_back_and_says_what_it_would_have_sent(db, small_world):
    async def work(tx):
        await tx.execute("update counters set n = 5 where key = 'c0'")
        tx.send(small_world.command("a", 1))
        return await tx.fetchval("select n from counters where key = 'c0'")

    result, outgoing = await db.dry_run(work)
    assert (result, [m.key for m in outgoing]) == (5, ["a"])
    assert await small_world.database.value("select max(n) from counters") == 0
    assert await small_world.sent() == []


@pytest.mark.parametrize("door", ["run", "dry_run", "fetch", "fetchrow", "fetchval", "execute"])
async def test_a_database_that_is_away_is_unavailable_through_every_door(db, small_world, door):
    async def work(tx):
        return await tx.fetchval("select 1")

    async def enter():
        argument = work if door in ("run", "dry_run") else "select 1"
        return await getattr(db, door)(argument)

    await enter()
    await small_world.database.go_away()
    with pytest.raises(Unavailable, match="payments's database is away"):
        await enter()
    await small_world.database.come_back()
    await enter()


@pytest.mark.parametrize("door", ["run", "dry_run", "fetch", "fetchrow", "fetchval", "execute"])
async def test_what_refuses_the_begin_behind_a_pooler_is_away_and_no_message_is_to_blame(make_database, door):
    """A pooler lets everybody in and says of its server later: here a setting that the server does not take."""
    url = await make_database()
    url += f"{'&' if '?' in url else '?'}pooler=transaction"

    async def work(tx):
        return await tx.fetchval("select 1")

    async with Database.open(url, service="payments", session={"role": "nobody_there"}) as db:
        with pytest.raises(Unavailable, match='database is away: role "nobody_there"'):
            await getattr(db, door)(work if door in ("run", "dry_run") else "select 1")


async def test_a_connection_that_breaks_in_a_transaction_is_unavailable_and_leaves_nothing(db, small_world):
    async def work(tx):
        await tx.execute("update counters set n = 7")
        await tx.execute("select pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(Unavailable):
        await db.run(work)
    assert await db.fetchval("select max(n) from counters") == 0


async def test_a_lock_that_is_not_given_in_time_is_unavailable(db, small_world):
    held = await asyncpg.connect(small_world.database.url)
    transaction = held.transaction()
    await transaction.start()
    await held.execute("update counters set n = 1 where key = 'c0'")

    async def work(tx):
        await tx.execute("set local lock_timeout = '50ms'")
        await tx.execute("update counters set n = 2 where key = 'c0'")

    with pytest.raises(Unavailable, match="lock timeout"):
        await db.run(work)
    await transaction.rollback()
    await held.close()


@pytest.mark.parametrize("bug", ["select 1/0", "select no_such_column"])
async def test_a_bug_in_a_statement_is_no_outage(db, bug):
    with pytest.raises(asyncpg.PostgresError):
        await db.fetch(bug)
    with pytest.raises(asyncpg.PostgresError):
        await db.run(lambda tx: tx.fetch(bug))


async def test_an_argument_of_the_wrong_type_is_no_outage(db):
    with pytest.raises(asyncpg.DataError):
        await db.fetch("select $1::int", "seven")


async def test_who_waits_for_a_hint_is_woken_after_the_commit_and_not_without_one(db: Database) -> None:
    woken = db.hints.subscribe("something")

    async def undone(tx: Transaction) -> None:
        tx.hint("something")
        raise LookupError

    with pytest.raises(LookupError):
        await db.run(undone)
    assert not woken.is_set()
    async with db.transaction() as tx:
        tx.hint("something")
        assert not woken.is_set()
    assert woken.is_set()
