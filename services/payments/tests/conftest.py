"""Payments as it runs: the real simulator as a process of its own, the real bus, and an orders side that asks."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import aiohttp
import asyncpg
import pytest
import pytest_asyncio
from google.protobuf.message import Message
from orderhub_chassis import migrate
from orderhub_chassis.calls import Call, Caller
from orderhub_chassis.consumer import ConsumerSpec, Context
from orderhub_chassis.db import Transaction
from orderhub_chassis.grpc import client as grpc_client
from orderhub_chassis.ids import uuid7
from orderhub_chassis.messages import Envelope, Outgoing
from orderhub_chassis.service import Chassis, Surroundings, open_chassis
from orderhub_chassis.settings import ServiceSettings
from orderhub_contracts.common.v1.common_pb2 import Money
from orderhub_contracts.events.v1.events_pb2 import PaymentChanged
from orderhub_contracts.events.v1.records_pb2 import SagaRef
from orderhub_contracts.orders.v1 import replies_pb2
from orderhub_contracts.orders.v1.replies_pb2 import SagaReply
from orderhub_contracts.payments.v1 import payments_pb2_grpc
from orderhub_contracts.payments.v1.commands_pb2 import AuthorizePayment, CapturePayment, ReversePayment
from orderhub_contracts.topics import ORDERS_REPLIES, PAYMENTS_EVENTS
from orderhub_payments.app import Service, build
from orderhub_payments.settings import Settings

sys.path.insert(0, str(Path(__file__).parent))
API_KEY = "a-key-for-tests-only"
AUTHORIZE, CAPTURE = 2, 4

# ---- the provider, a party of its own


@dataclass
class SimulatorProcess:
    """`python -m orderhub_simulator` on its own database; `port` stays the same over restarts."""

    database_url: str
    port: int = 0
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Returns when it listens."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("ORDERHUB_")}
        env |= {
            "ORDERHUB_SIMULATOR_DATABASE_URL": self.database_url,
            "ORDERHUB_SIMULATOR_API_KEY": API_KEY,
            "ORDERHUB_SIMULATOR_PORT": str(self.port),
        }
        command = [sys.executable, "-m", "orderhub_simulator"]
        self.process = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        for line in self.process.stderr:
            event = json.loads(line)
            if event["event"] == "listening":
                self.port = int(event["url"].rpartition(":")[2])
                return
        raise AssertionError("the simulator ended before it listened")

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.communicate()

    async def get(self, path: str) -> Any:
        """What the provider itself says."""
        return await self._call("GET", path)

    async def post(self, path: str, key: str, body: Any) -> Any:
        """Past payments: what somebody else does at the provider."""
        return await self._call("POST", path, headers={"Idempotency-Key": key}, json=body)

    async def _call(self, method: str, path: str, **over: Any) -> Any:
        headers = {"Authorization": f"Bearer {API_KEY}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.request(method, f"{self.url}{path}", **over) as response,
        ):
            return await response.json()

    async def authorizations(self, order_id: UUID) -> list[Any]:
        return (await self.get(f"/v1/authorizations?reference={order_id}"))["items"]


# What follows is opened once per module, on databases of its own: the tests of a module use different orders.


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fresh() -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """`await fresh(*packages)`: the URL of a new database with their migrations; dropped after the module."""
    server, made = os.environ["ORDERHUB_TEST_POSTGRES"], list[str]()

    async def make(*packages: str) -> str:
        name = f"t_{uuid7().hex}"
        await _run(server, f"create database {name}")
        made.append(name)
        url = urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        connection = await asyncpg.connect(url)
        await migrate.migrate(connection, *packages)
        await connection.close()
        return url

    yield make
    for name in made:
        await _run(server, f"drop database if exists {name} with (force)")


async def _run(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def simulator(fresh: Callable[..., Awaitable[str]]) -> AsyncIterator[SimulatorProcess]:
    process = SimulatorProcess(await fresh("orderhub_simulator"))
    process.start()
    yield process
    process.kill()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def common(fresh: Callable[..., Awaitable[str]]) -> dict[str, Any]:
    """The settings that all services of a module share: one bus, one Redis, the keys."""
    return {
        "bus": await fresh("orderhub_chassis.bus"),
        "redis_url": os.environ["ORDERHUB_TEST_REDIS"],
        "internal_key": "i" * 40,
        "cursor_key": "c" * 40,
    }


# ---- the orders side


@dataclass
class Orders:
    """Sends saga commands and keeps what comes back, in order of arrival."""

    chassis: Chassis
    replies: list[tuple[SagaRef, SagaReply]] = field(default_factory=list)
    events: list[PaymentChanged] = field(default_factory=list)

    async def send(self, *messages: Outgoing) -> None:
        async def work(tx: Transaction) -> None:
            tx.send_all(messages)

        await self.chassis.db.run(work)

    def replies_to(self, order_id: UUID, step: int, *, compensation: bool = False) -> list[SagaReply]:
        return [
            reply
            for saga, reply in self.replies
            if (saga.order_id, saga.step, saga.compensation) == (str(order_id), step, compensation)
        ]

    async def definite(self, order_id: UUID, step: int, *, compensation: bool = False) -> SagaReply:
        """The first definite reply to a step."""
        async with asyncio.timeout(20):
            while True:
                for reply in self.replies_to(order_id, step, compensation=compensation):
                    if reply.outcome != replies_pb2.OUTCOME_UNKNOWN:
                        return reply
                await asyncio.sleep(0.005)

    def kinds(self, order_id: UUID) -> list[str]:
        return [event.kind for event in self.events if event.order_id == str(order_id)]

    async def authorized(self, order_id: UUID, **over: Any) -> SagaReply:
        await self.send(self.authorizing(order_id, **over))
        return await self.definite(order_id, AUTHORIZE)

    async def captured(self, order_id: UUID, **over: Any) -> SagaReply:
        await self.send(self.capturing(order_id, **over))
        return await self.definite(order_id, CAPTURE)

    async def reversed(self, order_id: UUID, **over: Any) -> SagaReply:
        await self.send(self.reversing(order_id, **over))
        return await self.definite(order_id, AUTHORIZE, compensation=True)

    @staticmethod
    def authorizing(order_id: UUID, *, token: str = "tok_ok", people: Any = None, **over: Any) -> Outgoing:
        """5000 minor units; of these people, or of somebody."""
        command = AuthorizePayment(
            order_id=str(order_id), amount=Money(amount_minor=5000, currency="EUR"), token=token,
            customer_id=people.customer.user_id if people else str(uuid7()),
            vendor_id=people.vendor.vendor_id if people else str(uuid7()),
        )  # fmt: skip
        return _step(order_id, command, AUTHORIZE, **over)

    @staticmethod
    def capturing(order_id: UUID, **over: Any) -> Outgoing:
        return _step(order_id, CapturePayment(order_id=str(order_id)), CAPTURE, **over)

    @staticmethod
    def reversing(order_id: UUID, *, epoch: int = 2, number: int = AUTHORIZE, **over: Any) -> Outgoing:
        command = ReversePayment(order_id=str(order_id), reason="the order was cancelled")
        return _step(order_id, command, number, epoch=epoch, compensation=True, **over)


def _step(
    order_id: UUID, message: Message, number: int, *,
    epoch: int = 1, compensation: bool = False, run: UUID | None = None,
) -> Outgoing:  # fmt: skip
    saga = SagaRef(
        order_id=str(order_id),
        run_id=str(run or order_id),
        step=number,
        epoch=epoch,
        compensation=compensation,
    )
    return Outgoing(message, str(order_id), saga=saga)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def orders(common: dict[str, Any], fresh: Callable[..., Awaitable[str]]) -> AsyncIterator[Orders]:
    settings = ServiceSettings(database_url=await fresh("orderhub_chassis"), **common)
    async with open_chassis("orders", settings, Surroundings(), package="orderhub_chassis") as chassis:
        side = Orders(chassis)

        async def load(tx: Transaction, envelopes: Sequence[Envelope], context: Context) -> list[Envelope]:
            return []

        def keep(state: list[Envelope], envelope: Envelope, context: Context) -> list[Outgoing]:
            state.append(envelope)
            return []

        async def save(tx: Transaction, state: list[Envelope], context: Context) -> None:
            return None

        def collect(state: list[Envelope]) -> None:
            for envelope in state:
                if isinstance(envelope.payload, SagaReply):
                    assert envelope.saga is not None
                    side.replies.append((envelope.saga, envelope.payload))
                else:
                    side.events.append(envelope.payload)

        handlers = {SagaReply: keep, PaymentChanged: keep}
        await chassis.consume(
            ConsumerSpec("orders", (ORDERS_REPLIES, PAYMENTS_EVENTS), load, handlers, save, collect)
        )
        yield side


# ---- payments itself


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def settings(
    common: dict[str, Any], simulator: SimulatorProcess, fresh: Callable[..., Awaitable[str]]
) -> Callable[..., Settings]:
    """`settings(**over)`: payments on the module's database and simulator; quick retries."""
    quick = {
        "database_url": await fresh("orderhub_chassis", "orderhub_payments"),
        "simulator_url": simulator.url,
        "simulator_api_key": API_KEY,
        "retry_first": timedelta(milliseconds=10),
        "retry_longest": timedelta(milliseconds=100),
        "poll": timedelta(milliseconds=100),
    }
    return lambda **over: Settings(**{**common, **quick, **over})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(settings: Callable[..., Settings]) -> AsyncIterator[Service]:
    async with build(settings(), Surroundings()) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def sql(settings: Callable[..., Settings]) -> AsyncIterator[asyncpg.Connection]:
    """A session of its own on the database of payments."""
    connection = await asyncpg.connect(settings().database_url.get_secret_value())
    yield connection
    await connection.close()


