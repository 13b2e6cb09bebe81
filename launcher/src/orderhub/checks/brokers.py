"""What lies on the brokers, and how far their readers are, for the checks."""

from __future__ import annotations

import time
from typing import Any, Final
from uuid import uuid4

import confluent_kafka as kafka
from orderhub_chassis.bus.kafka import records
from orderhub_chassis.bus.kafka.cluster import Cluster, answered, unavailable
from orderhub_chassis.bus.kafka.positions import Place, Positions
from orderhub_contracts import topics

from orderhub.checks.model import Confirmed, Row

AT_ONCE: Final = 5000
LOOK_SECONDS: Final = 0.2
"""The client waits as long for a batch to become full, also for the last one."""
PATIENCE_SECONDS: Final = 30.0
READ: Final = sorted({topic.name for read in topics.READERS.values() for topic in read})
PLACES: Final = [(name, partition) for name in READ for partition in range(topics.BY_NAME[name].partitions)]


class BrokersLog:
    """Reads each topic once, from its begin to the end that it had when it was asked; joins no group."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._positions = Positions(cluster)
        self._logged: list[Row] | None = None

    async def logged(self) -> list[Row]:
        """A row per batch and partition: how many of its messages are there, each once however often it was published,
        and the offset at which the last of them came first."""
        if self._logged is None:
            ends = await self._positions.ends(PLACES)
            try:
                self._logged = await answered(lambda: self._read(ends))
            except kafka.KafkaException as error:
                raise unavailable(error.args[0]) from error
        return self._logged

    async def confirmed(self) -> Confirmed:
        """By group, topic and partition."""
        return {
            (group, topic, partition): offset
            for group in topics.READERS
            for (topic, partition), offset in (await self._positions.confirmed(group, PLACES)).items()
        }

    async def misplaced(self) -> list[Row]:
        """What a group has confirmed beyond the end of a partition."""
        confirmed = await self.confirmed()
        ends = await self._positions.ends(PLACES)
        return [
            {"topic": topic, "partition": partition, "consumer": group, "confirmed": offset, "end": ends[topic, partition]}
            for (group, topic, partition), offset in confirmed.items()
            if offset > ends[topic, partition]
        ]  # fmt: skip

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
