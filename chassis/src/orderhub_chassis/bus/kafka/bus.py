"""The adapter itself: see `bus.base.Bus`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence

from orderhub_contracts.topics import Topic

from orderhub_chassis.bus.kafka import catalogue
from orderhub_chassis.bus.kafka.cluster import ANSWER_SECONDS, Administration, Cluster
from orderhub_chassis.bus.kafka.member import KafkaConsumer
from orderhub_chassis.bus.kafka.positions import Positions
from orderhub_chassis.bus.kafka.producer import Producer
from orderhub_chassis.messages import OutboxBatch
from orderhub_chassis.telemetry import log


class KafkaBus:
    """`open` makes missing topics and names what differs; it refuses those with other partitions."""

    def __init__(self, cluster: Cluster, brokers: Administration, producer: Producer, identity: str) -> None:
        self._cluster = cluster
        self.identity = identity
        self._brokers = brokers
        self._positions = Positions(cluster)
        self._producer = producer
        self._subscribed: dict[str, set[str]] = {}

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, cluster: Cluster, name: str) -> AsyncIterator[KafkaBus]:
        """Raises TopicMismatch, Unavailable. `name` is how the brokers' operators see this client."""
        brokers = cluster.admin()
        for difference in await catalogue.ensure(cluster, brokers):
            log("bus").warning("bus.topic_differs", difference=str(difference))
        known = await brokers.ask(lambda client: client.list_topics(timeout=ANSWER_SECONDS))
        producer = Producer(cluster, name)
        try:
            yield cls(cluster, brokers, producer, f"Kafka {known.cluster_id}/{cluster.prefix}")
        finally:
            await producer.close()

    async def publish(self, batches: Sequence[OutboxBatch]) -> None:
        if batches:
            await self._producer.publish(batches)

    @contextlib.asynccontextmanager
    async def consumer(
        self, group: str, topics: Sequence[Topic], member: str
    ) -> AsyncIterator[KafkaConsumer]:
        self._subscribed.setdefault(group, set()).update(topic.name for topic in topics)
        consumer = KafkaConsumer(self._cluster, group, member, topics)
        consumer.join()
        try:
            yield consumer
        finally:
            await consumer.leave()

    async def lag(self, group: str) -> dict[str, int]:
        """Of the topics that the group has committed or was asked to read here."""
        places = await self._brokers.ask(lambda client: catalogue.places(self._cluster, client))
        committed = await self._positions.confirmed(group, places)
        names = self._subscribed.get(group, set()) | {topic for topic, _ in committed}
        wanted = [place for place in places if place[0] in names]
        if not wanted:
            return dict.fromkeys(names, 0)
        ends = await self._positions.ends(wanted)
        unread = [place for place in wanted if place not in committed]
        begins = await self._positions.begins(unread) if unread else {}
        found = dict.fromkeys(names, 0)
        for place, end in ends.items():
            behind = end - committed.get(place, begins.get(place, 0))
            found[place[0]] = max(found[place[0]], behind)
        return found
