"""Opens, wires and closes the gateway; the only room that knows all the others."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from orderhub_chassis import http, outages, starting, steady, tasks, wire
from orderhub_chassis.calls import InternalTokens
from orderhub_chassis.clock import Clock
from orderhub_chassis.cursors import Cursors
from orderhub_chassis.health import Readiness
from orderhub_chassis.service import Surroundings, tell_of_death
from redis.exceptions import RedisError

from orderhub_gateway import clients, revocation_feed, routing, verifier
from orderhub_gateway.api_keys import ApiKeys
from orderhub_gateway.calling import Parts
from orderhub_gateway.direct import Direct
from orderhub_gateway.edge import Edge
from orderhub_gateway.limits import Limiter
from orderhub_gateway.maintenance import Maintenance
from orderhub_gateway.published import Published
from orderhub_gateway.readiness import GatedReadiness
from orderhub_gateway.revocations import Revocations
from orderhub_gateway.settings import Settings

KEEP_ALIVE_SECONDS = 75
COMPARE_SECONDS = 5.0
KEYS_CHANGED = "keys:auth"
"""The hint that auth gives when its signing keys have changed."""


@dataclass(frozen=True, slots=True)
class Service:
    """The running gateway; `port` is the one that was really bound. `failed` raises what a task beside the serving died of."""

    readiness: Readiness
    port: int
    drain_delay: timedelta
    failed: asyncio.Future[None]

    async def drain(self) -> None:
        """Say at /readyz and to kept connections that this one stops, and serve on until they went elsewhere."""
        self.readiness.drain()
        await asyncio.sleep(self.drain_delay.total_seconds())


@asynccontextmanager
async def build(settings: Settings, around: Surroundings) -> AsyncIterator[Service]:
    """Raises PortTaken when somebody else listens on the port. Serves, and is not ready, until Redis can be asked."""
    readiness = GatedReadiness(settings.ready_file)
    tokens = InternalTokens(settings.internal_key.get_secret_value(), around.clock)
    async with AsyncExitStack() as stack:
        peers = await stack.enter_async_context(clients.connect(settings, tokens, readiness.note))
        redis_url = settings.redis_url.get_secret_value()
        limiter = Limiter(redis_url)
        stack.push_async_callback(limiter.close)
        published = Published(peers.jwks, around.clock, 2 * settings.own_keys_refresh.total_seconds())
        rotated = around.hints.subscribe(KEYS_CHANGED)
        stack.callback(around.hints.unsubscribe, rotated)
        revoked = _revocations(settings)
        reading = revocation_feed.opened(redis_url, settings.public_url, revoked, readiness, around.clock)
        feed = await stack.enter_async_context(reading)
        opening = verifier.opened(
            settings, around.clock, published.fetch, readiness, revoked, rotated=rotated
        )
        access = await stack.enter_async_context(opening)
        maintenance = Maintenance(redis_url, readiness.note)
        stack.push_async_callback(maintenance.close)
        with contextlib.suppress(RedisError, OSError):
            await maintenance.load()
        parts = Parts(settings, peers, limiter, maintenance, readiness, access, published, around.clock)
        app = routing.application(parts)
        app.state.cursors = Cursors(settings.cursor_key.get_secret_value().encode())
        readiness.unready("redis", "not asked yet")
        keys = ApiKeys(peers.resolve_api_keys, around.clock)
        edge = Edge(Direct(app), settings, access, keys, limiter, maintenance, readiness)
        port = await stack.enter_async_context(_serve(edge, settings))
        failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for work in (
            _until_redis_answers(readiness, redis_url, limiter, maintenance),
            _keep_time(around.clock, limiter),
            maintenance.watch(),
            feed.run(),
            feed.count(),
        ):
            await stack.enter_async_context(_beside(work, failed))
        readiness.opened = True
        try:
            yield Service(readiness, port, settings.drain_delay, failed)
        finally:
            readiness.opened = False


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None], failed: asyncio.Future[None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    task.add_done_callback(partial(tell_of_death, failed, "gateway"))
    try:
        yield
    finally:
        await tasks.end(task)


def _revocations(settings: Settings) -> Revocations:
    keep = settings.revocations_keep.total_seconds()
    return Revocations(keep, all_critical=settings.revocations_critical == "all")


async def _until_redis_answers(
    readiness: Readiness, url: str, limiter: Limiter, maintenance: Maintenance
) -> None:
    """Beside the serving: most routes do without Redis, whoever starts while it is away must not close them."""

    async def reach() -> None:
        """Ready is who has seen the switch: a replica that starts during maintenance lets nothing through."""
        await limiter.reach()
        await maintenance.load()

    await starting.until_there(readiness, "redis", outages.place(url), reach, waits_for=(RedisError, OSError))


async def _keep_time(clock: Clock, limiter: Limiter) -> None:
    """The gateway has no database whose clock it could go by."""
    while True:
        with contextlib.suppress(RedisError, OSError):
            await steady.compare(clock, limiter.time)
        await asyncio.sleep(COMPARE_SECONDS)


def _serve(edge: Edge, settings: Settings) -> AbstractAsyncContextManager[int]:
    return http.serve(
        edge,
        host=settings.host,
        port=settings.port,
        grace=settings.shutdown_grace.total_seconds(),
        limits=wire.Limits(
            settings.target_limit, settings.headers_limit, settings.head_limit.total_seconds()
        ),
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        # uvicorn would believe X-Forwarded-For of anybody on this machine; whom to believe is a setting of ours.
        proxy_headers=False,
    )
