"""The contract of a bus adapter, which `chassis/tests/bus` holds against every one of them.

- `publish` returns when all batches are durable; records of one partition keep the order of the call.
- A record is delivered at least once, in order per partition, to one member of each group at a time.
- A partition moves to another member only after release or expiry; a member that lost it cannot commit it.
- Commits never go back.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from orderhub_contracts.topics import Topic

from orderhub_chassis.messages import Delivery, OutboxBatch

__all__ = ["AsyncIterator", "Bus", "Consumer"]


class TopicMismatch(Exception):
    """The bus has a topic with another number of partitions than topics.py says; raised when it is opened."""


class OtherBus(Exception):
    """A service's messages were last on another bus than the settings name; raised when the service starts."""


class Consumer(Protocol):
    """One member of a consumer group."""

    async def poll(self, max_records: int, timeout: float) -> list[Delivery]:
        """What comes next in the partitions held, up to about `max_records`; empty after `timeout` seconds.

        Does not deliver again what an earlier poll of this member delivered, unless the partition came anew.
        Raises Unavailable when the bus cannot be reached, or has not heard from this member for a lease's time.
        """
        ...

    def interrupt(self) -> None:
        """Let the poll that is waiting, and every later one, return at once: the member is about to leave."""
        ...

    def holds(self, delivery: Delivery) -> bool:
        """Whether the partition is still this member's, under the lease in which it was delivered."""
        ...

    def fresh_since_assignment(self, delivery: Delivery) -> bool:
        """True until the first commit of that partition by this member: it may be what killed the last one."""
        ...

    async def commit(self, deliveries: Sequence[Delivery]) -> None:
        """The effects are durable. Refused silently for a partition that was lost: the inbox covers that."""
        ...


class Bus(Protocol):
    @property
    def identity(self) -> str:
        """Another one for every place that messages can lie in; no secret."""
        ...

    async def publish(self, batches: Sequence[OutboxBatch]) -> None:
        """Raises Unavailable; then any of the batches may or may not have been published."""
        ...

    def consumer(
        self, group: str, topics: Sequence[Topic], member: str
    ) -> AbstractAsyncContextManager[Consumer]:
        """Joins on entry, releases its partitions on exit."""
        ...

    async def lag(self, group: str) -> dict[str, int]:
        """Positions per topic between its end and the partition that the group is furthest behind in."""
        ...
