"""What is taken for an answer of the provider, and what is not: over HTTP, from a server that says anything."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from orderhub_chassis.clock import SystemClock
from orderhub_chassis.errors import Unavailable
from orderhub_payments.clients.simulator import Simulator, simulator
from orderhub_payments.model import (
    Authorize,
    Authorized,
    Capture,
    Captured,
    Declined,
    Operation,
    PayBack,
    Refunded,
    Rejected,
    Result,
    Transient,
    Unknown,
    Void,
    Voided,
)

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
AUTHORIZE = Authorize("k1", 5000, "EUR", "tok_ok", "order")
CAPTURE, VOID = Capture("k2", "ref", 5000), Void("k3", "ref")
REFUND = PayBack("k4", "ref", 2000, "refund")


@asynccontextmanager
async def provider(handler: Handler, timeout: timedelta = timedelta(seconds=10)) -> AsyncIterator[Simulator]:
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with simulator(f"http://127.0.0.1:{port}", "k" * 16, timeout=timeout, parallel=1) as adapter:
        yield adapter
    server.close()
    await server.wait_closed()


def saying(status: int, body: bytes) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    return handle


async def _request(reader: asyncio.StreamReader) -> None:
    """The whole of it: what follows comes after the provider has all that it needs to act."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    await reader.readexactly(int(head.partition("content-length:")[2].partition("\r\n")[0] or 0))


def slots(*found: tuple[int, dict[str, Any]]) -> bytes:
    return json.dumps({"results": [{"http_status": status, "body": body} for status, body in found]}).encode()


def refused(code: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": "no"}}


def body(status: str, **over: Any) -> dict[str, Any]:
    return {"id": "ref", "status": status, "currency": "EUR", "amount_minor": 5000, **over}


async def answers(operation: Operation, handler: Handler) -> Result:
    async with provider(handler) as adapter:
        (result,) = await adapter.execute([operation])
        return result


CLEAR: list[tuple[Operation, int, dict[str, Any], Result]] = [
    (AUTHORIZE, 200, body("authorized"), Authorized("ref")),
    (AUTHORIZE, 200, body("captured"), Authorized("ref")),
    (AUTHORIZE, 200, body("voided"), Authorized("ref")),
    (AUTHORIZE, 200, body("declined", decline_code="insufficient_funds"), Declined("ref", "insufficient_funds")),
    (AUTHORIZE, 200, body("declined"), Declined("ref", "declined")),
    (AUTHORIZE, 404, refused("unknown_token"), Rejected("unknown_token")),
    (CAPTURE, 200, body("captured", captured_minor=5000), Captured()),
    (CAPTURE, 409, refused("already_voided"), Rejected("already_voided")),
    (VOID, 200, body("voided"), Voided()),
    (VOID, 409, refused("already_voided"), Voided()),
    (VOID, 409, refused("already_captured"), Rejected("already_captured")),
    (REFUND, 200, body("captured", refunded_minor=2000), Refunded()),
    (REFUND, 200, body("captured", refunded_minor=3000), Refunded()),
    (REFUND, 422, refused("too_much"), Rejected("too_much")),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "status", "said", "result"), CLEAR)
async def test_a_clear_answer_is_definite(
    operation: Operation, status: int, said: dict[str, Any], result: Result
) -> None:
    assert await answers(operation, saying(200, slots((status, said)))) == result


@pytest.mark.parametrize("code", ["temporarily_unavailable", "internal_error", "rate_limited"])
@pytest.mark.parametrize("status", [409, 429, 500, 503])
async def test_a_code_that_says_that_nothing_was_done_is_transient(status: int, code: str) -> None:
    assert await answers(CAPTURE, saying(200, slots((status, refused(code))))) == Transient(code)


NONSENSE: list[tuple[Operation, int, dict[str, Any]]] = [
    (AUTHORIZE, 200, body("authorized", amount_minor=4999)),
    (AUTHORIZE, 200, body("authorized", currency="USD")),
    (AUTHORIZE, 200, body("authorized", id="")),
    (AUTHORIZE, 200, body("pending")),
    (CAPTURE, 200, body("captured", captured_minor=4999)),
    (CAPTURE, 200, body("captured", captured_minor=5000, id="another")),
    (CAPTURE, 200, body("authorized")),
    (VOID, 200, body("voided", id="another")),
    (VOID, 200, body("authorized")),
    (REFUND, 200, body("captured", refunded_minor=1999)),
    (REFUND, 200, body("captured", refunded_minor=2000, id="another")),
    (CAPTURE, 500, refused("boom")),
    (CAPTURE, 502, {}),
    (CAPTURE, 408, refused("too_slow")),
    (CAPTURE, 429, refused("busy")),
]


