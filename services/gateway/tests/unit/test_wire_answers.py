"""How answers leave: whole ones in one write, others as uvicorn sends them; and how long a connection is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from orderhub_chassis import http, wire

REQUEST = b"GET /%s HTTP/1.1\r\nhost: x\r\n\r\n"
HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"2")]
KEPT = 60
Later = Callable[[float], Awaitable[None]]


async def app(scope: Any, receive: Any, send: Any) -> None:
    headers = HEADERS if scope["path"] != "/unmeasured" else HEADERS[:1]
    if scope["path"] == "/forged":
        headers = [*HEADERS, (b"x", b"a\r\nset-cookie: b")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if scope["path"] == "/pieces":
        await send({"type": "http.response.body", "body": b"o", "more_body": True})
        await send({"type": "http.response.body", "body": b"k"})
    else:
        await send({"type": "http.response.body", "body": b"ok"})


async def at_once(seconds: float) -> None:
    """A slow answer is none."""


@asynccontextmanager
async def connection(
    later: Later = at_once,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async def slow_app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/slow":
            await later(2 * KEPT)
        await app(scope, receive, send)

    options: dict[str, Any] = {"limits": wire.Limits(1000, 5000), "timeout_keep_alive": KEPT}
    async with http.serve(slow_app, host="127.0.0.1", port=0, **options) as port, asyncio.timeout(5 * KEPT):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        yield reader, writer
        writer.close()


async def answered(reader: asyncio.StreamReader, ending: bytes = b"\r\n\r\nok") -> bytes:
    return await reader.readuntil(ending)


@pytest.fixture
async def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    """`await later(seconds)`: so much later by the loop's clock, when all that was due by then is done."""
    loop, ahead = asyncio.get_running_loop(), [0.0]
    machine = loop.time
    monkeypatch.setattr(loop, "time", lambda: machine() + sum(ahead))

    async def later(seconds: float) -> None:
        ahead.append(seconds)
        done = loop.create_future()
        # Timers fire in the order of their times, and this one is the last of those that are due.
        loop.call_later(0, done.set_result, None)
        await done

    return later


async def test_a_connection_is_kept_for_its_time_after_each_answer(later: Later) -> None:
    async with connection(later) as (reader, writer):
        for path, rest in ((b"", 0), (b"slow", 0.6), (b"", 0.6), (b"", 1)):
            writer.write(REQUEST % path)
            assert (await answered(reader)).startswith(b"HTTP/1.1 200 OK\r\ndate: ")
            await later(rest * KEPT)
        assert await reader.read() == b""


async def test_a_head_has_no_body_though_the_app_sends_one() -> None:
    async with connection() as (reader, writer):
        writer.write(REQUEST.replace(b"GET", b"HEAD") % b"" + REQUEST % b"")
        assert (await answered(reader, b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
        assert (await answered(reader)).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_answers_in_pieces_and_of_unknown_length_arrive() -> None:
    async with connection() as (reader, writer):
        writer.write(REQUEST % b"pieces" + REQUEST % b"unmeasured" + REQUEST % b"")
        assert b"content-length: 2\r\n" in await answered(reader)
        assert b"transfer-encoding: chunked\r\n" in await answered(reader, b"\r\n\r\n2\r\nok\r\n0\r\n\r\n")
        assert b"content-length: 2\r\n" in await answered(reader)


async def test_a_header_cannot_begin_another_one_and_the_connection_ends_with_it() -> None:
    async with connection() as (reader, writer):
        writer.write(REQUEST % b"forged")
        async with asyncio.timeout(KEPT / 2):
            answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 500 ")
        assert answer.count(b"connection: close\r\n") == 1
        assert b"set-cookie" not in answer
