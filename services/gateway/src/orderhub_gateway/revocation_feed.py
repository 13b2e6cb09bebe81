"""Keeps the list of revoked tokens: reads auth's stream in Redis from its beginning, and then waits for what is new.

A stream is read from a position, so nothing is missed between two reads or while the connection is lost. The lease that
auth holds says whether Redis has everything; one that lost its data, or came back from an older state, has none of
this server. Every half minute the whole is read again: what is there twice does no harm.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from orderhub_chassis import outages
from orderhub_chassis.clock import Clock
from orderhub_chassis.telemetry import log
from orderhub_contracts import revocations as contract
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from orderhub_gateway import metrics
from orderhub_gateway.readiness import GatedReadiness
from orderhub_gateway.revocations import SILENCE, Revocations

PART: Final = "revocations"
BLOCK_MS: Final = 500
WHOLE_SECONDS: Final = 30.0
CHUNK: Final = 500
"""Entries that are decoded at once, in about 10 ms: requests wait meanwhile."""
PAUSE_SECONDS: Final = 0.1
TICK_SECONDS: Final = 0.25
ANSWER_SECONDS: Final = 1.0


class Incomplete(Exception):
    """Redis answers, and auth has not written to it, or not since it lost its data."""


class Feed:
    """One per gateway."""

    def __init__(
        self, redis: Redis, issuer: str, revocations: Revocations, readiness: GatedReadiness, clock: Clock
    ) -> None:
        self._redis = redis
        self._stream, self._lease = contract.stream_of(issuer), contract.lease_of(issuer)
        self._revocations = revocations
        self._readiness = readiness
        self._clock = clock
        self._lost = ""
        self._loaded = False

    async def run(self) -> None:
        while True:
            try:
                await self._follow()
                self._revocations.forget(self._clock.now().timestamp())
            except Incomplete as reason:
                self._note_lost(str(reason))
                await asyncio.sleep(PAUSE_SECONDS)
            except (RedisError, OSError, TimeoutError) as error:
                self._note_lost(outages.explain(error).words)
                await asyncio.sleep(PAUSE_SECONDS)

    async def count(self) -> None:
        """How old the list is, in time that this loop was awake."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self._revocations.grow_older(TICK_SECONDS)

    async def _follow(self) -> None:
        """From the beginning, and on for a while. Raises Incomplete, and what Redis' client raises."""
        last, until, block = b"0-0", time.monotonic() + WHOLE_SECONDS, None
        while time.monotonic() < until:
            await self._check_lease()
            found: Any = await self._redis.xread({self._stream: last}, count=CHUNK, block=block)
            entries = found[0][1] if found else []
            self._revocations.add(filter(None, (contract.revocation(fields) for _, fields in entries)))
            last = entries[-1][0] if entries else last
            if len(entries) < CHUNK:
                self._confirm()
                block = BLOCK_MS

    async def _check_lease(self) -> None:
        held: Any = await self._redis.get(self._lease)
        server = contract.server_of(await self._redis.info("server"))
        if held is None or held.decode() != server:
            raise Incomplete("auth has not written to this Redis what is revoked")

    def _confirm(self) -> None:
        self._revocations.confirm()
        if not self._loaded or self._lost:
            self._loaded, self._lost = True, ""
            metrics.REVOCATIONS_KNOWN.set(1)
            log("gateway").info("revocations.known", count=len(self._revocations))
            self._readiness.ready(PART)
            self._readiness.note(PART, "")

    def _note_lost(self, reason: str) -> None:
        if not self._loaded:
            self._readiness.unready(PART, f"which tokens are revoked is not known yet: {reason}")
        if self._revocations.age <= SILENCE or self._lost == reason:
            return
        self._lost = reason
        metrics.REVOCATIONS_KNOWN.set(0)
        log("gateway").warning("revocations.unknown", reason=reason)
        self._readiness.note(PART, f"which tokens are revoked is not known: {reason}")


@asynccontextmanager
async def opened(
    redis_url: str, issuer: str, revocations: Revocations, readiness: GatedReadiness, clock: Clock
) -> AsyncIterator[Feed]:
    readiness.unready(PART, "which tokens are revoked is not known yet")
    redis = Redis.from_url(
        redis_url,
        socket_timeout=ANSWER_SECONDS + BLOCK_MS / 1000,
        socket_connect_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        yield Feed(redis, issuer, revocations, readiness, clock)
    finally:
        await redis.aclose()
