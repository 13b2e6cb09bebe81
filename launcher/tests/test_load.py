"""The load's judgement of what happened, its dice, and its wire against a gateway that misbehaves."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest
from orderhub import home
from orderhub.exits import Exit, Refused
from orderhub.load import mix, tally, wire
from orderhub.load.client import Client, GaveUp
from orderhub.load.run import Wanted
from orderhub.load.tally import Placed, Tally


def placed(id: str, kind: str, status: str, **over: object) -> Placed:
    return Placed(id=id, kind=kind, customer=0, accepted_after=0.01, status=status, **over)  # type: ignore[arg-type]


def tally_of(*orders: Placed) -> Tally:
    return Tally(placed={order.id: order for order in orders}, asked=len(orders))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("rate", -1.0),
        ("rate", float("nan")),
        ("orders", -4),
        ("customers", 0),
        ("connections", 0),
        ("wait_share", 7.0),
    ],
)
def test_a_number_that_makes_no_load_is_refused_by_its_option(option: str, value: float) -> None:
    with pytest.raises(Refused, match=f"^--{option.replace('_', '-')}: ") as refused:
        Wanted(mix.parsed("happy"), **{option: value})  # type: ignore[arg-type]
    assert refused.value.code == Exit.USAGE


# --- judgement ---


def test_orders_that_end_as_their_kind_must_are_good() -> None:
    found = tally_of(
        placed("1", "happy", "CONFIRMED"), placed("2", "declined", "REJECTED"), placed("3", "cancel", "CANCELLED"),
        placed("4", "flaky", "COMPLETED"), placed("5", "timeout", "IN_DELIVERY"),
    )  # fmt: skip
    assert found.is_good


@pytest.mark.parametrize(
    ("order", "where"),
    [
        (placed("1", "happy", ""), "missing"),
        (placed("1", "happy", "PENDING"), "unsettled"),
        (placed("1", "cancel", "CANCELLING"), "unsettled"),
        (placed("1", "happy", "REJECTED"), "astray"),
        (placed("1", "declined", "CONFIRMED"), "astray"),
        (placed("1", "cancel", "CONFIRMED"), "astray"),
    ],
)
def test_an_order_that_does_not_is_named_and_the_run_is_not_good(order: Placed, where: str) -> None:
    found = tally_of(order)
    assert getattr(found, where)() == [order]
    assert not found.is_good


def test_a_cancel_that_came_too_late_leaves_the_order_where_it_is() -> None:
    assert tally_of(placed("1", "cancel", "COMPLETED", cancel_refused=True)).is_good
    assert tally_of(placed("1", "cancel", "COMPLETED", reason="orders.too_late_to_cancel")).is_good


def test_a_refused_order_makes_a_run_bad() -> None:
    found = tally_of()
    found.refused["400 orders.unknown_product"] += 1
    assert not found.is_good


def test_percentiles_are_the_nearest_rank() -> None:
    assert tally.percentiles([]) is None
    assert tally.percentiles([3.0]) == (3.0, 3.0, 3.0)
    assert tally.percentiles(n / 100 for n in range(100)) == (0.5, 0.95, 0.99)


def test_the_table_has_a_line_per_kind_and_one_for_all() -> None:
    found = tally_of(
        placed("1", "happy", "CONFIRMED", settled_after=0.25), placed("2", "declined", "REJECTED")
    )
    assert [row[0] for row in tally.rows(found)] == ["declined", "happy", "all"]
    assert "250/250/250 ms" in tally.rows(found)[1]
    assert tally.summary(found)["states"] == {"CONFIRMED": 1, "REJECTED": 1}


# --- dice ---


def test_a_mix_has_weights() -> None:
    found = mix.parsed("happy:3, cancel")
    drawn = Counter(found.draw(random.Random(n)) for n in range(400))
    assert set(drawn) == {"happy", "cancel"}
    assert 220 < drawn["happy"] < 380


@pytest.mark.parametrize("text", ["", "sad", "happy:0", "happy:-1", "happy:x", "happy,,cancel"])
def test_a_mix_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        mix.parsed(text)


def test_a_body_pays_with_a_card_of_its_kind() -> None:
    for kind, tokens in mix.TOKENS.items():
        body = msgspec.json.decode(mix.body(kind, ["p1", "p2", "p3", "p4"], random.Random(1)))
        assert body["payment"]["token"] in tokens
        assert len({line["product_id"] for line in body["lines"]}) == len(body["lines"])


# --- wire ---


@contextlib.asynccontextmanager
async def gateway(*answers: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Gives the answers in turn, one per request; an empty one closes the connection instead."""
    seen: list[bytes] = []
    left = list(answers)
    serving: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (int(x.split(b":")[1]) for x in head.split(b"\r\n") if x.startswith(b"content-length")), 0
                )
                seen.append(head + await reader.readexactly(length))
                answer = left.pop(0)
                writer.write(answer)
                await writer.drain()
                if not answer:
                    break
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", seen
    finally:
        server.close()
        await asyncio.gather(*filter(None, serving))


