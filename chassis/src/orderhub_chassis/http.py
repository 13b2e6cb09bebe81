"""The small HTTP side of every service: /livez, /readyz and /metrics, and uvicorn inside a running loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

import msgspec
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from orderhub_chassis.health import Readiness

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class PortTaken(Exception):
    """Somebody else listens on the port; the message is one line."""


def health_app(service: str, readiness: Readiness) -> App:
    """An ASGI app that answers the three probes and nothing else."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        status, body, content_type = _probe(service, readiness, scope["path"])
        headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    return app


def _probe(service: str, readiness: Readiness, path: str) -> tuple[int, bytes, str]:
    match path:
        case "/livez":
            return 200, b'{"status":"alive"}', "application/json"
        case "/readyz":
            body = {"service": service, "ready": readiness.ok, "reasons": readiness.report()}
            return (200 if readiness.ok else 503), msgspec.json.encode(body), "application/json"
        case "/metrics":
            return 200, generate_latest(), CONTENT_TYPE_LATEST
        case _:
            return 404, b'{"title":"Not Found","status":404}', "application/problem+json"


@contextlib.asynccontextmanager
async def serve(
    app: Any, *, host: str, port: int, grace: float = 10, protocol: Any = "httptools", **options: Any
) -> AsyncIterator[int]:
    """Serve an ASGI app until the block ends: then stop accepting, finish what is under way, return.

    Yields the bound port. Raises PortTaken when it is in use. `protocol` is uvicorn's name of one, or what makes one.
    """
    listener = _listen(host, port)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", loop="none", http=protocol, ws="none",
        timeout_graceful_shutdown=int(grace), server_header=False, date_header=True, **options,
    )  # fmt: skip
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            if task.done():
                task.result()
            await asyncio.sleep(0.005)
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task
        listener.close()


def family_of(host: str) -> int:
    """IPv6 for an address with colons; IPv4 for all others and for names."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _listen(host: str, port: int) -> socket.socket:
    try:
        return _bound(host, port)
    except OSError as error:
        raise PortTaken(f"port {port} on {host} cannot be used: {error.strerror}") from error


def _bound(host: str, port: int) -> socket.socket:
    # Named, so that every loop sees that it is TCP and turns Nagle's delay off: 44 ms a lone call otherwise.
    listener = socket.socket(family_of(host), socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the runner owns the signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield
