"""HTTP/1.1 over kept connections, one request at a time on each: the least that a load generator needs.

A client library takes a whole core for 3,000 requests/s; this one takes a fifth of one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any
from urllib.parse import urlsplit

import httptools
import msgspec


class Broken(Exception):
    """The connection ended before the answer was there; whether the request was done is not known."""


@dataclass(slots=True)
class Reply:
    """`headers` in lower case."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes = b""

    def json(self) -> Any:
        return msgspec.json.decode(self.content)

    @property
    def code(self) -> str:
        """The problem's stable code, empty where there is none."""
        with contextlib.suppress(msgspec.DecodeError, AttributeError):
            return str(self.json().get("code", ""))
        return ""

    @property
    def retry_after(self) -> float:
        """Seconds to wait, 0 where the answer says nothing."""
        with contextlib.suppress(ValueError):
            return float(self.headers.get("retry-after", "0"))
        return 0.0


class _Wire(asyncio.Protocol):
    """httptools calls back per part of the answer; `answer` is set when it is complete."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.answer: asyncio.Future[Reply] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._reply = Reply()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(str(error))

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(str(exc or "closed by the other side"))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._reply.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._reply.content += body

    def on_message_complete(self) -> None:
        reply, self._reply = self._reply, Reply()
        reply.status = self._parser.get_status_code()
        if self.answer is not None and not self.answer.done():
            self.answer.set_result(reply)
        if not self._parser.should_keep_alive():
            self._fail("the other side closes")

    def _fail(self, reason: str) -> None:
        if self.transport is not None:
            self.transport.abort()
            self.transport = None
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(Broken(reason))


class Connection:
    """Opens when it is first used and again after it broke: at the next of the gateways, where there are several."""

    def __init__(self, *urls: str, timeout: float = 30.0) -> None:
        parts = [urlsplit(url) for url in urls]
        self._addresses = cycle([(part.hostname or "", part.port or 80) for part in parts])
        self._timeout = timeout
        self._wire: _Wire | None = None

    async def send(self, request: bytes) -> Reply:
        """Raises Broken (also when nobody listens or the answer takes too long)."""
        wire = await self._open()
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        wire.answer = answer
        assert wire.transport is not None
        wire.transport.write(request)
        try:
            async with asyncio.timeout(self._timeout):
                return await answer
        except TimeoutError:
            self.close()
            raise Broken(f"no answer within {self._timeout:.0f} s") from None

    async def _open(self) -> _Wire:
        if self._wire is None or self._wire.transport is None:
            loop, (host, port) = asyncio.get_running_loop(), next(self._addresses)
            try:
                async with asyncio.timeout(5):
                    _, self._wire = await loop.create_connection(_Wire, host, port)
            except (OSError, TimeoutError) as error:
                raise Broken(f"cannot connect: {error}") from error
        return self._wire

    def close(self) -> None:
        if self._wire is not None and self._wire.transport is not None:
            self._wire.transport.abort()
        self._wire = None


def request(
    method: str,
    path: str,
    host: str,
    token: str = "",
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """The bytes of a request with a JSON body."""
    lines = [f"{method} /api/v1/{path} HTTP/1.1", f"host: {host}"]
    if token:
        lines.append(f"authorization: Bearer {token}")
    if body or method == "POST":
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "\r\n"]).encode() + body


class Connections:
    """Some connections that tasks take and give back."""

    def __init__(self, urls: Sequence[str], count: int) -> None:
        self._free: asyncio.Queue[Connection] = asyncio.Queue()
        self._all = [Connection(*urls[i % len(urls) :], *urls[: i % len(urls)]) for i in range(count)]
        for connection in self._all:
            self._free.put_nowait(connection)

    async def send(self, request: bytes) -> Reply:
        """Raises Broken."""
        connection = await self._free.get()
        try:
            return await connection.send(request)
        finally:
            self._free.put_nowait(connection)

    def close(self) -> None:
        for connection in self._all:
            connection.close()
