"""The sweeper: looks for steps whose time is over. Several replicas may sweep; each takes what no other holds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from orderhub_chassis.db import Database, Transaction
from orderhub_chassis.telemetry import log

from orderhub_orders import commands, metrics, store
from orderhub_orders.engine import OPERATORS_QUEUE, State

BATCH = 200
DUE = """
select id from orders where run_id is not null and run_deadline_at <= $1 limit $2 for update skip locked
"""
QUEUES = """
select count(*) filter (where state = any($1)) as queue,
    count(*) filter (where state = $2 and created_at < $3) as unknown
from live_runs
"""


class Sweeper:
    def __init__(self, db: Database, saved: Callable[[store.Loaded], None], alert_after: timedelta) -> None:
        self._db = db
        self._saved = saved
        self._alert_after = alert_after

    async def sweep(self) -> bool:
        """One batch; True when there may be more."""
        now = self._db.clock.now()
        loaded = await self._db.run(lambda tx: self._batch(tx, now))
        self._saved(loaded)
        await self._watch(now)
        return len(loaded.orders) == BATCH

    async def _batch(self, tx: Transaction, now: datetime) -> store.Loaded:
        ids = [row["id"] for row in await tx.fetch(DUE, now, BATCH)]
        loaded = await store.load_orders(tx, ids, now=now)
        for run in list(loaded.live.values()):
            metrics.SWEPT.labels(run.definition).inc()
            tx.send_all(commands.on_deadline(loaded, run, now=now, new_id=self._db.new_id))
        await store.save(tx, loaded, now=now)
        return loaded

    async def _watch(self, now: datetime) -> None:
        """Gauges for the alerts: runs that wait for an operator, captures that stay unknown."""
        row = await self._db.fetchrow(
            QUEUES, list(OPERATORS_QUEUE), State.PIVOT_UNKNOWN, now - self._alert_after
        )
        metrics.OPERATORS_QUEUE.set(row["queue"])
        metrics.PIVOTS_UNKNOWN.set(row["unknown"])
        if row["unknown"]:
            log("orders").warning(
                "orders.pivot_unknown", runs=row["unknown"], longer_than=str(self._alert_after)
            )
