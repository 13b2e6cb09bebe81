"""Takes revocations from the database to Redis, where the gateways read them.

At once after a commit of this process, and by looking twice a second for those of others and for what a crash left
behind. A Redis that lost its data, or came back from an older state, is found by the lease and gets everything that
still matters again. Entries may come twice: a revocation means the same however often it is read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final

from orderhub_chassis import outages
from orderhub_chassis.db import Database
from orderhub_chassis.telemetry import log
from orderhub_contracts import revocations as contract
from orderhub_contracts.revocations import KEPT, LEASE
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from orderhub_auth import metrics
from orderhub_auth.store import revocations
from orderhub_auth.store.revocations import Numbered

EVERY: Final = timedelta(milliseconds=400)
"""Between two looks: less than the second that a revocation may take, whoever wrote it."""
BATCH: Final = 1000
ANSWER_SECONDS: Final = 2.0


class Publisher:
    """One per replica of auth; several do each other no harm. `issuer` is whose tokens are meant."""

    def __init__(self, db: Database, redis: Redis, issuer: str) -> None:
        self._db = db
        self._redis = redis
        self._stream, self._lease = contract.stream_of(issuer), contract.lease_of(issuer)
        self._away = False

    async def work(self) -> bool:
        """One look; true when there may be more. Without Redis it says so once, and everything waits in the database."""
        try:
            await self._hold_the_lease()
            more = await self._send_new()
        except (RedisError, OSError, TimeoutError) as error:
            await self._note_away(error)
            return False
        self._came_back()
        return more

    async def _hold_the_lease(self) -> None:
        """The lease is given only to a Redis that has everything: what is committed later is sent by `_send_new`."""
        server = contract.server_of(await self._redis.info("server"))
        held: Any = await self._redis.get(self._lease)
        if held is None or held.decode() != server:
            await self._send_everything()
        await self._redis.set(self._lease, server, px=LEASE)

    async def _send_everything(self) -> None:
        after, sent, now = 0, 0, self._db.clock.now()
        while found := await revocations.standing(self._db, after, BATCH, now=now):
            await self._send(found)
            after, sent = found[-1][0], sent + len(found)
        if sent:
            log("auth").info("revocations.written_again", count=sent)

    async def _send_new(self) -> bool:
        found = await revocations.unsent(self._db, BATCH)
        if found:
            await self._send(found)
            await revocations.note_sent(self._db, [number for number, _ in found], now=self._db.clock.now())
        return len(found) == BATCH

    async def _send(self, found: Sequence[Numbered]) -> None:
        seconds, _ = await self._redis.time()
        oldest = (seconds - int(KEPT.total_seconds())) * 1000
        async with self._redis.pipeline(transaction=False) as pipeline:
            for _, one in found:
                pipeline.xadd(self._stream, contract.fields(one))
            pipeline.xtrim(self._stream, minid=oldest)
            pipeline.expire(self._stream, KEPT)
            await pipeline.execute()
        for kind, of_kind in groupby(sorted(one.kind for _, one in found)):
            metrics.REVOCATIONS.labels(kind).inc(len(list(of_kind)))

    async def _note_away(self, error: Exception) -> None:
        if not self._away:
            log("auth").warning("revocations.redis_away", reason=outages.explain(error).words)
        self._away = True
        oldest = await revocations.oldest_unsent(self._db)
        metrics.REVOCATIONS_AGE.set(_age(oldest, self._db.clock.now()))

    def _came_back(self) -> None:
        if self._away:
            log("auth").info("revocations.redis_back")
        self._away = False
        metrics.REVOCATIONS_AGE.set(0)


def _age(oldest: datetime | None, now: datetime) -> float:
    return (now - oldest).total_seconds() if oldest else 0.0


@asynccontextmanager
async def opened(db: Database, redis_url: str, issuer: str) -> AsyncIterator[Publisher]:
    redis = Redis.from_url(
        redis_url,
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        yield Publisher(db, redis, issuer)
    finally:
        await redis.aclose()
