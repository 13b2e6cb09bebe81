"""The doors at a start while Redis is away, and at a stop: who asks is told, and sent elsewhere."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import httpx
import pytest
import structlog
from orderhub_chassis import steady
from orderhub_chassis.calls import InternalTokens
from orderhub_chassis.clock import SystemClock
from orderhub_chassis.grpc import server as grpc_server
from orderhub_chassis.service import Surroundings
from orderhub_contracts.inventory.v1.inventory_pb2_grpc import (
    InventoryServiceServicer,
    add_InventoryServiceServicer_to_server,
)
from orderhub_contracts.orders.v1 import orders_pb2
from orderhub_contracts.orders.v1.orders_pb2_grpc import (
    OrdersServiceServicer,
    add_OrdersServiceServicer_to_server,
)
from orderhub_gateway.app import Service, build
from orderhub_gateway.settings import Settings

NOBODY = "127.0.0.1:1"
SECRET = "sesame-open-the-door"


def settings(redis_url: str, **over: Any) -> Settings:
    peers = ("auth", "inventory", "orders", "payments", "delivery")
    addresses = {f"{peer}_address": NOBODY for peer in peers}
    keys = {"internal_key": "i" * 40, "cursor_key": "c" * 40}
    return Settings(**{"port": 0, "redis_url": redis_url, **keys, **addresses, **over})


async def opened(stack: AsyncExitStack, redis_url: str, **over: Any) -> tuple[Service, httpx.AsyncClient]:
    service = await stack.enter_async_context(build(settings(redis_url, **over), Surroundings()))
    url = f"http://127.0.0.1:{service.port}"
    client = httpx.AsyncClient(base_url=url, timeout=30, trust_env=False)
    return service, await stack.enter_async_context(client)


async def test_it_serves_while_redis_is_away_and_readyz_says_what_is_missing(eventually: Any) -> None:
    async with AsyncExitStack() as stack:
        _, http = await opened(stack, f"redis://:{SECRET}@{NOBODY}/0")

        async def told() -> Any:
            answer = await http.get("/readyz")
            reason = answer.json()["reasons"].get("redis", "")
            return (answer.status_code, reason) if "nobody listens" in reason else None

        status, reason = await eventually(told)
        assert status == 503
        assert reason.startswith(f"{NOBODY}/0: nobody listens there")
        assert SECRET not in reason
        assert (await http.get("/ping")).status_code == 200


async def test_what_runs_beside_the_serving_ends_the_service_when_it_dies(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(clock: Any, ask: Any) -> None:
        raise LookupError("a bug")

    monkeypatch.setattr(steady, "compare", broken)
    with structlog.testing.capture_logs() as logs:
        async with AsyncExitStack() as stack:
            service, _ = await opened(stack, redis_url)
            with pytest.raises(LookupError, match="a bug"):
                await asyncio.wait_for(service.failed, 30)
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["service.task_died"]


async def test_it_is_ready_as_soon_as_redis_answers_and_auth_has_written_to_it(
    open_gateway: Any, eventually: Any
) -> None:
    api = await open_gateway()

    async def ready() -> bool:
        return bool((await api.http.get("/readyz")).status_code == 200)

    await eventually(ready)


async def test_while_it_drains_it_answers_and_lets_kept_connections_go(
    redis_url: str, eventually: Any
) -> None:
    async with AsyncExitStack() as stack:
        service, http = await opened(stack, redis_url, drain_delay=3600)
        assert "connection" not in (await http.get("/ping")).headers
        draining = asyncio.create_task(service.drain())

        async def leaves() -> bool:
            return service.readiness.draining

        await eventually(leaves)
        answer = await http.get("/ping")
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        report = await http.get("/readyz")
        assert (report.status_code, report.json()["reasons"]["stop"]) == (503, "it is about to stop")
        assert not draining.done(), "the doors would close before anybody could know"
        draining.cancel()


class Undecided(OrdersServiceServicer):  # type: ignore[misc]
    """Takes every order, and settles none."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def PlaceOrders(self, request: orders_pb2.PlaceOrdersRequest, context: Any) -> Any:
        order = orders_pb2.Order(id=str(uuid4()), status="PENDING", version=1)
        placed = orders_pb2.PlaceOrderOutcome(order=order)
        return orders_pb2.PlaceOrdersResponse(outcomes=[placed for _ in request.items])

    async def WaitOrder(self, request: Any, context: Any) -> Any:
        self.asked.set()
        await asyncio.Event().wait()


class Silent(InventoryServiceServicer):  # type: ignore[misc]
    """Answers nothing."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def ListProducts(self, request: Any, context: Any) -> Any:
        self.asked.set()
        await asyncio.Event().wait()


def serving(register: Any, servicer: Any, name: str) -> Any:
    """`async with serving(…) as port:` a peer that the test plays."""
    tokens = InternalTokens("i" * 40, SystemClock())
    return grpc_server.serve(
        "peer", [lambda server: register(servicer, server)], [name], tokens, host="127.0.0.1", port=0, grace=0
    )


async def test_a_request_that_outlives_the_time_to_stop_is_told_so(redis_url: str) -> None:
    """Not answered as if it had failed: nobody knows whether it was done."""
    inventory = Silent()
    async with (
        serving(add_InventoryServiceServicer_to_server, inventory, "orderhub.Silent") as port,
        httpx.AsyncClient(timeout=30, trust_env=False) as http,
    ):
        async with AsyncExitStack() as stack:
            over = {"inventory_address": f"127.0.0.1:{port}", "shutdown_grace": 1, "call_timeout": 60}
            service, _ = await opened(stack, redis_url, **over)
            asking = asyncio.create_task(http.get(f"http://127.0.0.1:{service.port}/api/v1/products"))
            await asyncio.wait_for(inventory.asked.wait(), 30)
        answer = await asking
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["code"] == "gateway.stopping"


async def test_who_waits_for_an_order_is_answered_at_once_when_it_drains(open_gateway: Any) -> None:
    orders = Undecided()
    async with serving(add_OrdersServiceServicer_to_server, orders, "orderhub.Undecided") as port:
        api = await open_gateway(orders_address=f"127.0.0.1:{port}")
        waiting = asyncio.create_task(api.place({"id": str(uuid4())}, headers={"prefer": "wait=25"}))
        await asyncio.wait_for(orders.asked.wait(), 30)
        await api.gateway.drain()
        answer = await asyncio.wait_for(waiting, 15)
        assert (answer.status_code, answer.json()["status"]) == (202, "PENDING")
        later = await asyncio.wait_for(api.place({"id": str(uuid4())}, headers={"prefer": "wait=25"}), 15)
        assert (later.status_code, later.json()["status"]) == (202, "PENDING")
