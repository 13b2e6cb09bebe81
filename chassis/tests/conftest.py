"""What the chassis's tests share: a way to trouble a database, and a small world of producer, bus and consumer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from orderhub_chassis.bus.postgres import PostgresBus
from orderhub_chassis.clock import Clock
from orderhub_chassis.consumer import ConsumerSpec, Runner
from orderhub_chassis.db import Database
from orderhub_chassis.health import Readiness
from orderhub_chassis.ids import uuid7
from orderhub_chassis.messages import Envelope, OutboxBatch, Outgoing, batch_from_bytes, pack, row_of, unpack
from orderhub_chassis.relay import Relay
from orderhub_contracts import topics
from orderhub_contracts.events.v1.records_pb2 import Record, SagaRef
from orderhub_contracts.payments.v1.commands_pb2 import AuthorizePayment, CapturePayment


@pytest.fixture(autouse=True, scope="session")
def _plain_logs() -> None:
    """Unconfigured, structlog draws a box with every local variable around a traceback: seconds for a large one."""
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()]
    )


@pytest.fixture
def a_ca(tmp_path: Path) -> Path:
    """The certificate of a CA that nobody knows; its key is beside it as `key.pem`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "CA of a test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "ca.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (tmp_path / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    return tmp_path / "ca.pem"


class Server:
    """The server's side of one database: plain SQL over a connection of its own, and outages."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.name = urlsplit(url).path[1:]

    async def sql(self, statement: str, *arguments: Any, elsewhere: bool = False) -> list[Any]:
        url = urlunsplit(urlsplit(self.url)._replace(path="/postgres")) if elsewhere else self.url
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetch(statement, *arguments)
        finally:
            await connection.close()

    async def value(self, statement: str, *arguments: Any) -> Any:
        return (await self.sql(statement, *arguments))[0][0]

    async def hang_up(self) -> None:
        """Every connection of the product to the database breaks once; the test's own ones stay."""
        await self.sql(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = $1 and application_name like 'orderhub-%'",
            self.name,
            elsewhere=True,
        )

    async def go_away(self) -> None:
        """Nothing connects any more."""
        await self.sql(f"alter database {self.name} allow_connections false", elsewhere=True)
        await self.hang_up()

    async def come_back(self) -> None:
        await self.sql(f"alter database {self.name} allow_connections true", elsewhere=True)

    @asynccontextmanager
    async def holding(self, statement: str) -> AsyncIterator[None]:
        """A transaction of somebody else, open until the block ends."""
        connection = await asyncpg.connect(self.url)
        try:
            async with connection.transaction():
                await connection.execute(statement)
                yield
        finally:
            await connection.close()

    async def waiting_for_locks(self) -> int:
        rows = await self.sql(
            "select count(*) from pg_stat_activity where datname = $1 and wait_event_type = 'Lock'",
            self.name,
            elsewhere=True,
        )
        return rows[0][0]

    async def idle_in_transaction(self) -> int:
        """Sessions that have done their part and hold what they locked."""
        rows = await self.sql(
            "select count(*) from pg_stat_activity where datname = $1 and state = 'idle in transaction'",
            self.name,
            elsewhere=True,
        )
        return rows[0][0]


@pytest.fixture
def server() -> type[Server]:
    """`server(url)`: the server's side of that database."""
    return Server


@dataclass
class State:
    """What one batch has loaded and decided."""

    applied: list[tuple[str, int]] = field(default_factory=list)


def note(state: State, envelope: Envelope) -> None:
    """The usual effect: one row per message, and no more."""
    state.applied.append((envelope.key, int(envelope.payload.token)))


@dataclass
class Living:
    """A consumer that runs."""

    runner: Runner[State]
    db: Database
    bus: PostgresBus
    readiness: Readiness
    task: asyncio.Task[None]


class World:
    """A service called payments that consumes its commands, and the bus they come over.

    A command is a key and a number; its effect is a row (key, number) in `effects`, in the order of the commits.
    """

    topic = topics.PAYMENTS_COMMANDS
    name = "payments"

    def __init__(self, database: str, bus: str) -> None:
        self.database, self.bus_url = Server(database), Server(bus)

    def spec(
        self,
        decide: Callable[[State, Envelope], Any] = note,
        after_commit: Callable[[State], None] | None = None,
        capture: bool = False,
    ) -> ConsumerSpec[State]:
        async def load(tx: Any, envelopes: Sequence[Envelope], context: Any) -> State:
            return State()

        async def save(tx: Any, state: State, context: Any) -> None:
            await tx.execute(
                "insert into effects (key, number) select * from unnest($1::text[], $2::int[])",
                [key for key, _ in state.applied],
                [number for _, number in state.applied],
            )

        def handle(state: State, envelope: Envelope, context: Any) -> Sequence[Outgoing]:
            return decide(state, envelope) or []

        handlers = {AuthorizePayment: handle, **({CapturePayment: handle} if capture else {})}
        return ConsumerSpec(self.name, (self.topic,), load, handlers, save, after_commit)

    def command(self, key: str, number: int, **fields: Any) -> Outgoing:
        saga = SagaRef(order_id=key, run_id=f"run-{key}", step=1, epoch=1)
        return Outgoing(AuthorizePayment(order_id=key, token=str(number)), key, saga=saga, **fields)

    def batch(self, *commands: tuple[str, int] | Outgoing | Record) -> OutboxBatch:
        """As an outbox row would hold them."""
        records = [self._record(command) for command in commands]
        batch_id = uuid7()
        unplaced = [(record.key, record.SerializeToString()) for record in records]
        return OutboxBatch.of_row(batch_id, self.topic, row_of(pack(batch_id, self.topic, unplaced)))

    def _record(self, command: tuple[str, int] | Outgoing | Record) -> Record:
        if isinstance(command, Record):
            return command
        message = self.command(*command) if isinstance(command, tuple) else command
        return Record(
            key=message.key,
            type=message.payload.DESCRIPTOR.full_name,
            payload=message.payload.SerializeToString(),
            saga=message.saga,
            actor=message.actor,
            traceparent=message.traceparent,
        )

    @asynccontextmanager
    async def bus(self, *, ttl: float = 5.0) -> AsyncIterator[PostgresBus]:
        async with (
            Database.open(self.bus_url.url, service="bus") as db,
            PostgresBus.open(db, ttl=timedelta(seconds=ttl)) as bus,
        ):
            yield bus

    @asynccontextmanager
    async def db(self, clock: Clock | None = None) -> AsyncIterator[Database]:
        async with Database.open(self.database.url, service=self.name, clock=clock) as db:
            yield db

    async def publish(self, *batches: OutboxBatch) -> None:
        async with self.bus() as bus:
            await bus.publish(batches)

    @asynccontextmanager
    async def running(
        self,
        spec: ConsumerSpec[State],
        *,
        member: str = "m",
        ttl: float = 5.0,
        batch: int = 400,
        replay_rate: float = 1000,
    ) -> AsyncIterator[Living]:
        """A replica: own connections, no hints. It stops as a service does: the open batch is finished."""
        async with AsyncExitStack() as stack:
            db = await stack.enter_async_context(self.db())
            bus = await stack.enter_async_context(self.bus(ttl=ttl))
            readiness = Readiness(opened=True)
            runner = Runner(spec, db, bus, member, readiness, batch, replay_rate)
            task = asyncio.create_task(runner.run())
            try:
                yield Living(runner, db, bus, readiness, task)
            finally:
                runner.stop()
                await asyncio.wait_for(task, 20)

    @asynccontextmanager
    async def relaying(self, db: Database, bus: PostgresBus, holder: str = "r") -> AsyncIterator[Relay]:
        relay = Relay(db, bus, holder, Readiness(opened=True))
        task = asyncio.create_task(relay.run())
        try:
            yield relay
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def effects(self) -> list[tuple[str, int]]:
        return [
            (r["key"], r["number"]) for r in await self.database.sql("select * from effects order by seq")
        ]

    def applied(self, *expected: tuple[str, int], some: int = 0) -> Callable[[], Any]:
        """A condition: these effects, or so many, are there."""

        async def condition() -> bool:
            found = await self.effects()
            return len(found) >= some if some else sorted(found) == sorted(expected)

        return condition

    async def dead_letters(self) -> list[Any]:
        return await self.database.sql("select * from dead_letters order by seq")

    async def sent(self) -> list[tuple[str, Any]]:
        """Topic and record of everything that waits in the outbox."""
        rows = await self.database.sql("select topic, records from outbox order by id")
        return [
            (row["topic"], record)
            for row in rows
            for part in unpack(row["records"]).parts
            for record in batch_from_bytes(part.batch).records
        ]


@pytest.fixture
async def small_world(make_database: Any) -> World:
    """Without a bus, for what needs a service's own database alone."""
    made = World(await make_database("orderhub_chassis"), "")
    await made.database.sql(
        "create table effects (seq bigint generated always as identity, key text not null, number int not null)"
    )
    return made


@pytest.fixture
def world(small_world: World, bus_url: str) -> World:
    small_world.bus_url = Server(bus_url)
    return small_world
