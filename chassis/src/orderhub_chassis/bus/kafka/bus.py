"""The adapter itself: see `bus.base.Bus`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import confluent_kafka as kafka
from confluent_kafka import admin
from orderhub_contracts.topics import Topic

from orderhub_chassis.bus.kafka import catalogue
from orderhub_chassis.bus.kafka.cluster import ANSWER_SECONDS, Administration, Cluster
from orderhub_chassis.bus.kafka.member import KafkaConsumer
from orderhub_chassis.bus.kafka.producer import Producer
from orderhub_chassis.messages import OutboxBatch
from orderhub_chassis.telemetry import log

Place = tuple[str, int]


class KafkaBus:
    """`open` makes missing topics and names what differs; it refuses those with other partitions."""

    def __init__(self, cluster: Cluster, brokers: Administration, producer: Producer, identity: str) -> None:
        self._cluster = cluster
        self.identity = identity
        self._brokers = brokers
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
        committed = await self._brokers.ask(lambda client: self._committed(client, group))
        names = self._subscribed.get(group, set()) | {topic for topic, _ in committed}
        if not names:
            return {}
        places = await self._brokers.ask(lambda client: self._places(client, names))
        ends = await self.offsets(places, admin.OffsetSpec.latest())
        unread = [place for place in places if place not in committed]
        begins = await self.offsets(unread, admin.OffsetSpec.earliest()) if unread else {}
        found = dict.fromkeys(names, 0)
        for place, end in ends.items():
            behind = end - committed.get(place, begins.get(place, 0))
            found[place[0]] = max(found[place[0]], behind)
        return found

    def _committed(self, client: admin.AdminClient, group: str) -> dict[Place, int]:
        """The next offset of each partition that the group has committed."""
        name = self._cluster.prefix + group
        request = [kafka.ConsumerGroupTopicPartitions(name)]
        answer = client.list_consumer_group_offsets(request, request_timeout=ANSWER_SECONDS)[name]
        return {
            (self._short(found.topic), found.partition): found.offset
            for found in answer.result().topic_partitions
            if found.offset >= 0
        }

    def _places(self, client: admin.AdminClient, names: set[str]) -> list[Place]:
        described = client.list_topics(timeout=ANSWER_SECONDS).topics
        return [
            (name, number)
            for name in names
            if (topic := described.get(self._cluster.prefix + name)) is not None
            for number in topic.partitions
        ]

    async def offsets(self, places: list[Place], which: Any) -> dict[Place, int]:
        """Begin or end of these partitions."""
        asked = {kafka.TopicPartition(self._cluster.prefix + name, number): which for name, number in places}

        def found(client: admin.AdminClient) -> dict[Place, int]:
            answers = client.list_offsets(asked, request_timeout=ANSWER_SECONDS)
            return {
                (self._short(where.topic), where.partition): future.result().offset
                for where, future in answers.items()
            }

        return await self._brokers.ask(found)

    def _short(self, topic: str) -> str:
        return topic.removeprefix(self._cluster.prefix)
