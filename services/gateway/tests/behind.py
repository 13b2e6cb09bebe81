"""What can be behind a gateway: a real gRPC server that does what the test says, one that resets, and nothing."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from orderhub_chassis.calls import Call, InternalTokens, current_call
from orderhub_chassis.clock import SystemClock
from orderhub_chassis.grpc import server
from orderhub_contracts.events.v1 import dead_letters_pb2, dead_letters_pb2_grpc
from orderhub_contracts.orders.v1 import orders_pb2, orders_pb2_grpc

ORDER_ID = "0198c0de-0000-7000-8000-000000000001"


class Orders(orders_pb2_grpc.OrdersServiceServicer, dead_letters_pb2_grpc.DeadLetterServiceServicer):
    """Remembers each call: its name, its metadata, the time that it was left. `does` comes before the answer."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.metadata: list[dict[str, Any]] = []
        self.callers: list[Call] = []
        self.left: list[float] = []
        self.does: Callable[[Any], Awaitable[None]] | None = None

    async def _called(self, name: str, context: Any) -> None:
        self.calls.append(name)
        self.metadata.append(dict(context.invocation_metadata()))
        self.callers.append(current_call.get())
        self.left.append(context.time_remaining())
        if self.does:
            await self.does(context)

    async def ListOrders(self, request: Any, context: Any) -> Any:
        await self._called("ListOrders", context)
        return orders_pb2.ListOrdersResponse()

    async def CancelOrder(self, request: Any, context: Any) -> Any:
        await self._called("CancelOrder", context)
        return orders_pb2.Order(id=request.id, status="CANCELLED", version=2)

    async def PlaceOrders(self, request: Any, context: Any) -> Any:
        await self._called("PlaceOrders", context)
        order = orders_pb2.Order(id=ORDER_ID, status="PENDING", version=1)
        outcomes = [orders_pb2.PlaceOrderOutcome(order=order) for _ in request.items]
        return orders_pb2.PlaceOrdersResponse(outcomes=outcomes)

    async def WaitOrder(self, request: Any, context: Any) -> Any:
        await self._called("WaitOrder", context)
        return orders_pb2.Order(id=request.id, status="CONFIRMED", version=2)

    async def ReplayDeadLetter(self, request: Any, context: Any) -> Any:
        await self._called("ReplayDeadLetter", context)
        return dead_letters_pb2.ReplayDeadLetterResponse()


@asynccontextmanager
async def serving(orders: Orders, port: int = 0) -> AsyncIterator[int]:
    registrations = [
        lambda to: orders_pb2_grpc.add_OrdersServiceServicer_to_server(orders, to),
        lambda to: dead_letters_pb2_grpc.add_DeadLetterServiceServicer_to_server(orders, to),
    ]
    tokens = InternalTokens("i" * 40, SystemClock())
    async with server.serve(
        "orders", registrations, [], tokens, host="127.0.0.1", port=port, grace=0
    ) as bound:
        yield bound


@asynccontextmanager
async def resetting() -> AsyncIterator[int]:
    """A TCP server that resets whoever has sent something."""

    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        # With SO_LINGER at zero a close is a RST.
        taken: socket.socket = writer.get_extra_info("socket")
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    listening = await asyncio.start_server(reset, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


def free_port() -> int:
    """Where nobody listens; whoever connects is refused."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def away(context: Any) -> None:
    """As gRPC says it of a connection that broke: without a word of ours."""
    await context.abort(grpc.StatusCode.UNAVAILABLE, "connection reset")
