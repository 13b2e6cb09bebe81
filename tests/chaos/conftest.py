"""All services in the test's own process, each on a fresh database, under a clock and a bus that the test commands."""

from __future__ import annotations

import importlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from orderhub.checks import run as checks
from orderhub.reach import Reach
from orderhub_chassis.bus.postgres import PostgresBus
from orderhub_chassis.calls import Call, Caller, InternalTokens, service_caller
from orderhub_chassis.errors import Failure, Kind
from orderhub_chassis.grpc import client
from orderhub_chassis.hints import Hints
from orderhub_chassis.service import Surroundings
from orderhub_contracts.common.v1.common_pb2 import Address, AnimalFacts, Money, Position
from orderhub_contracts.delivery.v1 import delivery_pb2, delivery_pb2_grpc
from orderhub_contracts.inventory.v1 import inventory_pb2, inventory_pb2_grpc
from orderhub_contracts.orders.v1 import orders_pb2, orders_pb2_grpc
from orderhub_contracts.payments.v1 import payments_pb2_grpc

sys.path.insert(0, str(Path(__file__).parent))

from mischief import JumpingClock

MESSAGING = "orderhub_chassis"
KEYS = {"internal_key": "i" * 40, "cursor_key": "c" * 40}
CUSTOMER = Caller(str(uuid4()), frozenset({"customer"}))
COURIER = Caller(str(uuid4()), frozenset({"courier"}))
OPERATOR = Caller(str(uuid4()), frozenset({"operator"}))
SHIP_TO = Address(
    name="Ada", line1="Invalidenstr. 1", city="Berlin", postal_code="10115", country="DE",
    position=Position(lat=52.53, lon=13.38),
)  # fmt: skip
PICKUP = Address(
    line1="Gartenstr. 41", city="Hamm", postal_code="59065", country="DE", position=Position(lat=51.68, lon=7.82)
)  # fmt: skip


@dataclass
class World:
    """The running services: `stubs` by name, `urls` of the databases as the launcher names them."""

    clock: JumpingClock
    urls: dict[str, str] = field(default_factory=dict)
    peers: dict[str, client.Peer] = field(default_factory=dict)
    stubs: dict[str, Any] = field(default_factory=dict)
    vendor_id: str = ""

    async def call(self, service: str, method: str, request: Any, who: Caller = OPERATOR, **over: Any) -> Any:
        """Raises the service's Failure. A token that a jump of the clock ended on its way is signed anew."""
        named = getattr(self.stubs[service], method)
        while True:
            try:
                return await self.peers[service].call(
                    named, request, call=Call(caller=who, **over), timeout=30
                )
            except Failure as failure:
                if failure.kind is not Kind.UNAUTHENTICATED:
                    raise

    async def sql(self, service: str, statement: str, *arguments: Any) -> list[Any]:
        connection = await asyncpg.connect(self.urls[f"orderhub_{service}"])
        try:
            return list(await connection.fetch(statement, *arguments))
        finally:
            await connection.close()

    # --- the catalogue ---

    async def make_vendor(self) -> None:
        request = inventory_pb2.CreateVendorRequest(name=f"Vendor {uuid4().hex[:8]}", address=PICKUP)
        self.vendor_id = (await self.call("inventory", "CreateVendor", request)).id

    async def product(self, stock: int, **over: Any) -> str:
        request = inventory_pb2.CreateProductRequest(
            **{
                "sku": uuid4().hex[:12], "title": "Thing", "kind": "good", "initial_stock": stock,
                "price": Money(amount_minor=1500, currency="EUR"), "vendor_id": self.vendor_id, **over,
            }
        )  # fmt: skip
        return str((await self.call("inventory", "CreateProduct", request)).id)

    async def snakes(self, count: int) -> str:
        """A product of so many grown corn snakes, which may travel."""
        species = "pantherophis_guttatus"
        product = await self.product(0, kind="individual", facts=AnimalFacts(species=species))
        born_on = f"{date.today() - timedelta(days=400)}"
        facts = AnimalFacts(species=species, life_stage="adult", born_on=born_on, weight_kg=0.3)
        for _ in range(count):
            request = inventory_pb2.AddAnimalRequest(product_id=product, facts=facts)
            await self.call("inventory", "AddAnimal", request)
        return product

    # --- orders ---

    async def place(self, *lines: tuple[str, int], token: str = "tok_ok") -> str:
        wanted = orders_pb2.PlaceOrderRequest(
            lines=[orders_pb2.OrderLineRequest(product_id=id, quantity=quantity) for id, quantity in lines],
            ship_to=SHIP_TO,
            payment_token=token,
        )
        tokens = InternalTokens(KEYS["internal_key"], self.clock)
        item = orders_pb2.PlaceOrderItem(request=wanted, idempotency_key=uuid4().hex, fingerprint=b"f")
        while True:
            item.caller_token = tokens.sign(CUSTOMER)
            request = orders_pb2.PlaceOrdersRequest(items=[item])
            answer = await self.call("orders", "PlaceOrders", request, service_caller("gateway"))
            [outcome] = answer.outcomes
            if not outcome.failure.kind:
                return str(outcome.order.id)
            assert outcome.failure.kind == Kind.UNAUTHENTICATED, outcome

    async def cancel(self, order_id: str) -> bool:
        """False when it was refused."""
        try:
            request = orders_pb2.CancelOrderRequest(id=order_id, reason="changed my mind")
            await self.call("orders", "CancelOrder", request, CUSTOMER)
        except Failure:
            return False
        return True

    async def carry(self, *steps: str) -> None:
        """The courier takes every step that is possible now with every delivery that is free or theirs."""
        page = await self.call("delivery", "ListDeliveries", delivery_pb2.ListDeliveriesRequest(), COURIER)
        for delivery in page.items:
            for step in steps:
                request = getattr(delivery_pb2, f"{step}DeliveryRequest")(id=delivery.id)
                if step == "Fail":
                    request.reason = "nobody at home"
                try:
                    await self.call("delivery", f"{step}Delivery", request, COURIER)
                except Failure:
                    break

    async def statuses(self) -> dict[str, str]:
        return {
            row["id"]: row["status"]
            for row in await self.sql("orders", "select id::text, status from orders")
        }

    async def open_runs(self) -> list[Any]:
        wanted = "select order_id::text, definition, state, step from live_runs"
        return await self.sql("orders", wanted)

    # --- rest ---

    async def is_at_rest(self) -> bool:
        """Every outbox is empty and every consumer has confirmed all that is on the bus."""
        for service in ("orders", "inventory", "payments", "delivery"):
            if await self.sql(service, "select from outbox"):
                return False
        behind = "select from leases s join topics t on t.id = s.topic_id where s.committed < t.next_position"
        return not await self.sql("bus", behind)

    async def findings(self, *without: str) -> list[Any]:
        """What `orderhub check` finds in these databases."""
        names = [name for name in checks.NAMES if name not in without]
        return await checks.one_pass(Reach(lambda name: self.urls[name], False), only=names)

    async def picture(self) -> dict[str, list[str]]:
        """What the services keep of all orders, as text: to see whether anything at all has changed."""
        tables = {
            "orders": ("orders", "order_lines", "ended_runs", "order_events"),
            "inventory": ("stocks", "animals", "reservations", "stock_movements"),
            "payments": ("payments", "refunds", "ledger_entries", "payment_intents"),
            "delivery": ("deliveries", "welfare_decisions"),
            "simulator": ("authorizations", "refunds"),
        }
        return {
            f"{service}.{table}": [row["t"] for row in await self.sql(service, f"select x::text as t from {table} x order by 1")]
            for service, names in tables.items()
            for table in names
        }  # fmt: skip


