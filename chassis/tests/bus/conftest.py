"""The adapters that the contract suite runs over: another one joins by one more class, fixture and parameter."""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import pytest
from confluent_kafka.admin import AdminClient
from orderhub_chassis import messages
from orderhub_chassis.bus.base import Bus
from orderhub_chassis.bus.kafka.bus import KafkaBus
from orderhub_chassis.bus.kafka.cluster import Cluster
from orderhub_chassis.bus.kafka.positions import Positions
from orderhub_chassis.bus.postgres import PostgresBus
from orderhub_chassis.db import Database
from orderhub_chassis.errors import Unavailable
from orderhub_chassis.hints import Hints
from orderhub_chassis.ids import uuid7
from orderhub_chassis.messages import Delivery, OutboxBatch
from orderhub_contracts import topics
from orderhub_contracts.events.v1.records_pb2 import Record
from orderhub_contracts.payments.v1.commands_pb2 import CapturePayment
from orderhub_contracts.topics import Topic

sys.path.insert(0, str(Path(__file__).parent))
from proxies import Proxies


class Adapter(Protocol):
    """What the suite needs to know of a bus beside `bus.base.Bus`."""

    def open(self, *, ttl: float = 3.0, hints: Hints | None = None) -> AbstractAsyncContextManager[Bus]:
        """As a process of its own would: own connections, and no hints unless they are given."""
        ...

    async def hang_up(self) -> None:
        """Every connection to the bus breaks once."""
        ...

    async def go_away(self) -> None:
        """Nothing connects any more."""
        ...

    async def come_back(self) -> None: ...

    async def keep(self, topic: Topic) -> int:
        """How many record batches (Kafka: messages) of the topic are still there."""
        ...


class OnPostgres:
    """The embedded bus, in a database of its own."""

    def __init__(self, server: Any) -> None:
        self.url, self.name = server.url, server.name
        self.sql = server.sql
        self.hang_up, self.go_away, self.come_back = server.hang_up, server.go_away, server.come_back

    @asynccontextmanager
    async def open(self, *, ttl: float = 3.0, hints: Hints | None = None) -> AsyncIterator[Bus]:
        async with (
            Database.open(self.url, service="bus", hints=hints) as db,
            PostgresBus.open(db, ttl=timedelta(seconds=ttl)) as bus,
        ):
            yield bus

    async def age(self, by: timedelta) -> None:
        """All that is on the bus was published `by` earlier."""
        await self.sql("update log set published_at = published_at - $1::interval", by)

    async def prune(self) -> None:
        async with Database.open(self.url, service="bus") as db, PostgresBus.open(db) as bus:
            await bus.prune()

    async def keep(self, topic: Topic) -> int:
        rows = await self.sql(
            "select count(*) as n from log join topics t on t.id = topic_id where t.name = $1", topic.name
        )
        return rows[0]["n"]


async def forget(cluster: Cluster, names: list[str]) -> None:
    def delete(client: AdminClient) -> None:
        for future in client.delete_topics(names).values():
            future.result()

    await cluster.admin().ask(delete)


class OnKafka:
    """Real brokers, reached by ways that can be cut, under names of the test's own."""

    def __init__(self, servers: str, ways: Proxies) -> None:
        self.cluster = Cluster(servers, prefix=f"t-{uuid4().hex[:12]}.", replication=3)
        self._ways = ways

    @asynccontextmanager
    async def open(self, *, ttl: float = 3.0, hints: Hints | None = None) -> AsyncIterator[Bus]:
        cluster = replace(self.cluster, ttl=timedelta(seconds=ttl), patience=timedelta(seconds=5))
        async with KafkaBus.open(cluster, "bus") as bus:
            yield bus

    async def hang_up(self) -> None:
        self._ways.hang_up()

    async def go_away(self) -> None:
        self._ways.close()

    async def come_back(self) -> None:
        self._ways.open()

    async def keep(self, topic: Topic) -> int:
        places = [(topic.name, partition) for partition in range(topic.partitions)]
        return sum((await Positions(self.cluster).ends(places)).values())

    async def delete(self) -> None:
        """The names of a test are its own, but the brokers are everybody's."""
        names = [self.cluster.prefix + topic.name for topic in topics.TOPICS]
        await forget(self.cluster, names)


SUITE = (topics.PAYMENTS_COMMANDS, topics.ORDERS_REPLIES)


@pytest.fixture(scope="session")
def ways_to_kafka(backend: Any) -> Iterator[Proxies]:
    kafka = backend("kafka")
    ways = Proxies(dict(zip(_ports(kafka["proxied"]), _ports(kafka["behind"]), strict=True)))
    with ways.running():
        yield ways