class Client:
    """Calls PaymentsService as somebody."""

    def __init__(self, peer: grpc_client.Peer) -> None:
        self._peer = peer
        self._stub = payments_pb2_grpc.PaymentsServiceStub(peer.channel)

    async def call(self, method: str, request: Any, caller: Caller, **over: Any) -> Any:
        call = Call(caller=caller, **over)
        return await self._peer.call(getattr(self._stub, method), request, call=call)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(service: Service) -> AsyncIterator[Client]:
    address = f"127.0.0.1:{service.grpc_port}"
    async with grpc_client.connect(address, service.chassis.tokens, timedelta(seconds=5)) as peer:
        yield Client(peer)


@pytest.fixture
def people() -> SimpleNamespace:
    """New callers: the customer and the vendor of an order, strangers, and the operator."""
    customer, vendor, courier = frozenset({"customer"}), frozenset({"vendor"}), frozenset({"courier"})
    return SimpleNamespace(
        operator=Caller(str(uuid7()), frozenset({"operator"})),
        customer=Caller(str(uuid7()), customer),
        vendor=Caller(str(uuid7()), vendor, vendor_id=str(uuid7())),
        other_customer=Caller(str(uuid7()), customer),
        other_vendor=Caller(str(uuid7()), vendor, vendor_id=str(uuid7())),
        courier=Caller(str(uuid7()), courier),
        nobody=Caller(),
    )


@pytest.fixture
def order_id() -> UUID:
    return uuid7()