@pytest.fixture
async def world(
    make_settings: Callable[..., Awaitable[Any]],
    make_database: Callable[..., Awaitable[str]],
    bus_url: str,
    request: pytest.FixtureRequest,
) -> AsyncIterator[World]:
    """inventory, payments, delivery, orders and the provider, with a vendor; auth's database without its service."""
    world = World(JumpingClock())
    around = Surroundings(clock=world.clock, hints=Hints())
    async with AsyncExitStack() as stack:

        async def start(name: str, **over: Any) -> Any:
            settings_class = importlib.import_module(f"orderhub_{name}.settings").Settings
            settings = await make_settings(settings_class, f"orderhub_{name}", **KEYS, **over)
            world.urls[f"orderhub_{name}"] = settings.database_url.get_secret_value()
            build = importlib.import_module(f"orderhub_{name}.app").build
            service = await stack.enter_async_context(build(settings, around))
            address = f"127.0.0.1:{service.chassis.grpc_port}"
            tokens = InternalTokens(KEYS["internal_key"], world.clock)
            peer = await stack.enter_async_context(client.connect(address, tokens, timedelta(seconds=30)))
            world.peers[name], world.stubs[name] = peer, STUBS[name](peer.channel)
            return service

        world.urls["orderhub_bus"] = bus_url
        world.urls["orderhub_auth"] = await make_database(MESSAGING, "orderhub_auth")
        provider = await stack.enter_async_context(await _simulator(world, make_database))
        inventory = await start("inventory")
        fast = {"retry_first": timedelta(milliseconds=20), "retry_longest": timedelta(milliseconds=200)}
        await start("payments", simulator_url=provider.url, simulator_api_key="s" * 40, **fast)
        await start("delivery")
        address = f"127.0.0.1:{inventory.chassis.grpc_port}"
        await start("orders", inventory_address=address, sweep_every=timedelta(milliseconds=50))
        await world.make_vendor()
        yield world


STUBS = {
    "inventory": inventory_pb2_grpc.InventoryServiceStub,
    "payments": payments_pb2_grpc.PaymentsServiceStub,
    "delivery": delivery_pb2_grpc.DeliveryServiceStub,
    "orders": orders_pb2_grpc.OrdersServiceStub,
}


async def _simulator(world: World, make_database: Callable[..., Awaitable[str]]) -> Any:
    app = importlib.import_module("orderhub_simulator.app")
    settings = importlib.import_module("orderhub_simulator.settings").Settings
    world.urls["orderhub_simulator"] = await make_database("orderhub_simulator")
    chosen = settings(database_url=world.urls["orderhub_simulator"], api_key="s" * 40, timeout_seconds=0)
    return app.build(chosen, Surroundings())


@pytest.fixture
def publish() -> Any:
    """What really publishes, whatever a test puts in its place."""
    return PostgresBus.publish
