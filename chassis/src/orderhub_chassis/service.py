"""One call that gives a service all of its surroundings: database, bus, relay, consumer, gRPC, health, jobs.

A service's `build(settings)` opens this, adds its own parts and yields; closing goes the other way round: stop
accepting, finish what is under way, empty the outbox, let go of leases.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from orderhub_contracts.events.v1 import dead_letters_pb2, dead_letters_pb2_grpc

from orderhub_chassis import (
    cdc,
    deadletters,
    hints,
    http,
    idempotency,
    inbox,
    metrics,
    migrate,
    outages,
    outbox,
    starting,
    steady,
    tasks,
)
from orderhub_chassis.bus import identity
from orderhub_chassis.bus import postgres as postgres_bus
from orderhub_chassis.bus.base import Bus
from orderhub_chassis.bus.postgres import PostgresBus
from orderhub_chassis.calls import InternalTokens
from orderhub_chassis.clock import Clock, SystemClock
from orderhub_chassis.consumer import ConsumerSpec, Runner
from orderhub_chassis.cursors import Cursors
from orderhub_chassis.db import Database, WriteOutbox
from orderhub_chassis.errors import Unavailable
from orderhub_chassis.grpc import client, server
from orderhub_chassis.grpc.deadletters import DeadLetterServicer
from orderhub_chassis.health import Readiness
from orderhub_chassis.hints import Hints
from orderhub_chassis.ids import NewId, uuid7
from orderhub_chassis.relay import Relay
from orderhub_chassis.settings import KAFKA, PREFIX, CommonSettings, ServiceSettings
from orderhub_chassis.telemetry import log

SWEEP_EVERY = timedelta(seconds=1)
INBOX_KEPT = timedelta(days=31)
MESSAGING = "orderhub_chassis"


@dataclass(frozen=True)
class Surroundings:
    """What the process around a service gives to it; tests put in their own clock and ids."""

    clock: Clock = field(default_factory=SystemClock)
    hints: Hints = field(default_factory=Hints)
    new_id: NewId = uuid7

    def of(self, settings: CommonSettings) -> Surroundings:
        """The same with the clock that the settings of a service give it. Raises SettingsError."""
        return replace(self, clock=steady.of(settings))


class Chassis:
    """The opened surroundings of one service. Everything registered here is closed in the right order."""

    def __init__(
        self, name: str, settings: ServiceSettings, around: Surroundings, stack: AsyncExitStack
    ) -> None:
        self.name = name
        self.settings = settings
        self.clock = around.clock
        self.hints = around.hints
        self.new_id = around.new_id
        self.readiness = Readiness()
        self.tokens = InternalTokens(settings.internal_key.get_secret_value(), around.clock)
        self.cursors = Cursors(settings.cursor_key.get_secret_value().encode())
        self.db: Database
        self.bus: Bus
        self.peers_health = server.Health()
        self.grpc_port = 0
        self.http_port = 0
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stack = stack
        self._runner: Runner[Any] | None = None

    async def enter(self, manager: contextlib.AbstractAsyncContextManager[Any]) -> Any:
        return await self._stack.enter_async_context(manager)

    async def drain(self) -> None:
        """Tell everybody that this one is about to stop, and serve on until they have had time to go elsewhere."""
        self.readiness.drain()
        await self.peers_health.leave()
        await asyncio.sleep(self.settings.drain_delay.total_seconds())

    async def connect(self, address: str) -> client.Peer:
        peer: client.Peer = await self.enter(client.connect(address, self.tokens, self.settings.call_timeout))
        return peer

    async def consume(self, spec: ConsumerSpec[Any]) -> Runner[Any]:
        """Run the consumer until the service closes; at closing the open batch is finished."""
        settings = self.settings
        runner: Runner[Any] = Runner(
            spec, self.db, self.bus, settings.instance, self.readiness, settings.consumer_batch, settings.replay_rate
        )  # fmt: skip
        self._runner = runner
        await self.enter(self._task("consumer", runner.run, stop=runner.stop))
        return runner

    async def every(
        self, period: timedelta, name: str, work: Callable[[], Awaitable[object]], *, wake: str = ""
    ) -> None:
        """Run `work` every `period`, or sooner on the hint `wake`; a truthy result means: again at once."""
        woken = self.hints.subscribe(wake) if wake else asyncio.Event()

        async def loop() -> None:
            while True:
                woken.clear()
                try:
                    again = await work()
                    self.readiness.ready(name)
                except (Unavailable, OSError) as error:
                    self.readiness.unready(name, str(error))
                    log(name).warning("job.waits", job=name, reason=str(error))
                    again = False
                if not again:
                    await hints.wait(woken, period.total_seconds() * random.uniform(0.8, 1.0))

        await self.enter(self._task(name, loop))

    async def serve_grpc(self, registrations: Sequence[server.Register], service_names: Sequence[str]) -> int:
        """Serve the servicers, and the dead letters where the service consumes. Returns the bound port."""
        names, added = list(service_names), list(registrations)
        if self._runner is not None:
            servicer = DeadLetterServicer(self.db, self._runner, self.cursors)
            added.append(lambda s: dead_letters_pb2_grpc.add_DeadLetterServiceServicer_to_server(servicer, s))
            names.append(dead_letters_pb2.DESCRIPTOR.services_by_name["DeadLetterService"].full_name)
        settings = self.settings
        self.grpc_port = await self.enter(
            server.serve(
                self.name, added, names, self.tokens, host=settings.grpc_host, port=settings.grpc_port,
                grace=settings.shutdown_grace.total_seconds(), peers_health=self.peers_health,
            )
        )  # fmt: skip
        return self.grpc_port

    @asynccontextmanager
    async def _task(
        self, name: str, work: Callable[[], Awaitable[None]], *, stop: Callable[[], None] | None = None
    ) -> AsyncIterator[None]:
        """A background task: asked to stop and waited for at closing, or cancelled where it cannot be asked."""
        with structlog.contextvars.bound_contextvars(service=self.name):
            task = asyncio.create_task(_awaited(work))
        task.add_done_callback(partial(tell_of_death, self.failed, self.name))
        try:
            yield
        finally:
            if stop is not None:
                stop()
                await asyncio.wait([task], timeout=self.settings.shutdown_grace.total_seconds())
            await tasks.end(task)


async def _awaited(work: Callable[[], Awaitable[None]]) -> None:
    await work()


def tell_of_death(failed: asyncio.Future[None], service: str, task: asyncio.Future[None]) -> None:
    """For a task beside the serving that has ended: its failure is logged, and `failed` ends the service."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log(service).error("service.task_died", exc_info=error)
        if not failed.done():
            failed.set_exception(error)


