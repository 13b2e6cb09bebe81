"""A running inventory on a fresh database and bus, a client for every role, and orders' end of the bus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from orderhub_chassis.calls import ANONYMOUS, Call, Caller, service_caller
from orderhub_chassis.consumer import ConsumerSpec
from orderhub_chassis.db import Transaction
from orderhub_chassis.grpc import client
from orderhub_chassis.messages import Envelope, Outgoing
from orderhub_chassis.service import Chassis, Surroundings, open_chassis
from orderhub_chassis.settings import ServiceSettings
from orderhub_contracts import topics
from orderhub_contracts.common.v1.common_pb2 import Address, AnimalFacts, Money, Position
from orderhub_contracts.events.v1 import events_pb2
from orderhub_contracts.events.v1.records_pb2 import SagaRef
from orderhub_contracts.inventory.v1 import commands_pb2, inventory_pb2_grpc
from orderhub_contracts.inventory.v1 import inventory_pb2 as pb
from orderhub_contracts.orders.v1 import replies_pb2
from orderhub_inventory import queries
from orderhub_inventory.app import Service, build
from orderhub_inventory.settings import Settings

OPERATOR = Caller("operator-1", frozenset({"operator"}))
SERVICE = service_caller("orders")
CUSTOMER = Caller("customer-1", frozenset({"customer"}))
PRICE = Money(amount_minor=500, currency="EUR")
MakeSettings = Callable[..., Awaitable[Any]]


def a_vendor_user(vendor_id: str) -> Caller:
    return Caller(f"user-of-{vendor_id}", frozenset({"vendor"}), vendor_id)


@dataclass
class Client:
    """`await client(OPERATOR).CreateVendor(request)`; the call's trailing words go by keyword."""

    peer: client.Peer
    caller: Caller = ANONYMOUS
    call: dict[str, Any] = field(default_factory=dict)

    def __call__(self, caller: Caller, **call: Any) -> Client:
        return Client(self.peer, caller, call)

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        stub = inventory_pb2_grpc.InventoryServiceStub(self.peer.channel)
        return lambda request: self.peer.call(
            getattr(stub, method), request, call=Call(caller=self.caller, **self.call), timeout=30
        )

    async def stream(self, method: str, request: Any) -> list[Any]:
        stub = inventory_pb2_grpc.InventoryServiceStub(self.peer.channel)
        metadata = self.peer._metadata(Call(caller=self.caller))
        return [item async for item in getattr(stub, method)(request, timeout=60, metadata=metadata)]


@pytest.fixture
async def settings(make_settings: MakeSettings) -> Settings:
    return await make_settings(Settings, "orderhub_inventory", reservation_sweep=timedelta(milliseconds=50))


@pytest.fixture
async def service(settings: Settings) -> AsyncIterator[Service]:
    async with build(settings, Surroundings()) as service:
        yield service


@pytest.fixture
async def api(service: Service) -> AsyncIterator[Client]:
    async with client_of(service) as api:
        yield api


@asynccontextmanager
async def client_of(service: Service) -> AsyncIterator[Client]:
    tokens = service.chassis.tokens
    async with client.connect(f"127.0.0.1:{service.grpc_port}", tokens, timedelta(seconds=5)) as peer:
        yield Client(peer)


