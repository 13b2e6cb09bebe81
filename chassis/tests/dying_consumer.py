"""A consumer in a process of its own, which one message kills. Not a test: `test_consumer_kill.py` starts it.

Arguments: database URL, bus URL, batch size, how many messages end in effects. Exits with 0 when that many have and
the killer is a dead letter.
"""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import timedelta

from orderhub_chassis.bus.postgres import PostgresBus
from orderhub_chassis.consumer import ConsumerSpec, Runner
from orderhub_chassis.db import Database
from orderhub_chassis.health import Readiness
from orderhub_contracts import topics
from orderhub_contracts.payments.v1.commands_pb2 import AuthorizePayment

KILLED = 66


async def load(tx, envelopes, context):
    return []


def decide(state, envelope, context):
    if envelope.payload.token == "kill":
        os._exit(KILLED)
    state.append((envelope.key, int(envelope.payload.token)))
    return []


async def save(tx, state, context):
    await tx.execute(
        "insert into effects (key, number) select * from unnest($1::text[], $2::int[])",
        [key for key, _ in state],
        [number for _, number in state],
    )


async def main(database: str, bus_url: str, batch: int, expected: int) -> None:
    spec = ConsumerSpec("payments", (topics.PAYMENTS_COMMANDS,), load, {AuthorizePayment: decide}, save)
    async with (
        Database.open(database, service="payments") as db,
        Database.open(bus_url, service="bus") as bus_db,
        PostgresBus.open(bus_db, ttl=timedelta(seconds=0.5)) as bus,
    ):
        runner = Runner(spec, db, bus, f"pid-{os.getpid()}", Readiness(opened=True), batch, 1000)
        task = asyncio.create_task(runner.run())
        while not task.done():
            counts = await db.fetchrow(
                "select (select count(*) from effects) as done,"
                " (select count(*) from dead_letters where status = 'dead') as dead"
            )
            if (counts["done"], counts["dead"]) == (expected, 1):
                runner.stop()
            await asyncio.wait([task], timeout=0.02)
        task.result()


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