@asynccontextmanager
async def open_chassis(
    name: str, settings: ServiceSettings, around: Surroundings, *, package: str, relay: bool = True
) -> AsyncIterator[Chassis]:
    """Database, bus, relay, health port and housekeeping of one service.

    Waits for a database or bus that cannot be reached, or is behind the code; /readyz says so meanwhile.
    """
    async with AsyncExitStack() as stack:
        chassis = Chassis(name, settings, around, stack)
        chassis.http_port = await chassis.enter(
            http.serve(
                http.health_app(name, chassis.readiness),
                host=settings.http_host,
                port=settings.http_port,
                grace=2,
            )
        )
        await _reach_backends(chassis, around, package)
        if relay and settings.relay == "cdc":
            await chassis.every(SWEEP_EVERY, "relay", cdc.Sweeper(chassis.db).sweep)
        elif relay:
            await _start_relay(chassis)
        await chassis.every(timedelta(seconds=5), "housekeeping", lambda: _housekeeping(chassis))
        try:
            yield chassis
        finally:  # also when a neighbour in the process could not start: nobody may take it for ready meanwhile
            chassis.readiness.opened = False


async def _reach_backends(chassis: Chassis, around: Surroundings, package: str) -> None:
    settings, readiness = chassis.settings, chassis.readiness
    write_outbox = cdc.write if settings.relay == "cdc" else outbox.write
    url, bus = settings.database_url.get_secret_value(), settings.bus.get_secret_value()
    where = outages.place(url)
    chassis.db = await starting.until_there(
        readiness, "database", where,
        lambda: chassis.enter(
            _database(url, chassis.name, settings.database_pool_size, around, write_outbox=write_outbox)
        ),
        variable=f"{PREFIX}{chassis.name.upper()}_DATABASE_URL",
    )  # fmt: skip
    await starting.until_there(readiness, "database", where, lambda: _compare_clocks(chassis))
    await starting.until_there(
        readiness, "migrations", "", lambda: _require_migrations(chassis.db, MESSAGING, package)
    )
    chassis.bus = await starting.until_there(
        readiness, "bus", outages.place(bus), lambda: chassis.enter(open_bus(settings, around)),
        variable=f"{PREFIX}BUS",
    )  # fmt: skip
    name = identity.name(chassis.bus, settings.relay)
    await starting.until_there(readiness, "database", where, lambda: identity.require(chassis.db, name))


