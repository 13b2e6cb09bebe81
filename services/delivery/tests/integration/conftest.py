"""A running delivery service on a fresh database, and the two ways to it: gRPC, and an orders service on the bus."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from google.protobuf.message import Message
from orderhub_chassis.calls import Call, Caller
from orderhub_chassis.consumer import ConsumerSpec, Context
from orderhub_chassis.grpc import client
from orderhub_chassis.ids import uuid7
from orderhub_chassis.messages import Envelope, Outgoing
from orderhub_chassis.service import Chassis, Surroundings, open_chassis
from orderhub_chassis.settings import ServiceSettings
from orderhub_contracts import topics
from orderhub_contracts.common.v1.common_pb2 import Address, Position
from orderhub_contracts.delivery.v1 import commands_pb2 as commands
from orderhub_contracts.delivery.v1 import delivery_pb2_grpc
from orderhub_contracts.events.v1.events_pb2 import DeliveryChanged
from orderhub_contracts.events.v1.records_pb2 import SagaRef
from orderhub_contracts.orders.v1 import replies_pb2
from orderhub_contracts.orders.v1.replies_pb2 import CommandDeadLettered, SagaReply
from orderhub_delivery.app import Service, build
from orderhub_delivery.settings import Settings

Eventually = Callable[..., Awaitable[Any]]
VENDOR_ID = str(UUID(int=77))
CUSTOMER = Caller("customer-1", frozenset({"customer"}))
VENDOR = Caller("vendor-user-1", frozenset({"vendor"}), VENDOR_ID)
OTHER_VENDOR = Caller("vendor-user-2", frozenset({"vendor"}), str(UUID(int=78)))
COURIER = Caller(str(UUID(int=501)), frozenset({"courier"}))
OTHER_COURIER = Caller(str(UUID(int=502)), frozenset({"courier"}))
OPERATOR = Caller(str(UUID(int=900)), frozenset({"operator"}))

PICKUP = Address(line1="Dijkweg 3", city="Barneveld", country="NL", position=Position(lat=52.14, lon=5.58))
SHIP_TO = Address(
    name="Ann",
    line1="Markt 1",
    city="Utrecht",
    country="NL",
    phone="+31",
    position=Position(lat=52.09, lon=5.12),
)


@dataclass
class Orders:
    """Sends saga commands as the orders service does, and collects what comes back."""

    chassis: Chassis
    eventually: Eventually
    replies: list[tuple[SagaRef, SagaReply]] = field(default_factory=list)
    events: list[DeliveryChanged] = field(default_factory=list)
    dead: list[CommandDeadLettered] = field(default_factory=list)

    async def send(self, *sent: tuple[Message, SagaRef]) -> None:
        outgoing = [Outgoing(message, saga.order_id, saga=saga) for message, saga in sent]

        async def work(tx: Any) -> None:
            tx.send_all(outgoing)

        await self.chassis.db.run(work)

    async def ask(self, *sent: tuple[Message, SagaRef]) -> list[SagaReply]:
        """The replies to these commands, in the order of the commands."""
        before = len(self.replies)
        await self.send(*sent)
        await self.eventually(self._more(before + len(sent)))
        new = {_step(saga): reply for saga, reply in self.replies[before:]}
        return [new[_step(saga)] for _, saga in sent]

    def _more(self, count: int) -> Callable[[], Awaitable[bool]]:
        async def arrived() -> bool:
            return len(self.replies) >= count

        return arrived

    async def told(self, order_id: str, kind: str) -> DeliveryChanged:
        async def found() -> DeliveryChanged | None:
            return next((e for e in self.events if (e.order_id, e.kind) == (order_id, kind)), None)

        return await self.eventually(found)

    async def book(self, order_id: str = "", *, release: bool = True, **over: Any) -> str:
        """A booked (and released) delivery of a new order; returns its id."""
        order_id = order_id or str(uuid7())
        (reply,) = await self.ask((a_booking(order_id, **over), step(order_id, 4)))
        if release:
            (reply,) = await self.ask((commands.ReleaseDelivery(order_id=order_id), step(order_id, 7)))
        assert reply.outcome == replies_pb2.OUTCOME_SUCCEEDED
        return reply.delivery.delivery_id


def _step(saga: SagaRef) -> tuple[str, str, int, bool, int]:
    return (saga.order_id, saga.run_id, saga.step, saga.compensation, saga.epoch)


def step(
    order_id: str, number: int, *, run: str = "place", epoch: int = 1, compensation: bool = False
) -> SagaRef:
    return SagaRef(order_id=order_id, run_id=run, step=number, epoch=epoch, compensation=compensation)


def a_booking(order_id: str, **over: Any) -> commands.BookDelivery:
    values: dict[str, Any] = {
        "order_id": order_id,
        "vendor_id": VENDOR_ID,
        "customer_id": CUSTOMER.user_id,
        "pickup": PICKUP,
        "ship_to": SHIP_TO,
        "description": "two boxes",
    }
    return commands.BookDelivery(**values | over)


def stop(order_id: str, *, run: str = "cancel", epoch: int = 2) -> tuple[Message, SagaRef]:
    return commands.StopDelivery(order_id=order_id, reason="changed my mind"), step(
        order_id, 0, run=run, epoch=epoch
    )


@pytest.fixture
async def settings(make_settings: Callable[..., Awaitable[Any]]) -> Settings:
    return await make_settings(Settings, "orderhub_delivery")


@pytest.fixture
async def service(settings: Settings) -> AsyncIterator[Service]:
    async with build(settings, Surroundings()) as running:
        yield running


@pytest.fixture
async def sql(settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    yield connection
    await connection.close()


@pytest.fixture
async def orders(
    make_settings: Callable[..., Awaitable[Any]], make_database: Any, eventually: Eventually
) -> AsyncIterator[Orders]:
    own = await make_settings(
        ServiceSettings, "orderhub_chassis", database_url=await make_database("orderhub_chassis")
    )
    async with open_chassis("orders", own, Surroundings(), package="orderhub_chassis") as chassis:
        found = Orders(chassis, eventually)
        await chassis.consume(_collector(found))
        yield found


def _collector(found: Orders) -> ConsumerSpec[Any]:
    async def load(*_: Any) -> None:
        return None

    async def save(*_: Any) -> None:
        return None

    def on_reply(_: Any, envelope: Envelope, __: Context) -> Iterable[Outgoing]:
        assert envelope.saga is not None
        found.replies.append((envelope.saga, envelope.payload))
        return ()

    def on_event(_: Any, envelope: Envelope, __: Context) -> Iterable[Outgoing]:
        assert envelope.key == envelope.payload.order_id
        found.events.append(envelope.payload)
        return ()

    def on_dead(_: Any, envelope: Envelope, __: Context) -> Iterable[Outgoing]:
        found.dead.append(envelope.payload)
        return ()

    handlers: dict[type[Message], Any] = {
        SagaReply: on_reply,
        DeliveryChanged: on_event,
        CommandDeadLettered: on_dead,
    }
    return ConsumerSpec("orders", (topics.ORDERS_REPLIES, topics.DELIVERY_EVENTS), load, handlers, save)


@dataclass
class Api:
    """DeliveryService as somebody: `await api.call(COURIER, "PickUpDelivery", request)`."""

    peer: client.Peer
    stub: delivery_pb2_grpc.DeliveryServiceStub

    async def call(
        self, caller: Caller, method: str, request: Message, *, key: str = "", body: bytes = b""
    ) -> Any:
        call = Call(caller=caller, idempotency_key=key, fingerprint=body or request.SerializeToString())
        return await self.peer.call(getattr(self.stub, method), request, call=call)


@pytest.fixture
async def api(service: Service) -> AsyncIterator[Api]:
    async with an_api(service) as found:
        yield found


@asynccontextmanager
async def an_api(service: Service) -> AsyncIterator[Api]:
    address = f"127.0.0.1:{service.grpc_port}"
    async with client.connect(address, service.chassis.tokens, timedelta(seconds=5)) as peer:
        yield Api(peer, delivery_pb2_grpc.DeliveryServiceStub(peer.channel))


def a_key() -> str:
    return uuid4().hex