@pytest.fixture
async def sql(settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    """Straight into inventory's database; at the end every invariant of the migration holds."""
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    yield connection
    findings = await queries.findings(connection)
    await connection.close()
    assert findings == []


def an_address(**over: Any) -> Address:
    values = {"line1": "Havenweg 12", "city": "Rotterdam", "postal_code": "3011", "country": "NL"}
    return Address(**values | {"position": Position(lat=51.92, lon=4.48)} | over)


@pytest.fixture
async def vendor(api: Client) -> pb.Vendor:
    return await make_vendor(api, "Blue Lagoon Aquatics")


async def make_vendor(api: Client, name: str, **over: Any) -> pb.Vendor:
    return await api(OPERATOR).CreateVendor(pb.CreateVendorRequest(name=name, address=an_address(**over)))


def a_product(**over: Any) -> pb.CreateProductRequest:
    values = {
        "sku": "FISH-1",
        "title": "Cardinal tetra",
        "kind": "countable",
        "price": PRICE,
        "initial_stock": 5,
    }
    facts = AnimalFacts(species="paracheirodon_axelrodi") if over.get("kind") != "good" else None
    return pb.CreateProductRequest(**values | {"facts": facts} | over)


def a_cat(**over: Any) -> pb.CreateProductRequest:
    facts = AnimalFacts(species="felis_catus", life_stage="juvenile", born_on="2026-01-01", weaned=True)
    values = {
        "sku": "CAT-1",
        "title": "Maine Coon kitten",
        "kind": "individual",
        "initial_stock": 1,
        "facts": facts,
    }
    return a_product(**values | over)


async def make_product(
    api: Client, vendor: pb.Vendor, request: pb.CreateProductRequest | None = None
) -> pb.Product:
    return await api(a_vendor_user(vendor.id)).CreateProduct(request or a_product())


async def animals_of(api: Client, product: pb.Product) -> list[pb.Animal]:
    answer = await api(OPERATOR).ListAnimals(pb.ListAnimalsRequest(product_id=product.id))
    return list(answer.items)


@dataclass
class Orders:
    """Orders' end of the bus: sends commands, collects replies, questions and inventory's events."""

    chassis: Chassis
    replies: list[Envelope] = field(default_factory=list)
    questions: list[Envelope] = field(default_factory=list)
    events: list[Envelope] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, *commands: Any, step: int = 0, epoch: int = 1) -> None:
        """All of them in one transaction, hence in one batch."""

        async def work(tx: Transaction) -> None:
            for command in commands:
                saga = SagaRef(order_id=command.order_id, run_id="run", step=step, epoch=epoch)
                is_saga = not isinstance(command, commands_pb2.ExtendReservation)
                tx.send(Outgoing(command, command.order_id, saga=saga if is_saga else None))

        await self.chassis.db.run(work)

    async def ask(self, *commands: Any, step: int = 0, epoch: int = 1) -> list[replies_pb2.SagaReply]:
        """Send them and wait for the answers, in the order of the commands."""
        known = len(self.replies)
        await self.send(*commands, step=step, epoch=epoch)
        await self.wait_for(known + len(commands))
        by_order = {envelope.payload.order_id: envelope.payload for envelope in self.replies[known:]}
        return [by_order[command.order_id] for command in commands]

    async def wait_for(self, replies: int) -> None:
        async with asyncio.timeout(30):
            while len(self.replies) < replies:
                self.arrived.clear()
                await self.arrived.wait()


@pytest.fixture
async def orders(make_settings: MakeSettings, settings: Settings) -> AsyncIterator[Orders]:
    own = await make_settings(ServiceSettings, "orderhub_chassis", bus=settings.bus)
    async with open_chassis("orders", own, Surroundings(), package="orderhub_chassis") as chassis:
        orders = Orders(chassis)
        keep = {
            replies_pb2.SagaReply: orders.replies,
            commands_pb2.ReservationDue: orders.questions,
            events_pb2.VendorChanged: orders.events,
            events_pb2.ProductChanged: orders.events,
            events_pb2.AnimalChanged: orders.events,
        }

        async def load(tx: Transaction, envelopes: Iterable[Envelope], context: Any) -> None:
            return None

        async def save(tx: Transaction, state: None, context: Any) -> None:
            return None

        def collect(state: None, envelope: Envelope, context: Any) -> list[Outgoing]:
            keep[type(envelope.payload)].append(envelope)
            orders.arrived.set()
            return []

        handlers = dict.fromkeys(keep, collect)
        heard = (topics.ORDERS_REPLIES, topics.INVENTORY_EVENTS)
        await chassis.consume(ConsumerSpec("orders", heard, load, handlers, save))
        yield orders


def a_reserve(
    product: pb.Product,
    quantity: int = 1,
    *,
    order_id: UUID | None = None,
    animals: Iterable[str] = (),
    price: Money = PRICE,
) -> commands_pb2.ReserveStock:
    line = commands_pb2.ReserveLine(
        line_no=1, product_id=product.id, quantity=quantity, unit_price=price, animal_ids=animals
    )
    return commands_pb2.ReserveStock(
        order_id=str(order_id or uuid4()), vendor_id=product.vendor_id, lines=[line]
    )


async def waiting_for_locks(sql: asyncpg.Connection) -> int:
    """How many of inventory's sessions in this database wait for a lock."""
    return await sql.fetchval(
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    )