def answer(status: int, body: object = None, *headers: str) -> bytes:
    content = msgspec.json.encode(body)
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(content)}", *headers]
    return "\r\n".join([*lines, "\r\n"]).encode() + content


async def sent(*urls: str, patience: float = 10.0) -> tuple[wire.Reply, Counter[str]]:
    retries: Counter[str] = Counter()
    client = Client(list(urls), ["token"], patience=patience, retries=retries)
    connection = wire.Connection(*urls)
    try:
        return await client.definite(connection.send, client.placing(0, b"{}", wait=0)), retries
    finally:
        connection.close()


async def test_one_connection_carries_request_after_request() -> None:
    async with gateway(answer(200, {"n": 1}), answer(404, {"code": "not_found"})) as (url, seen):
        connection = wire.Connection(url)
        first = await connection.send(wire.request("GET", "orders", "host", "token"))
        second = await connection.send(wire.request("POST", "orders", "host", body=b"{}"))
        connection.close()
    assert (first.status, first.json()) == (200, {"n": 1})
    assert (second.status, second.code) == (404, "not_found")
    assert b"GET /api/v1/orders HTTP/1.1" in seen[0]
    assert b"authorization: Bearer token" in seen[0]


def keys(requests: Sequence[bytes]) -> set[bytes]:
    return {
        line for request in requests for line in request.split(b"\r\n") if line.startswith(b"idempotency-key")
    }


async def test_a_request_is_repeated_under_its_key_until_the_answer_is_definite() -> None:
    busy = answer(409, {"code": "idempotency.in_flight"})
    answers = (
        answer(503, {"code": "unavailable"}),
        b"",
        busy,
        answer(429, {}, "Retry-After: 0"),
        answer(202, {"id": "x"}),
    )
    async with gateway(*answers) as (url, seen):
        reply, retries = await sent(url)
    assert reply.status == 202
    assert sum(retries.values()) == 4
    assert len(seen) == 5
    assert len(keys(seen)) == 1


async def test_a_request_goes_to_the_next_gateway_when_one_is_gone() -> None:
    async with gateway(answer(202, {"id": "x"})) as (url, seen):
        reply, retries = await sent("http://127.0.0.1:9", url)
    assert (reply.status, retries) == (202, {"connection broken": 1})
    assert len(seen) == 1


def test_the_gateways_of_an_installation_are_all_of_its_replicas() -> None:
    addresses = {
        "gateway-2": "http://b",
        "orders.grpc": "x:1",
        "gateway": "http://a",
        "orders-2.health": "http://c",
    }
    assert home.Runtime(1, "", addresses=addresses).gateways == ["http://a", "http://b"]


async def test_a_conflict_that_is_an_answer_is_not_repeated() -> None:
    async with gateway(answer(409, {"code": "orders.too_late_to_cancel"})) as (url, seen):
        reply, _ = await sent(url)
    assert (reply.status, len(seen)) == (409, 1)


async def test_patience_ends() -> None:
    with pytest.raises(GaveUp):
        await sent("http://127.0.0.1:9", patience=0.0)
