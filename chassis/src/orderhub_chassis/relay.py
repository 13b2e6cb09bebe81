"""The relay: reads outbox rows from the lowest id, publishes them in order, deletes exactly those it published.

It never remembers an id: a smaller one may commit later. One relay is active per database (a lease row); two
at once do no harm, since what is published twice carries the same batch id and the inbox drops it.
"""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

from orderhub_contracts import topics

from orderhub_chassis import hints, metrics
from orderhub_chassis.bus.base import Bus
from orderhub_chassis.db import Database
from orderhub_chassis.errors import Unavailable
from orderhub_chassis.health import Readiness
from orderhub_chassis.messages import OutboxBatch
from orderhub_chassis.telemetry import log

LEASE = timedelta(seconds=5)
ROWS = 200
POLL_MIN, POLL_MAX = 0.005, 0.2
DELETE_AT = 100
"""Published rows that wait to be deleted together: a commit less per round. A crash publishes them once more."""

TAKE_LEASE = """
insert into relay_lease (id, holder, expires_at) values (1, $1, clock_timestamp() + $2)
on conflict (id) do update set holder = $1, expires_at = clock_timestamp() + $2
where relay_lease.holder = $1 or relay_lease.expires_at < clock_timestamp()
returning holder
"""
WAITING = "select id, batch_id, topic, records from outbox where id <> all($2::bigint[]) order by id limit $1"
COUNT = """
with gone as (delete from outbox where id = any($1) returning topic, count)
insert into outbox_totals (topic, messages) select topic, sum(count) from gone group by topic
on conflict (topic) do update set messages = outbox_totals.messages + excluded.messages
"""


class Relay:
    """Runs until cancelled; `drain` empties the outbox at a stop."""

    def __init__(self, db: Database, bus: Bus, holder: str, readiness: Readiness) -> None:
        self._db = db
        self._bus = bus
        self._holder = holder
        self._readiness = readiness
        self._lease_until = 0.0
        self._published: list[int] = []
        self._woken = db.hints.subscribe(f"outbox:{db.service}")

    async def run(self) -> None:
        pause, backoff = POLL_MIN, 0.1
        while True:
            self._woken.clear()
            try:
                published = await self.round()
                self._readiness.ready("relay")
                backoff = 0.1
            except (Unavailable, OSError) as error:
                metrics.RELAY_FAILURES.labels(self._db.service).inc()
                self._readiness.unready("relay", str(error))
                log("relay").warning("relay.waits", reason=str(error), seconds=backoff)
                await asyncio.sleep(backoff * random.uniform(0.5, 1))
                backoff = min(backoff * 2, 5.0)
                continue
            pause = POLL_MIN if published else min(pause * 2, POLL_MAX)
            if published < ROWS:
                await hints.wait(self._woken, pause)

    async def round(self) -> int:
        """Publish what is there; returns the number of rows, 0 also while another relay holds the lease."""
        if not await self._hold_lease():
            await self._delete_published()
            return 0
        rows = await self._db.fetch(WAITING, ROWS, self._published)
        if not rows:
            await self._delete_published()
            return 0
        batches = [
            OutboxBatch.of_row(row["batch_id"], topics.BY_NAME[row["topic"]], row["records"]) for row in rows
        ]
        await self._bus.publish(batches)
        self._published += [row["id"] for row in rows]
        if len(self._published) >= DELETE_AT:
            await self._delete_published()
        for batch in batches:
            metrics.RELAYED.labels(self._db.service, batch.topic.name).inc(batch.count)
        return len(rows)

    async def _delete_published(self) -> None:
        """Exactly the rows that were published; counted here, as a row is deleted once however often it went out."""
        if self._published:
            await self._db.execute(COUNT, self._published)
            self._published = []

    async def drain(self) -> None:
        while await self.round():
            pass

    async def release(self) -> None:
        await self._db.execute("delete from relay_lease where holder = $1", self._holder)

    async def _hold_lease(self) -> bool:
        now = asyncio.get_running_loop().time()
        if now < self._lease_until:
            return True
        held = await self._db.fetchval(TAKE_LEASE, self._holder, LEASE) == self._holder
        self._lease_until = now + LEASE.total_seconds() / 3 if held else 0.0
        return held
