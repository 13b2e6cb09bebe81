"""Clients that take their time: a head in drops, a body that nobody waits for, an answer that is not read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from orderhub_chassis import http, wire

HEAD_SECONDS, KEPT = 10.0, 75.0
GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
LARGE = b"x" * 8_000_000
Later = Callable[[float], Awaitable[None]]


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Refused is answered as the gateway does; a POST is answered without a look at its body."""
    status, body = 200, b"ok"
    if refused := wire.refusal(scope):
        status, body = refused.status, refused.code.encode()
    if scope["path"] == "/large":
        body = LARGE
    if scope["path"] == "/reads":
        while (await receive()).get("more_body"):
            pass
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    limits = wire.Limits(head_seconds=HEAD_SECONDS)
    async with http.serve(
        app, host="127.0.0.1", port=0, grace=0, limits=limits, timeout_keep_alive=KEPT
    ) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`await later(seconds)`: the loop's clock is so far ahead, and what was due has happened."""
    ahead: list[float] = []
    begun: list[Any] = []

    async def move(seconds: float) -> None:
        loop = asyncio.get_running_loop()
        if not begun:
            begun.append(machine := loop.time)
            monkeypatch.setattr(loop, "time", lambda: machine() + sum(ahead))
        ahead.append(seconds)
        await turns()

    return move


async def turns() -> None:
    """Both sides are on this loop: what is due, or has been sent, is taken in one turn, and answered in the next."""
    for _ in range(8):
        await asyncio.sleep(0)


async def sent(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()
    await turns()


async def answered(reader: asyncio.StreamReader, end: bytes = b"ok") -> bytes:
    async with asyncio.timeout(20):
        return await reader.readuntil(end)


async def rest(reader: asyncio.StreamReader) -> bytes:
    """All until the server ends the connection; a reset is an end, too."""
    async with asyncio.timeout(20):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


async def test_a_head_in_drops_is_408_whatever_it_begins_with(later: Later) -> None:
    for begin, more in (
        (b"G", b"E"), (b"GET /", b"a"), (b"GET / HTTP/1.1\r\n", b"h"), (b"GET / HTTP/1.1\r\nX-A: b", b"c"),
    ):  # fmt: skip
        async with connected() as (reader, writer):
            await sent(writer, begin)
            await later(HEAD_SECONDS / 2)
            await sent(writer, more)
            assert not reader.at_eof()
            await later(HEAD_SECONDS / 2 + 0.1)
            answer = await rest(reader)
            assert answer.startswith(b"HTTP/1.1 408 "), begin
            assert answer.endswith(b"request.too_slow")
            assert b"connection: close" in answer


async def test_a_drop_every_second_gains_no_time(later: Later) -> None:
    async with connected() as (reader, writer):
        await sent(writer, b"GET / HTTP/1.1\r\n")
        for number in range(11):
            await sent(writer, b"X-%d: a\r\n" % number)
            await later(1)
        assert (await rest(reader)).startswith(b"HTTP/1.1 408 ")


async def test_who_connects_and_says_nothing_is_let_go(later: Later) -> None:
    async with connected() as (reader, _):
        await turns()
        await later(HEAD_SECONDS + 0.1)
        assert await rest(reader) == b""


async def test_empty_lines_before_a_request_gain_no_time(later: Later) -> None:
    async with connected() as (reader, writer):
        for _ in range(11):
            await sent(writer, b"\r\n")
            await later(1)
        assert await rest(reader) == b""


async def test_empty_lines_after_a_request_do_not_keep_the_connection(later: Later) -> None:
    async with connected() as (reader, writer):
        await sent(writer, GET)
        await answered(reader)
        for _ in range(8):
            await sent(writer, b"\r\n")
            await later(KEPT / 8 + 0.1)
        assert await rest(reader) == b""


async def test_the_second_head_has_as_much_time_as_the_first(later: Later) -> None:
    async with connected() as (reader, writer):
        await sent(writer, GET)
        await answered(reader)
        await later(HEAD_SECONDS * 3)
        await sent(writer, GET[:5])
        await later(HEAD_SECONDS - 1)
        await sent(writer, GET[5:])
        await answered(reader)
        await sent(writer, GET[:5])
        await later(HEAD_SECONDS + 0.1)
        assert (await rest(reader)).startswith(b"HTTP/1.1 408 ")


async def test_a_slow_body_is_its_requests_own_business(later: Later) -> None:
    async with connected() as (reader, writer):
        await sent(writer, b"POST /reads HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\n")
        for drop in (b"a", b"b", b"c"):
            await later(HEAD_SECONDS * 2)
            await sent(writer, drop)
        await answered(reader)


async def test_the_rest_of_a_body_that_nobody_waits_for_ends_the_connection(later: Later) -> None:
    async with connected() as (reader, writer):
        await sent(writer, b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\na")
        await answered(reader)
        for _ in range(11):
            await sent(writer, b"a")
            await later(1)
        assert await rest(reader) == b""


async def test_the_rest_of_a_body_that_comes_in_time_leaves_the_connection(later: Later) -> None:
    async with connected() as (reader, writer):
        await sent(writer, b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\na")
        await answered(reader)
        await sent(writer, b"bc")
        await later(HEAD_SECONDS * 2)
        await sent(writer, GET)
        await answered(reader)


async def test_an_answer_that_is_not_read_is_thrown_away_with_its_connection(later: Later) -> None:
    async with connected() as (reader, writer):
        await sent(writer, b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n")
        await later(KEPT + 0.1)
        received = await rest(reader)
        assert len(received) < len(LARGE), "the server did not wait for all of it to be read"


async def test_an_answer_waits_only_so_long_for_the_one_before_it_to_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wire, "READ_SECONDS", 0.05)
    given_up, until_read = asyncio.Event(), wire.Cycle._until_read

    async def noted(cycle: wire.Cycle) -> None:
        await until_read(cycle)
        given_up.set()

    monkeypatch.setattr(wire.Cycle, "_until_read", noted)
    async with connected() as (reader, writer):
        await sent(writer, b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n" * 3)
        async with asyncio.timeout(20):
            await given_up.wait()
        assert len(await rest(reader)) < 2 * len(LARGE)
