"""What lies on the brokers, and how far their readers are, for the checks."""

from __future__ import annotations

import time
from typing import Any, Final
from uuid import uuid4

import confluent_kafka as kafka
from confluent_kafka import admin
from orderhub_chassis.bus.kafka import records
from orderhub_chassis.bus.kafka.cluster import ANSWER_SECONDS, Cluster, unavailable
from orderhub_contracts import topics

from orderhub.checks.model import Confirmed, Row

AT_ONCE: Final = 5000
LOOK_SECONDS: Final = 0.2
"""The client waits as long for a batch to become full, also for the last one."""
PATIENCE_SECONDS: Final = 30.0
READ: Final = sorted({topic.name for read in topics.READERS.values() for topic in read})
Place = tuple[str, int]


class BrokersLog:
    """Reads each topic once, from its begin to the end that it had when it was asked; joins no group."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._brokers = cluster.admin()
        self._logged: list[Row] | None = None

    async def logged(self) -> list[Row]:
        """A row per batch and partition: how many of its messages are there, each once however often it was published,
        and the offset at which the last of them came first."""
        if self._logged is None:
            ends = await self._brokers.ask(lambda client: self._offsets(client, admin.OffsetSpec.latest()))
            self._logged = await self._brokers.ask(lambda _: self._read(ends))
        return self._logged

    async def confirmed(self) -> Confirmed:
        return await self._brokers.ask(self._confirmed)

    async def misplaced(self) -> list[Row]:
        """What a group has confirmed beyond the end of a partition."""
        confirmed = await self._brokers.ask(self._confirmed)
        ends = await self._brokers.ask(lambda client: self._offsets(client, admin.OffsetSpec.latest()))
        return [
            {"topic": topic, "partition": partition, "consumer": group, "confirmed": offset, "end": ends[topic, partition]}
            for (group, topic, partition), offset in confirmed.items()
            if offset > ends[topic, partition]
        ]  # fmt: skip

    def _confirmed(self, client: admin.AdminClient) -> Confirmed:
        found: Confirmed = {}
        for group in topics.READERS:
            name = self._cluster.prefix + group
            request = [kafka.ConsumerGroupTopicPartitions(name)]
            answer = client.list_consumer_group_offsets(request, request_timeout=ANSWER_SECONDS)[name]
            for place in answer.result().topic_partitions:
                if place.offset >= 0:
                    found[group, place.topic.removeprefix(self._cluster.prefix), place.partition] = (
                        place.offset
                    )
        return found

    def _offsets(self, client: admin.AdminClient, which: Any) -> dict[Place, int]:
        asked = {
            kafka.TopicPartition(self._cluster.prefix + name, partition): which
            for name in READ
            for partition in range(topics.BY_NAME[name].partitions)
        }
        answers = client.list_offsets(asked, request_timeout=ANSWER_SECONDS)
        return {
            (place.topic.removeprefix(self._cluster.prefix), place.partition): future.result().offset
            for place, future in answers.items()
        }

    def _read(self, ends: dict[Place, int]) -> list[Row]:
        options = {
            "group.id": f"orderhub-check-{uuid4()}",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
        consumer = kafka.Consumer(self._cluster.client("orderhub-check", **options))
        try:
            consumer.assign(
                [
                    kafka.TopicPartition(self._cluster.prefix + topic, partition, kafka.OFFSET_BEGINNING)
                    for (topic, partition), end in ends.items()
                    if end > 0
                ]
            )
            found: dict[tuple[str, Any, int], dict[int, int]] = {}
            unread = {place for place, end in ends.items() if end > 0}
            patient_until = time.monotonic() + PATIENCE_SECONDS
            while unread:
                if messages := consumer.consume(AT_ONCE, LOOK_SECONDS):
                    patient_until = time.monotonic() + PATIENCE_SECONDS
                elif time.monotonic() > patient_until:
                    raise kafka.KafkaException(kafka.KafkaError(kafka.KafkaError._TIMED_OUT))
                self._note(messages, ends, unread, found)
        finally:
            consumer.close()
        return [
            {
                "batch_id": batch, "partition": partition, "count": len(indexes), "position": max(indexes.values()),
                "topic": topic,
            }
            for (topic, batch, partition), indexes in found.items()
        ]  # fmt: skip

    def _note(
        self,
        messages: list[Any],
        ends: dict[Place, int],
        unread: set[Place],
        found: dict[tuple[str, Any, int], dict[int, int]],
    ) -> None:
        for message in messages:
            topic = message.topic().removeprefix(self._cluster.prefix)
            place = (topic, message.partition())
            if (error := message.error()) is not None:
                if error.code() != kafka.KafkaError._PARTITION_EOF:
                    raise unavailable(error)
                unread.discard(place)
                continue
            if message.offset() >= ends[place] - 1:
                unread.discard(place)
            if message.offset() >= ends[place]:
                continue
            batch_id, index = records.place_of(message)
            found.setdefault((topic, batch_id, message.partition()), {}).setdefault(index, message.offset())
