"""The small HTTP side of every service: /livez, /readyz and /metrics, and uvicorn inside a running loop."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any, Final

import msgspec
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from orderhub_chassis import problems, wire
from orderhub_chassis.errors import HttpFailure
from orderhub_chassis.health import Readiness
from orderhub_chassis.wire import MethodUnknown

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


METHODS: Final = b"GET, HEAD"
LIMITS: Final = wire.Limits()


class NoSuchRoute(HttpFailure):
    status, code = 404, "request.no_such_route"

    def __init__(self) -> None:
        super().__init__("there is nothing at this address")


class PortTaken(Exception):
    """Somebody else listens on the port; the message is one line."""


def health_app(service: str, readiness: Readiness) -> App:
    """An ASGI app that answers the three probes and nothing else."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            status, body, content_type = _probe(service, readiness, _readable(scope))
        except HttpFailure as failure:
            body = problems.encoded(failure.status, failure.code, failure.detail)
            status, content_type = failure.status, problems.MEDIA_TYPE
        headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
        if status == MethodUnknown.status:
            headers.append((b"allow", METHODS))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    return app


def _readable(scope: Scope) -> str:
    """The path that is asked for."""
    if refused := wire.refusal(scope):
        raise refused
    if scope["method"].encode() not in METHODS.split(b", "):
        raise MethodUnknown
    return str(scope["path"])


def _probe(service: str, readiness: Readiness, path: str) -> tuple[int, bytes, bytes]:
    match path:
        case "/livez":
            return 200, b'{"status":"alive"}', b"application/json"
        case "/readyz":
            body = {"service": service, "ready": readiness.ok, "reasons": readiness.report()}
            return (200 if readiness.ok else 503), msgspec.json.encode(body), b"application/json"
        case "/metrics":
            return 200, generate_latest(), CONTENT_TYPE_LATEST.encode()
        case _:
            raise NoSuchRoute


@contextlib.asynccontextmanager
async def serve(
    app: Any,
    *,
    host: str,
    port: int,
    grace: float = 10,
    limits: wire.Limits = LIMITS,
    **options: Any,
) -> AsyncIterator[int]:
    """Serve an ASGI app until the block ends: then stop accepting, finish what is under way, return.

    Yields the bound port. Raises PortTaken when it is in use. The app asks `wire.refusal` of a scope, and again after
    each piece of a body, for what could not be read.
    """
    listener = _listen(host, port)
    protocol: Any = functools.partial(wire.Protocol, limits=limits)
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