def _database(
    url: str,
    name: str,
    size: int,
    around: Surroundings,
    session: Mapping[str, str] | None = None,
    write_outbox: WriteOutbox = outbox.write,
) -> Any:
    return Database.open(
        url,
        service=name,
        size=size,
        clock=around.clock,
        hints=around.hints,
        new_id=around.new_id,
        session=session,
        write_outbox=write_outbox,
    )


@asynccontextmanager
async def open_bus(settings: ServiceSettings, around: Surroundings) -> AsyncIterator[Bus]:
    """The adapter that ORDERHUB_BUS names. Raises MigrationError, TopicMismatch, Unavailable."""
    url = settings.bus.get_secret_value()
    if url.startswith(KAFKA):
        from orderhub_chassis.bus.kafka.bus import KafkaBus  # only who uses it pays for it
        from orderhub_chassis.bus.kafka.cluster import Cluster

        async with KafkaBus.open(
            Cluster.of(url, settings), f"{settings.service}@{settings.instance}"
        ) as kafka:
            yield kafka
        return
    async with _database(url, "bus", settings.bus_pool_size, around, postgres_bus.SESSION) as db:
        await _require_migrations(db, postgres_bus.PACKAGE)
        async with PostgresBus.open(db) as bus:
            yield bus


async def _require_migrations(db: Database, *packages: str) -> None:
    async with db.connection() as connection:
        missing = await migrate.pending(connection, *packages, phase="pre")
    if missing:
        raise migrate.Behind(f"{db.service}: run `orderhub migrate` first, missing: {', '.join(missing)}")


async def _start_relay(chassis: Chassis) -> None:
    relay = Relay(chassis.db, chassis.bus, chassis.settings.instance, chassis.readiness)

    @asynccontextmanager
    async def drained() -> AsyncIterator[None]:
        yield
        with contextlib.suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(chassis.settings.shutdown_grace.total_seconds()):
                await relay.drain()
                await relay.release()

    await chassis.enter(drained())
    await chassis.enter(chassis._task("relay", relay.run))


async def _compare_clocks(chassis: Chassis) -> None:
    await steady.compare(chassis.clock, lambda: chassis.db.fetchval("select clock_timestamp()"))


async def _loop_lag() -> float:
    """How much later than asked for the loop wakes a sleeper."""
    loop, nap = asyncio.get_running_loop(), 0.02
    due = loop.time() + nap
    await asyncio.sleep(nap)
    return max(0.0, loop.time() - due)


async def _housekeeping(chassis: Chassis) -> None:
    """Gauges every few seconds, and a little pruning."""
    await _compare_clocks(chassis)
    db, now = chassis.db, chassis.clock.now()
    metrics.LOOP_LAG.labels(chassis.name).set(await _loop_lag())
    row = await (cdc.waiting(db) if chassis.settings.relay == "cdc" else outbox.waiting(db))
    metrics.OUTBOX_ROWS.labels(chassis.name).set(row["n"])
    metrics.OUTBOX_AGE.labels(chassis.name).set((now - row["oldest"]).total_seconds() if row["oldest"] else 0)
    for topic, lag in (await chassis.bus.lag(chassis.name)).items():
        metrics.CONSUMER_LAG.labels(chassis.name, topic).set(lag)
    db.observe_pool()
    await idempotency.prune(db)
    await db.run(lambda tx: inbox.prune(tx, before=now - INBOX_KEPT))
    await deadletters.prune_attempts(db, before=now - INBOX_KEPT)
