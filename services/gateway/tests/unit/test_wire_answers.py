"""How answers leave: whole ones in one write, others as uvicorn sends them; and how long a connection is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from orderhub_chassis import http, wire

REQUEST = b"GET /%s HTTP/1.1\r\nhost: x\r\n\r\n"
HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"2")]
KEPT = 0.2


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] == "/slow":
        await asyncio.sleep(2 * KEPT)
    headers = HEADERS if scope["path"] != "/unmeasured" else HEADERS[:1]
    if scope["path"] == "/forged":
        headers = [*HEADERS, (b"x", b"a\r\nset-cookie: b")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if scope["path"] == "/pieces":
        await send({"type": "http.response.body", "body": b"o", "more_body": True})
        await send({"type": "http.response.body", "body": b"k"})
    else:
        await send({"type": "http.response.body", "body": b"ok"})


@asynccontextmanager
async def connection() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    options: dict[str, Any] = {"limits": wire.Limits(1000, 5000), "timeout_keep_alive": KEPT}
    async with http.serve(app, host="127.0.0.1", port=0, **options) as port, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        yield reader, writer
        writer.close()


async def answered(reader: asyncio.StreamReader, ending: bytes = b"\r\n\r\nok") -> bytes:
    return await reader.readuntil(ending)


async def test_a_connection_is_kept_for_its_time_after_each_answer() -> None:
    loop = asyncio.get_running_loop()
    async with connection() as (reader, writer):
        for path in (b"", b"slow", b""):
            writer.write(REQUEST % path)
            assert (await answered(reader)).startswith(b"HTTP/1.1 200 OK\r\ndate: ")
        since = loop.time()
        assert await reader.read() == b""
        assert loop.time() - since > KEPT / 2


async def test_answers_in_pieces_and_of_unknown_length_arrive() -> None:
    async with connection() as (reader, writer):
        writer.write(REQUEST % b"pieces" + REQUEST % b"unmeasured" + REQUEST % b"")
        assert b"content-length: 2\r\n" in await answered(reader)
        assert b"transfer-encoding: chunked\r\n" in await answered(reader, b"\r\n\r\n2\r\nok\r\n0\r\n\r\n")
        assert b"content-length: 2\r\n" in await answered(reader)


async def test_a_header_cannot_begin_another_one() -> None:
    async with connection() as (reader, writer):
        writer.write(REQUEST % b"forged")
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 500 ")
        assert b"set-cookie" not in answer
