"""Where partitions begin and end, and how far a group has confirmed them.

Asked as a consumer that joins no group: the administrative requests for the same end the whole process when one of them is
answered after its time was up (librdkafka issue 4605).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Final

import confluent_kafka as kafka

from orderhub_chassis.bus.kafka.cluster import ANSWER_SECONDS, Cluster, answered, unavailable

NOBODY: Final = "positions"
"""The group of who asks for nobody's positions; it is never joined."""
Place = tuple[str, int]
"""Topic by its own name, without the installation's prefix, and partition."""


class Positions:
    """Every question raises Unavailable."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def ends(self, places: Collection[Place]) -> dict[Place, int]:
        """The offset that the next message of each partition will have."""
        return await self._offsets(places, kafka.OFFSET_END)

    async def begins(self, places: Collection[Place]) -> dict[Place, int]:
        """The offset of the first message that each partition still has."""
        return await self._offsets(places, kafka.OFFSET_BEGINNING)

    async def confirmed(self, group: str, places: Collection[Place]) -> dict[Place, int]:
        """The next offset that the group wants of each partition of which it has confirmed anything."""
        asked = [self._partition(place) for place in places]
        found = await self._ask(group, lambda client: client.committed(asked, timeout=ANSWER_SECONDS))
        return {place: offset for place, offset in found.items() if offset >= 0}

    async def _offsets(self, places: Collection[Place], which: int) -> dict[Place, int]:
        # Begin and end are points in time to the protocol.
        asked = [self._partition(place, which) for place in places]
        return await self._ask("", lambda client: client.offsets_for_times(asked, timeout=ANSWER_SECONDS))

    async def _ask(self, group: str, question: Callable[[kafka.Consumer], Iterable[Any]]) -> dict[Place, int]:
        def found() -> dict[Place, int]:
            with self._client(group) as client:
                return {self._place(answer): answer.offset for answer in question(client) if _is_good(answer)}

        try:
            return await answered(found)
        except kafka.KafkaException as error:
            raise unavailable(error.args[0]) from error

    @contextlib.contextmanager
    def _client(self, group: str) -> Iterator[kafka.Consumer]:
        # A name in any case: without one the client library ends the process.
        options = {"group.id": self._cluster.prefix + (group or NOBODY), "enable.auto.commit": False}
        client = kafka.Consumer(self._cluster.client("orderhub-positions", **options))
        try:
            yield client
        finally:
            client.close()

    def _partition(self, place: Place, offset: int = kafka.OFFSET_INVALID) -> kafka.TopicPartition:
        return kafka.TopicPartition(self._cluster.prefix + place[0], place[1], offset)

    def _place(self, answer: Any) -> Place:
        return answer.topic.removeprefix(self._cluster.prefix), answer.partition


def _is_good(answer: Any) -> bool:
    if answer.error is not None:
        raise kafka.KafkaException(answer.error)
    return True
