"""A peer that hangs, refuses or resets: what its routes answer, and that all other routes go on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any
from uuid import uuid4

import behind
import pytest
from behind import ORDER_ID, Orders
from orderhub_chassis.calls import Call, InternalTokens
from orderhub_chassis.clock import SystemClock
from orderhub_chassis.errors import Conflict, Unavailable
from orderhub_chassis.grpc import client
from orderhub_contracts.orders.v1 import orders_pb2
from orderhub_contracts.orders.v1.orders_pb2_grpc import OrdersServiceStub
from orderhub_gateway.errors import TimedOut
from orderhub_gateway.upstreams import RESERVE, Bounds, Upstream

ADDRESS = {"name": "Ada", "line1": "Weg 1", "city": "Berlin", "postal_code": "10115", "country": "DE"}
ORDER = {
    "lines": [{"product_id": ORDER_ID, "quantity": 1}],
    "ship_to": ADDRESS,
    "payment": {"token": "tok_ok"},
}
NEVER = timedelta(hours=1)
ROUNDED = 0.11
"""Seconds: gRPC sends a timeout in few digits, and rounds it up."""


@pytest.fixture
def orders() -> Orders:
    return Orders()


@pytest.fixture
async def open_before(open_gateway: Any, orders: Orders) -> AsyncIterator[Any]:
    """`await open_before(**settings)`: a gateway with auth and these orders behind it."""
    async with AsyncExitStack() as stack:

        async def open_one(**over: Any) -> Any:
            port = await stack.enter_async_context(behind.serving(orders))
            return await open_gateway(orders_address=f"127.0.0.1:{port}", **over)

        yield open_one


def assert_problem(answer: Any, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert int(answer.headers["retry-after"]) >= 1


async def notes(api: Any) -> dict[str, str]:
    found: dict[str, str] = (await api("GET", "/readyz")).json().get("notes", {})
    return found


async def test_a_peer_that_hangs_holds_so_many_calls_and_the_routes_of_others_go_on(
    open_before: Any, orders: Orders, eventually: Any
) -> None:
    api = await open_before(calls_per_upstream=3)
    headers, released = await api.as_("customer"), asyncio.Event()

    async def hangs(context: Any) -> None:
        await released.wait()

    orders.does = hangs
    held = [asyncio.create_task(api("GET", "/v1/orders", headers=headers)) for _ in range(3)]

    async def all_hang() -> bool:
        return len(orders.calls) == 3

    await eventually(all_hang)
    for _ in range(5):
        assert_problem(await api("GET", "/v1/orders", headers=headers), 503, "gateway.upstream_busy")
        assert (await api("GET", "/v1/auth/me", headers=headers)).status_code == 200
        assert (await api("GET", "/livez")).status_code == 200
    assert len(orders.calls) == 3
    assert not any(task.done() for task in held), "all of this while they hung"
    metrics = (await api("GET", "/metrics")).text
    assert 'orderhub_gateway_upstream_calls{upstream="orders"} 3.0' in metrics
    released.set()
    assert [answer.status_code for answer in await asyncio.gather(*held)] == [200] * 3
    assert (await api("GET", "/v1/orders", headers=headers)).status_code == 200


async def test_a_peer_that_is_late_is_504_and_then_not_asked_any_more(
    open_before: Any, orders: Orders
) -> None:
    api = await open_before(
        call_timeout=timedelta(seconds=2), circuit_failures=3, circuit_pause=NEVER, circuit_window=NEVER
    )
    headers = await api.as_("customer")

    async def hangs(context: Any) -> None:
        await asyncio.Event().wait()

    orders.does = hangs
    for answer in await asyncio.gather(*(api("GET", "/v1/orders", headers=headers) for _ in range(3))):
        assert_problem(answer, 504, "gateway.timeout")
    answer = await api("GET", "/v1/orders", headers=headers)
    assert_problem(answer, 503, "gateway.circuit_open")
    assert 3500 < int(answer.headers["retry-after"]) <= 3600
    assert orders.calls == ["ListOrders"] * 3, "late ones are not repeated, and the last one was not asked"
    assert (await api("GET", "/v1/auth/me", headers=headers)).status_code == 200


async def test_a_peer_that_refuses_is_found_again_when_it_is_back(
    open_gateway: Any, orders: Orders, eventually: Any
) -> None:
    port = behind.free_port()
    api = await open_gateway(
        orders_address=f"127.0.0.1:{port}", circuit_failures=3, circuit_pause=timedelta(seconds=0.1)
    )
    headers = await api.as_("customer")
    codes = [(await api("GET", "/v1/orders", headers=headers)).json()["code"] for _ in range(8)]
    assert codes[0] == "unavailable"
    assert "gateway.circuit_open" in codes
    assert list(await notes(api)) == ["upstream orders"]
    assert (await api("GET", "/readyz")).status_code == 200
    metrics = (await api("GET", "/metrics")).text
    assert 'orderhub_gateway_upstream_refused_total{upstream="orders",why="circuit"}' in metrics
    assert (await api("GET", "/v1/auth/me", headers=headers)).status_code == 200
    async with behind.serving(orders, port):

        async def is_back() -> bool:
            return (await api("GET", "/v1/orders", headers=headers)).status_code == 200

        await eventually(is_back)
        assert await notes(api) == {}
        metrics = (await api("GET", "/metrics")).text
        assert 'orderhub_gateway_upstream_circuit{upstream="orders"} 0.0' in metrics


async def test_a_peer_that_resets_is_a_problem_and_the_routes_of_others_go_on(open_gateway: Any) -> None:
    async with behind.resetting() as port:
        api = await open_gateway(orders_address=f"127.0.0.1:{port}", circuit_failures=1000)
        headers = await api.as_("customer")
        for _ in range(5):
            assert_problem(await api("GET", "/v1/orders", headers=headers), 503, "unavailable")
            assert (await api("GET", "/v1/auth/me", headers=headers)).status_code == 200


async def test_one_call_at_a_time_looks_whether_a_peer_is_back(
    open_before: Any, orders: Orders, eventually: Any
) -> None:
    api = await open_before(circuit_failures=3, circuit_pause=timedelta(seconds=0.05), repeat_ratio=0)
    headers = await api.as_("customer")
    orders.does = behind.away
    for _ in range(3):
        assert_problem(await api("GET", "/v1/orders", headers=headers), 503, "unavailable")
    released, before = asyncio.Event(), len(orders.calls)

    async def hangs(context: Any) -> None:
        await released.wait()

    orders.does = hangs

    async def probed() -> bool:
        asking.append(asyncio.create_task(api("GET", "/v1/orders", headers=headers)))
        await asyncio.sleep(0)
        return len(orders.calls) > before

    asking: list[Any] = []
    await eventually(probed)
    for _ in range(20):
        assert_problem(await api("GET", "/v1/orders", headers=headers), 503, "gateway.circuit_open")
    assert len(orders.calls) == before + 1
    released.set()
    assert 200 in [answer.status_code for answer in await asyncio.gather(*asking)]
    assert (await api("GET", "/v1/orders", headers=headers)).status_code == 200


async def test_refusals_of_a_peer_open_nothing(open_before: Any, orders: Orders) -> None:
    api = await open_before(circuit_failures=2, circuit_pause=NEVER)
    headers = await api.as_("customer")

    async def refuses(context: Any) -> None:
        raise Conflict("not now", code="orders.too_late_to_cancel")

    async def is_unwell(context: Any) -> None:
        raise Unavailable("its database is away")

    for does, status in ((refuses, 409), (is_unwell, 503)):
        orders.does = does
        for _ in range(5):
            assert (await api("GET", "/v1/orders", headers=headers)).status_code == status
    assert orders.calls == ["ListOrders"] * 10, "whoever answers is there, and is not asked twice"
    orders.does = None
    assert (await api("GET", "/v1/orders", headers=headers)).status_code == 200


CANCEL, REPLAY = f"/v1/orders/{ORDER_ID}/cancel", f"/v1/admin/dead-letters/{ORDER_ID}/replay"
KEY = {"idempotency-key": "k"}
REPEATED: list[tuple[str, str, str, dict[str, str], Any, int]] = [
    ("GET", "/v1/orders", "customer", {}, None, 2),
    ("GET", "/v1/orders", "customer", {"prefer": "wait=1"}, None, 2),
    ("POST", CANCEL, "customer", KEY, {}, 2),
    ("POST", CANCEL, "customer", {}, {}, 1),
    ("POST", "/v1/orders", "customer", KEY, ORDER, 2),
    ("POST", REPLAY, "operator", {}, {"service": "orders"}, 1),
    # This route does nothing with the key.
    ("POST", REPLAY, "operator", KEY, {"service": "orders"}, 1),
]


@pytest.mark.parametrize(
    ("method", "path", "role", "headers", "body", "calls"),
    REPEATED,
    ids=["read", "read-2", "keyed", "keyless", "placing", "replay", "replay-with-a-key"],
)
async def test_what_may_be_repeated_is_repeated_once(
    open_before: Any, orders: Orders, method: str, path: str, role: str, headers: Any, body: Any, calls: int
) -> None:
    api = await open_before()
    headers = await api.as_(role, **headers)
    orders.does = behind.away
    answer = await api(method, path, headers=headers, json=body)
    assert_problem(answer, 503, "unavailable")
    assert len(orders.calls) == calls

    async def away_once(context: Any) -> None:
        orders.does = None
        await behind.away(context)

    orders.does = away_once
    answer = await api(method, path, headers=headers, json=body)
    assert (answer.status_code < 300) is (calls == 2), answer.text


async def test_repetitions_have_a_budget(open_before: Any, orders: Orders) -> None:
    api = await open_before(circuit_failures=1000, repeat_ratio=0.1)
    headers = await api.as_("customer")
    orders.does = behind.away
    for _ in range(40):
        await api("GET", "/v1/orders", headers=headers)
    assert 40 + RESERVE <= len(orders.calls) <= 40 + RESERVE + 0.1 * 40
    metrics = (await api("GET", "/metrics")).text
    assert 'orderhub_gateway_upstream_repeats_total{outcome="no_budget",upstream="orders"}' in metrics


async def test_nothing_is_repeated_where_the_share_is_nothing(open_before: Any, orders: Orders) -> None:
    api = await open_before(repeat_ratio=0)
    orders.does = behind.away
    await api("GET", "/v1/orders", headers=await api.as_("customer"))
    assert orders.calls == ["ListOrders"]


@pytest.mark.parametrize(("limit", "most"), [(3, 3.0), (60, 10.0)], ids=["of-the-request", "of-the-call"])
async def test_a_call_is_given_the_time_that_the_request_has_left(
    open_before: Any, orders: Orders, limit: int, most: float
) -> None:
    api = await open_before(request_limit=timedelta(seconds=limit), call_timeout=timedelta(seconds=10))
    headers = await api.as_("customer", **KEY)
    await api("GET", "/v1/orders", headers=headers)
    await api("POST", CANCEL, headers=headers, json={})
    assert orders.calls == ["ListOrders", "CancelOrder"]
    assert all(most - 2 < left <= most + ROUNDED for left in orders.left), orders.left


async def test_the_time_that_the_body_took_is_gone(open_before: Any, orders: Orders) -> None:
    api = await open_before(request_limit=timedelta(seconds=9), call_timeout=timedelta(seconds=9))
    headers = await api.as_("customer", **KEY, **{"content-type": "application/json"})
    begun = time.monotonic()

    async def slow_body() -> AsyncIterator[bytes]:
        yield b"{"
        while time.monotonic() < begun + 0.5:  # noqa: ASYNC110 - the time is what the test is about
            await asyncio.sleep(0.05)
        yield b"}"

    await api("POST", CANCEL, headers=headers, content=slow_body())
    assert orders.left[0] <= 8.5 + ROUNDED


async def test_nothing_is_called_or_repeated_after_the_deadline(orders: Orders) -> None:
    tokens = InternalTokens("i" * 40, SystemClock())
    bounds = Bounds(calls=10, waits=10, ratio=0.1, failures=100, window=10, pause=1, timeout=5)
    orders.does = behind.away
    async with (
        behind.serving(orders) as port,
        client.connect(f"127.0.0.1:{port}", tokens, timedelta(seconds=5)) as peer,
    ):
        upstream, stub = (
            Upstream("orders", peer, bounds, lambda part, words: None),
            OrdersServiceStub(peer.channel),
        )
        over = Call(deadline=time.monotonic() - 0.001)
        with pytest.raises(TimedOut):
            await upstream.call(stub.ListOrders, orders_pb2.ListOrdersRequest(), call=over)
        assert orders.calls == []
        # Over before the pause that comes ahead of a repetition is: the call itself may or may not be in time.
        nearly = Call(deadline=time.monotonic() + 0.015)
        with pytest.raises(TimedOut):
            await upstream.call(stub.ListOrders, orders_pb2.ListOrdersRequest(), call=nearly)
        assert len(orders.calls) <= 1


async def test_waits_take_no_room_from_calls_and_calls_none_from_waits(
    open_before: Any, orders: Orders, eventually: Any
) -> None:
    api = await open_before(calls_per_upstream=1, waits_at_once=1)
    headers, released = await api.as_("customer"), asyncio.Event()

    async def waits_hang(context: Any) -> None:
        if orders.calls[-1] == "WaitOrder":
            await released.wait()

    orders.does = waits_hang

    def place() -> Any:
        keyed = {**headers, "idempotency-key": uuid4().hex, "prefer": "wait=5"}
        return api("POST", "/v1/orders", headers=keyed, json=ORDER)

    first = asyncio.create_task(place())

    async def waits() -> bool:
        return "WaitOrder" in orders.calls

    await eventually(waits)
    assert (await api("GET", "/v1/orders", headers=headers)).status_code == 200
    second = await place()
    assert (second.status_code, second.json()["status"]) == (202, "PENDING"), "accepted, without the wait"
    released.set()
    assert (await first).status_code == 200
