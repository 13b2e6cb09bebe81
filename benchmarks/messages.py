"""What Kafka costs: the relay and a consumer alone in one process each, against brokers that deploy/backends has started.

    messages.py relay|consumer SERVERS REPLICATION MESSAGES

Prints messages per second. The relay reads an outbox that is full and empties it; the consumer takes what lies on its
topic through inbox and a handler that writes a row per message. Both on a PostgreSQL of their own with its usual fsync.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
from orderhub import embedded
from orderhub_chassis import migrate
from orderhub_chassis.bus.kafka.bus import KafkaBus
from orderhub_chassis.bus.kafka.cluster import Cluster
from orderhub_chassis.consumer import ConsumerSpec, Runner
from orderhub_chassis.db import Database
from orderhub_chassis.health import Readiness
from orderhub_chassis.messages import Envelope, Outgoing
from orderhub_chassis.relay import Relay
from orderhub_contracts import topics
from orderhub_contracts.events.v1.records_pb2 import SagaRef
from orderhub_contracts.payments.v1.commands_pb2 import AuthorizePayment

PER_TRANSACTION = 500
KEYS = 5000
PACKAGE = "orderhub_chassis"


def command(number: int) -> Outgoing:
    order_id = f"018f3a2c-0000-7000-8000-{number % KEYS:012}"
    saga = SagaRef(order_id=order_id, run_id=order_id, step=2, epoch=1)
    return Outgoing(AuthorizePayment(order_id=order_id, token="tok_ok"), order_id, saga=saga)


async def fill(db: Database, count: int) -> None:
    """The outbox, as transactions of a busy service leave it."""
    for first in range(0, count, PER_TRANSACTION):

        async def work(tx: Any, first: int = first) -> None:
            tx.send_all(command(number) for number in range(first, min(first + PER_TRANSACTION, count)))

        await db.run(work)


async def relayed(db: Database, bus: KafkaBus, count: int) -> float:
    await fill(db, count)
    relay = Relay(db, bus, "bench", Readiness())
    began = time.perf_counter()
    await relay.drain()
    return count / (time.perf_counter() - began)


async def consumed(db: Database, bus: KafkaBus, count: int) -> float:
    """From the first message that is applied to the last: joining the group is not what is measured."""
    await fill(db, count)
    await Relay(db, bus, "bench", Readiness()).drain()
    await db.execute("create table effects (key text not null, number bigint generated always as identity)")
    applied, times, done = 0, [], asyncio.Event()

    async def load(tx: Any, envelopes: Sequence[Envelope], context: Any) -> list[str]:
        return []

    def handle(state: list[str], envelope: Envelope, context: Any) -> Sequence[Outgoing]:
        state.append(envelope.key)
        return ()

    async def save(tx: Any, state: list[str], context: Any) -> None:
        tx.write("insert into effects (key) select unnest($1::text[])", state)

    def saved(state: list[str]) -> None:
        nonlocal applied
        applied += len(state)
        times.append((time.perf_counter(), applied))
        if applied >= count:
            done.set()

    spec = ConsumerSpec(
        "payments", (topics.PAYMENTS_COMMANDS,), load, {AuthorizePayment: handle}, save, saved
    )
    runner: Runner[list[str]] = Runner(spec, db, bus, "bench", Readiness(), 1000, 5)
    running = asyncio.create_task(runner.run())
    await done.wait()
    runner.stop()
    await running
    (began, first), (ended, last) = times[0], times[-1]
    return (last - first) / (ended - began)


MEASURES = {"relay": relayed, "consumer": consumed}


async def measured(what: str, servers: str, replication: int, count: int, dsn: str) -> float:
    connection = await asyncpg.connect(dsn)
    await migrate.migrate(connection, PACKAGE)
    await connection.close()
    cluster = Cluster(servers, prefix=f"bench-{uuid4().hex[:8]}.", replication=replication)
    async with AsyncExitStack() as stack:
        db = await stack.enter_async_context(Database.open(dsn, service="payments"))
        bus = await stack.enter_async_context(KafkaBus.open(cluster, "bench"))
        try:
            return await MEASURES[what](db, bus, count)
        finally:
            names = [cluster.prefix + topic.name for topic in topics.TOPICS]
            await cluster.admin().ask(
                lambda client: [future.result() for future in client.delete_topics(names).values()]
            )


def main() -> None:
    what, servers, replication, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    with tempfile.TemporaryDirectory() as folder, embedded.postgres(Path(folder) / "postgres") as server:
        print(f"{asyncio.run(measured(what, servers, replication, count, server.dsn('postgres'))):.0f}")


if __name__ == "__main__":
    main()