@pytest.fixture
async def on_kafka(
    backend: Any, ways_to_kafka: Proxies, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[OnKafka]:
    """Only the topics that the suite uses are made: brokers take a while for each partition."""
    monkeypatch.setattr(topics, "TOPICS", SUITE)
    ways_to_kafka.open()
    found = OnKafka(backend("kafka")["proxied"], ways_to_kafka)
    yield found
    ways_to_kafka.open()
    await found.delete()


def _ports(servers: str) -> list[int]:
    return [int(server.rpartition(":")[2]) for server in servers.split(",")]


@pytest.fixture(
    params=[
        "postgres",
        pytest.param("kafka", marks=[pytest.mark.backends, pytest.mark.xdist_group("kafka-proxied")]),
    ]
)
def adapter(request: pytest.FixtureRequest) -> Adapter:
    return request.getfixturevalue(f"on_{request.param}")


@pytest.fixture
def on_postgres(server: Any, bus_url: str) -> OnPostgres:
    """The embedded bus; also for what only it promises."""
    return OnPostgres(server(bus_url))


class Kit:
    """Builders and readers for the tests: a message is a (key, number) pair."""

    topic = topics.PAYMENTS_COMMANDS
    # One key for each of the twelve partitions, by murmur2.
    keys = ("k5", "k6", "k8", "k64", "k3", "k0", "k11", "k14", "k9", "k2", "k10", "k52")

    def batch(self, *pairs: tuple[str, int], topic: Topic | None = None) -> OutboxBatch:
        topic = topic or self.topic
        records = [(key, self._record(key, number).SerializeToString()) for key, number in pairs]
        batch_id = uuid7()
        return OutboxBatch.of_row(batch_id, topic, messages.row_of(messages.pack(batch_id, topic, records)))

    def _record(self, key: str, number: int) -> Record:
        return Record(
            key=key,
            type=CapturePayment.DESCRIPTOR.full_name,
            subject=str(number),
            payload=CapturePayment(order_id=key).SerializeToString(),
        )

    def pairs(self, deliveries: Iterable[Delivery]) -> list[tuple[str, int]]:
        return [(r.key, int(r.subject)) for d in deliveries for r in d.records]

    async def publish_surely(self, bus: Bus, batch: OutboxBatch) -> None:
        """As the relay does: for ever."""
        while True:
            try:
                return await bus.publish([batch])
            except Unavailable:
                await asyncio.sleep(0.02)

    async def read(self, consumer: Any, count: int, *, within: float = 60.0) -> list[Delivery]:
        """Poll until `count` messages have come; fails when they do not."""
        got: list[Delivery] = []
        async with asyncio.timeout(within):
            while sum(len(d.records) for d in got) < count:
                got += await consumer.poll(1000, timeout=0.5)
        return got

    async def nothing(self, consumer: Any) -> bool:
        """Whether a poll of several read rounds brings nothing."""
        return not await consumer.poll(1000, timeout=0.3)


@pytest.fixture
def kit() -> Kit:
    return Kit()


class Witness:
    """Sees what all members of a group read: who holds what, in which order, and that nobody shares."""

    def __init__(self) -> None:
        self.at_work: dict[tuple[str, int], str] = {}
        self.read_by: defaultdict[str, set[int]] = defaultdict(set)
        self.order: defaultdict[str, list[int]] = defaultdict(list)
        self.seen: set[tuple[str, int]] = set()
        self.redelivered = 0
        self.broken: list[str] = []

    def begin(self, member: str, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            place = (delivery.topic, delivery.partition)
            other = self.at_work.setdefault(place, member)
            if other != member:
                self.broken.append(f"{member} reads {place} while {other} is at it")
            self.read_by[member].add(delivery.partition)
            for record in delivery.records:
                self._note(record.key, int(record.subject))

    def _note(self, key: str, number: int) -> None:
        if (key, number) in self.seen:
            self.redelivered += 1
            return
        self.seen.add((key, number))
        self.order[key].append(number)

    def end(self, member: str) -> None:
        self.at_work = {place: holder for place, holder in self.at_work.items() if holder != member}

    async def follow(self, bus: Bus, kit: Kit, member: str, stop: Callable[[], bool]) -> None:
        """A member that reads, takes its time, and commits, until it is asked to leave."""
        async with bus.consumer("group", [kit.topic], member) as consumer:
            while not stop():
                deliveries = await consumer.poll(20, timeout=0.1)
                self.begin(member, deliveries)
                await asyncio.sleep(0.002)
                await consumer.commit(deliveries)
                self.end(member)

    def in_order(self) -> bool:
        return all(numbers == sorted(numbers) for numbers in self.order.values())


@pytest.fixture
def witness() -> Witness:
    return Witness()
