"""The outbox as change data capture reads it: the records are those that the relay would publish."""

from __future__ import annotations

from datetime import UTC, datetime
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