@pytest.mark.parametrize(("operation", "status", "said"), NONSENSE)
async def test_an_answer_that_does_not_say_what_was_asked_is_never_taken_for_definite(
    operation: Operation, status: int, said: dict[str, Any]
) -> None:
    result = await answers(operation, saying(200, slots((status, said))))
    assert isinstance(result, Unknown)
    assert not result.away


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"<html>",
        b'{"results": 1}',
        b'{"results": [{"http_status": 200, "body": {"id": "\xff"}}]}',
        slots(),
        slots((200, body("captured")), (200, body("captured"))),
    ],
    ids=["empty", "html", "no-list", "no-text", "too-few", "too-many"],
)
async def test_an_answer_that_cannot_be_read_leaves_every_operation_unknown(said: bytes) -> None:
    async with provider(saying(200, said)) as adapter:
        results = await adapter.execute([CAPTURE, VOID, REFUND])
    assert [(type(r), r.away) for r in results if isinstance(r, Unknown)] == [(Unknown, False)] * 3


@pytest.mark.parametrize("said", [b"", b"<html>", b'{"items": 1}', b'{"id": "\xff"}', b'{"items": ["\xff"]}'])
async def test_a_look_that_cannot_be_read_is_unavailable(said: bytes) -> None:
    async with provider(saying(200, said)) as adapter:
        with pytest.raises(Unavailable, match="unreadable"):
            [page async for page in adapter.listing(SystemClock().now())]
    async with provider(saying(200, said.replace(b"items", b"id"))) as adapter:
        with pytest.raises(Unavailable, match="unreadable"):
            await adapter.find("ref")


@pytest.mark.parametrize("status", [301, 404, 413, 429, 500, 502, 503])
async def test_a_refusal_of_the_whole_call_leaves_every_operation_unknown(status: int) -> None:
    async with provider(saying(status, slots((200, body("captured"))))) as adapter:
        results = await adapter.execute([CAPTURE, CAPTURE])
    assert results == [Unknown(f"the provider answered {status}", away=True)] * 2


@pytest.mark.parametrize("status", [401, 403])
async def test_a_look_with_a_key_that_is_refused_says_which_setting_it_is(status: int) -> None:
    async with provider(saying(status, b"")) as adapter:
        with pytest.raises(Unavailable, match="look at ORDERHUB_PAYMENTS_SIMULATOR_API_KEY"):
            await adapter.examine()


@pytest.mark.parametrize("status", [401, 403])
async def test_a_key_that_is_refused_has_done_nothing(status: int) -> None:
    result = await answers(CAPTURE, saying(status, b""))
    assert isinstance(result, Transient)
    assert result.away


async def test_a_provider_that_hangs_up_after_it_was_asked_may_have_acted() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        writer.close()

    result = await answers(CAPTURE, hang_up)
    assert isinstance(result, Unknown)
    assert result.away


async def test_a_provider_that_breaks_off_in_its_answer_may_have_acted() -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        writer.write(b'HTTP/1.1 200 X\r\nContent-Length: 500\r\n\r\n{"results": [')
        await writer.drain()
        writer.close()

    result = await answers(CAPTURE, break_off)
    assert isinstance(result, Unknown)
    assert result.away


@pytest.mark.parametrize(
    "begun", [b"", b"HTTP/1.1 200 X\r\nContent-Length: 500\r\n\r\n{"], ids=["silent", "half"]
)
async def test_a_provider_that_takes_too_long_may_have_acted(begun: bytes) -> None:
    """The time is for the whole call, so that a lease above it outlives the question."""
    over = asyncio.Event()

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        writer.write(begun)
        await over.wait()
        writer.close()

    async with provider(never, timedelta(milliseconds=50)) as adapter:
        async with asyncio.timeout(5):
            (result,) = await adapter.execute([CAPTURE])
        over.set()
    assert isinstance(result, Unknown)
    assert result.away


async def test_a_provider_that_cannot_be_reached_has_done_nothing() -> None:
    server = await asyncio.start_server(saying(200, b""), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    async with simulator(
        f"http://127.0.0.1:{port}", "k" * 16, timeout=timedelta(seconds=10), parallel=1
    ) as adapter:
        results = await adapter.execute([CAPTURE, VOID])
    assert [(type(r), r.away) for r in results if isinstance(r, Transient)] == [(Transient, True)] * 2
