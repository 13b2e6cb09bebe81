"""Opens, wires and closes the gateway; the only room that knows all the others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from orderhub_chassis import http, wire
from orderhub_chassis.calls import InternalTokens
from orderhub_chassis.cursors import Cursors
from orderhub_chassis.health import Readiness
from orderhub_chassis.service import Surroundings

from orderhub_gateway import clients, routing, verifier
from orderhub_gateway.direct import Direct
from orderhub_gateway.edge import Edge
from orderhub_gateway.limits import Limiter
from orderhub_gateway.readiness import GatedReadiness
from orderhub_gateway.settings import Settings

KEEP_ALIVE_SECONDS = 75


@dataclass(frozen=True, slots=True)
class Service:
    """The running gateway; `port` is the one that was really bound."""

    readiness: Readiness
    port: int


@asynccontextmanager
async def build(settings: Settings, around: Surroundings) -> AsyncIterator[Service]:
    """Raises PortTaken when somebody else listens on the port."""
    readiness = GatedReadiness(settings.ready_file)
    tokens = InternalTokens(settings.internal_key.get_secret_value(), around.clock)
    async with AsyncExitStack() as stack:
        peers = await stack.enter_async_context(clients.connect(settings, tokens))
        limiter = Limiter(settings.redis_url.get_secret_value())
        stack.push_async_callback(limiter.close)
        opening = verifier.opened(settings, around.clock, peers.jwks, readiness)
        access = await stack.enter_async_context(opening)
        app = routing.application(settings, peers, limiter, readiness, access)
        app.state.cursors = Cursors(settings.cursor_key.get_secret_value().encode())
        edge = Edge(Direct(app), settings, access, limiter)
        port = await stack.enter_async_context(_serve(edge, settings))
        readiness.opened = True
        try:
            yield Service(readiness, port)
        finally:
            readiness.opened = False


def _serve(edge: Edge, settings: Settings) -> AbstractAsyncContextManager[int]:
    return http.serve(
        edge,
        host=settings.host,
        port=settings.port,
        grace=settings.shutdown_grace.total_seconds(),
        limits=wire.Limits(settings.target_limit, settings.headers_limit),
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        # uvicorn would believe X-Forwarded-For of anybody on this machine; whom to believe is a setting of ours.
        proxy_headers=False,
    )
