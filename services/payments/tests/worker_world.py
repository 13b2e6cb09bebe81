"""A database of payments, replicas of the worker on it, and a provider that answers when it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import asyncpg
from orderhub_chassis.clock import ManualClock
from orderhub_chassis.consumer import Context
from orderhub_chassis.db import Database, Transaction
from orderhub_chassis.health import Readiness
from orderhub_chassis.ids import uuid7
from orderhub_chassis.messages import Envelope
from orderhub_contracts.common.v1.common_pb2 import Money
from orderhub_contracts.events.v1.records_pb2 import Record, SagaRef
from orderhub_contracts.payments.v1.commands_pb2 import AuthorizePayment, CapturePayment, ReversePayment
from orderhub_payments import store
from orderhub_payments.clients import Providers
from orderhub_payments.commands import Book
from orderhub_payments.consumers import HANDLERS
from orderhub_payments.model import Authorize, Authorized, Operation, Result
from orderhub_payments.settings import Settings
from orderhub_payments.worker import Worker

LEASE, TIMEOUT = timedelta(seconds=10), timedelta(seconds=4)


class ToldProvider:
    """The card network's edge: authorizes what it is asked, unless told otherwise, and only while it may."""

    name = "simulator"

    def __init__(self) -> None:
        self.calls: list[list[Operation]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.under_way = self.most_under_way = 0

    async def execute(self, operations: Sequence[Operation]) -> list[Result]:
        self.calls.append(list(operations))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self.may_answer.wait()
            return [self.answer(operation) for operation in operations]
        finally:
            self.under_way -= 1

    def answer(self, operation: Operation) -> Result:
        return Authorized(f"ref-{operation.key}")

    @property
    def asked(self) -> list[str]:
        """The order of each authorization that was asked, in order."""
        return [o.reference for call in self.calls for o in call if isinstance(o, Authorize)]


class Replica:
    """A worker with its own connections, and what the consumer beside it does."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self.db = db
        self.provider = ToldProvider()
        self.worker = Worker(db, Providers(self.provider), Readiness(opened=True), settings)

    async def commands(self, *payloads: Any, lease: bool = True) -> None:
        """As the consumer does it: one transaction, then the jobs go to the worker. Without a lease nobody has them."""

        async def work(tx: Transaction) -> Book:
            context = Context(self.db.clock.now(), self.db.new_id)
            book = await store.load(tx, {UUID(p.order_id) for p in payloads}, provider=self.provider.name)
            for payload in payloads:
                tx.send_all(HANDLERS[type(payload)](book, _step(payload), context))
            await store.save(tx, book, now=context.now, lease=self.worker.lease() if lease else None)
            return book

        book = await self.db.run(work)
        self.worker.offer(book.jobs)


def _step(payload: Any) -> Envelope:
    undoes = isinstance(payload, ReversePayment)
    id = payload.order_id
    saga = SagaRef(
        order_id=id,
        run_id=id,
        step=4 if isinstance(payload, CapturePayment) else 2,
        epoch=2 if undoes else 1,
        compensation=undoes,
    )
    return Envelope("payments.commands.v1", 0, uuid7(), Record(id="m", key=id, saga=saga), payload)


def authorizing(order_id: UUID) -> AuthorizePayment:
    return AuthorizePayment(
        order_id=str(order_id), customer_id=str(uuid7()), vendor_id=str(uuid7()), token="tok_ok",
        amount=Money(amount_minor=5000, currency="EUR"),
    )  # fmt: skip


class World:
    """One database of payments, and any number of replicas on it by one clock."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = ManualClock()
        self.url = settings.database_url.get_secret_value()

    @asynccontextmanager
    async def replica(self, **over: Any) -> AsyncIterator[Replica]:
        settings = self.settings.model_copy(update=over)
        async with Database.open(self.url, service="payments", clock=self.clock) as db:
            replica = Replica(db, settings)
            try:
                yield replica
            finally:
                replica.provider.may_answer.set()
                await replica.worker.close()

    async def sql(self, statement: str, *arguments: Any, elsewhere: bool = False) -> list[Any]:
        url = urlunsplit(urlsplit(self.url)._replace(path="/postgres")) if elsewhere else self.url
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetch(statement, *arguments)
        finally:
            await connection.close()

    @asynccontextmanager
    async def somebody(self) -> AsyncIterator[asyncpg.Connection]:
        """Another replica's open transaction; it commits with the block."""
        connection = await asyncpg.connect(self.url)
        try:
            async with connection.transaction():
                yield connection
        finally:
            await connection.close()

    async def waits_for_a_lock(self) -> bool:
        name = urlsplit(self.url).path[1:]
        query = "select 1 from pg_stat_activity where datname = $1 and wait_event_type = 'Lock'"
        return bool(await self.sql(query, name, elsewhere=True))

    async def connections_allowed(self, allowed: bool) -> None:
        name = urlsplit(self.url).path[1:]
        await self.sql(f"alter database {name} allow_connections {allowed}", elsewhere=True)
        if not allowed:
            query = "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1"
            await self.sql(query, name, elsewhere=True)

    async def intents(self) -> list[Any]:
        return await self.sql("select * from payment_intents order by seq")

    def all_are(self, status: str, count: int) -> Callable[[], Awaitable[bool]]:
        async def condition() -> bool:
            return [row["status"] for row in await self.intents()] == [status] * count

        return condition


async def true(value: Any) -> bool:
    return bool(value())


def the_runner() -> asyncio.Task[Any]:
    """The task of the only replica's only call."""
    (found,) = (task for task in asyncio.all_tasks() if "Worker._work" in repr(task.get_coro()))
    return found


async def claimed_until(replica: Replica, world: World, count: int) -> bool:
    await replica.worker.claim()
    return await world.all_are("done", count)()


async def a_world(make_settings: Any) -> World:
    values = {"simulator_url": "http://127.0.0.1:1", "simulator_api_key": "k" * 16}
    return World(
        await make_settings(Settings, "orderhub_payments", lease=LEASE, provider_timeout=TIMEOUT, **values)
    )
