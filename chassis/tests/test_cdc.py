"""The outbox as change data capture reads it: the records are those that the relay would publish."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from orderhub_chassis import cdc
from orderhub_chassis.bus.kafka import attributes
from orderhub_chassis.db import Database
from orderhub_chassis.errors import Unavailable
from orderhub_chassis.messages import OutboxBatch, Outgoing, batch_from_bytes, partition_of, unpack
from orderhub_contracts import topics
from orderhub_contracts.events.v1.events_pb2 import PaymentChanged
from orderhub_contracts.events.v1.records_pb2 import SagaRef
from orderhub_contracts.payments.v1.commands_pb2 import AuthorizePayment

SENT = [
    Outgoing(
        AuthorizePayment(order_id="k1", token="a"), "k1", saga=SagaRef(order_id="k1", run_id="r", step=2, epoch=3)
    ),
    Outgoing(AuthorizePayment(order_id="k2", token="b"), "k2", actor="user:1", vendor_id="v"),
    Outgoing(
        AuthorizePayment(order_id="k1", token="c"), "k1",
        saga=SagaRef(order_id="k1", run_id="r", step=2, epoch=4, compensation=True),
    ),
    Outgoing(PaymentChanged(order_id="k1"), "k1", traceparent="00-" + "1" * 32 + "-" + "2" * 16 + "-01"),
]  # fmt: skip


class StandingClock:
    def __init__(self):
        self._at = datetime.now(UTC)

    def now(self):
        return self._at


@pytest.fixture
async def rows(make_database):
    """What the two forms hold of the same messages: (topic, partition, key, payload, headers) in order."""
    clock, found = StandingClock(), []
    for write in ({}, {"write_outbox": cdc.write}):
        ids = iter(UUID(int=n) for n in range(1, 9))
        url = await make_database("orderhub_chassis")
        async with Database.open(
            url, service="payments", clock=clock, new_id=lambda ids=ids: next(ids), **write
        ) as db:

            async def work(tx):
                tx.send_all(SENT)

            await db.run(work)
            found.append((await db.fetch("select * from outbox order by id"), await db.fetch(
                "select * from outbox_events order by position"
            )))  # fmt: skip
    return found


def published(row):
    batch = OutboxBatch.of_row(row["batch_id"], topics.BY_NAME[row["topic"]], row["records"])
    for part in unpack(batch.data).parts:
        for record in batch_from_bytes(part.batch).records:
            yield (
                row["topic"],
                part.partition,
                record.key,
                record.payload,
                dict(attributes.headers_of(record)),
            )


def captured(row):
    headers = {name: row[name].encode() for name in cdc.COLUMNS if row[name] is not None}
    return (
        row["topic"],
        row["partition"],
        row["key"],
        row["payload"],
        {**dict(attributes.CONSTANT), **headers},
    )


async def test_a_row_becomes_the_record_that_the_relay_would_publish(rows):
    (batches, no_events), (no_batches, events) = rows
    assert no_events == no_batches == []
    expected = [record for row in batches for record in published(row)]
    assert sorted(map(captured, events), key=str) == sorted(expected, key=str)
    assert len(expected) == len(SENT)
    assert {partition_of(row["key"], 12) - row["partition"] for row in events} == {0}


async def test_rows_of_a_topic_are_in_the_order_of_sending(rows):
    events = rows[1][1]
    sent = [m.payload.token for m in SENT if isinstance(m.payload, AuthorizePayment)]
    assert [
        AuthorizePayment.FromString(row["payload"]).token for row in events if row["topic"].endswith("commands.v1")
    ] == sent  # fmt: skip


async def test_every_attribute_of_a_message_has_its_column(make_database):
    async with Database.open(await make_database("orderhub_chassis"), service="payments") as db:
        there = {
            row["column_name"]
            for row in await db.fetch(
                "select column_name from information_schema.columns where table_name = 'outbox_events'"
            )
        }
    assert there == {
        *attributes.NAMES,
        "position",
        "topic",
        "partition",
        "key",
        "payload",
        "lsn",
        "created_at",
    }


@pytest.fixture
async def swept(make_database, monkeypatch):
    """A database whose rows are old enough, a sweeper of it, and a way to say where its slot is: the tests' server
    writes no logical log, so the slot is a row."""
    monkeypatch.setattr(cdc, "SLOT", f"select * from slots where $1 = '{cdc.slot_of('payments')}'")
    monkeypatch.setattr(cdc, "LONGEST_TRANSACTION", timedelta(0))
    url = await make_database("orderhub_chassis")
    async with Database.open(url, service="payments", write_outbox=cdc.write) as db:
        await db.execute(
            "create table slots (active bool, wal_status text, confirmed_flush_lsn pg_lsn, behind bigint)"
        )

        async def work(tx):
            tx.send_all(SENT)

        async def slot(*, active=True, wal_status="reserved"):
            """It has confirmed all that is written by now."""
            await db.execute("delete from slots")
            await db.execute(
                "insert into slots values ($1, $2, pg_current_wal_insert_lsn(), 0)", active, wal_status
            )

        await db.run(work)
        yield db, cdc.Sweeper(db), slot


async def waiting(db):
    return await db.fetchval("select count(*) from outbox_events")


async def test_what_a_slot_has_confirmed_is_swept_and_counted(swept):
    db, sweeper, slot = swept
    await slot()
    await sweeper.sweep()
    await slot()
    assert await sweeper.sweep()
    assert await waiting(db) == 0
    assert await db.fetchval("select sum(messages)::int from outbox_totals") == len(SENT)
    await slot()
    assert not await sweeper.sweep()


async def test_what_waits_is_what_the_slot_has_not_confirmed(swept):
    db, _, slot = swept
    everything = await cdc.waiting(db)
    assert everything["n"] == len(SENT)
    assert everything["oldest"] == await db.fetchval("select min(created_at) from outbox_events")
    await db.execute("update outbox_events set lsn = 'FFFF/0' where position > 1")
    await slot()
    assert (await cdc.waiting(db))["n"] == len(SENT) - 1
    await db.execute("delete from outbox_events")
    assert tuple(await cdc.waiting(db)) == (0, None)


async def test_a_slot_that_is_new_has_published_nothing_yet(swept):
    """Its first position is behind all rows that its connector has still to take from the table."""
    db, sweeper, slot = swept
    await slot()
    assert not await sweeper.sweep()
    assert not await sweeper.sweep()
    assert await waiting(db) == len(SENT)


@pytest.mark.parametrize("meanwhile", ["gone", "unread"])
async def test_a_slot_that_follows_another_begins_anew(swept, meanwhile):
    db, sweeper, slot = swept
    await db.execute("update outbox_events set lsn = 'FFFF/0' where position > 1")
    for _ in range(2):
        await slot()
        await sweeper.sweep()
    assert await waiting(db) == len(SENT) - 1
    await db.execute("delete from slots" if meanwhile == "gone" else "update slots set active = false")
    with pytest.raises(Unavailable):
        await sweeper.sweep()
    await db.execute("update outbox_events set lsn = '0/1'")
    await slot()
    assert not await sweeper.sweep()
    assert await waiting(db) == len(SENT) - 1


@pytest.mark.parametrize(
    ("state", "words"),
    [({"active": False}, "nobody reads"), ({"active": False, "wal_status": "lost"}, "is lost")],
)
async def test_a_slot_that_nobody_reads_or_that_is_lost_is_named_and_nothing_is_swept(swept, state, words):
    db, sweeper, slot = swept
    await slot()
    await sweeper.sweep()
    await slot(**state)
    with pytest.raises(Unavailable, match=words):
        await sweeper.sweep()
    assert await waiting(db) == len(SENT)


async def test_without_a_replication_slot_the_service_says_so_and_keeps_what_it_has(make_database):
    url = await make_database("orderhub_chassis")
    async with Database.open(url, service="nobody", write_outbox=cdc.write) as db:

        async def work(tx):
            tx.send_all(SENT)

        await db.run(work)
        with pytest.raises(
            Unavailable, match="nobody: there is no replication slot orderhub_nobody: register"
        ):
            await cdc.Sweeper(db).sweep()
        assert await db.fetchval("select count(*) from outbox_events") == len(SENT)
